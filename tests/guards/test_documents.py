"""The documents say what is there, in their agreed form."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path

import pytest

from orchestrator.kernel.life import State
from orchestrator.protocol.verdict import Colour
from tests.guards.rules import documents
from tests.guards.rules.tree import ROOT, Tree, plant

HERE = Tree(ROOT)
ROLES = ("controller", "worker", "qa")
DECISIONS = sorted((ROOT / "instructions" / "decisions").glob("*.md"))


@pytest.mark.parametrize("command", ["scripts/demo", "scripts/test"])
def test_the_two_commands_of_the_readme_can_be_run(command: str) -> None:
    assert re.search(rf"^{command}\b", HERE.text("README.md"), re.MULTILINE)
    assert os.access(ROOT / command, os.X_OK)


@pytest.mark.parametrize("limit", ["confinement", "network", "meter", "parallel", "landing"])
def test_the_readme_says_plainly_what_does_not_hold_yet(limit: str) -> None:
    after = HERE.text("README.md").split("Not in this version", 1)[1]
    assert limit in after


@pytest.mark.parametrize("role", ROLES)
def test_a_role_text_has_its_sections(role: str) -> None:
    path = f"instructions/{role}.md"
    assert not documents.missing_sections(HERE, path, documents.ROLE_SECTIONS)


def test_a_role_text_without_stop_conditions_is_found(tmp_path: Path) -> None:
    text = HERE.text("instructions/worker.md").replace("## Stop conditions", "## Notes")
    faults = documents.missing_sections(
        plant(tmp_path, {"w.md": text}), "w.md", documents.ROLE_SECTIONS
    )
    assert faults


def test_an_empty_section_is_found(tmp_path: Path) -> None:
    text = "".join(f"## {name}\n\n" for name in documents.ROLE_SECTIONS)
    faults = documents.missing_sections(
        plant(tmp_path, {"w.md": text}), "w.md", documents.ROLE_SECTIONS
    )
    assert faults == ["w.md: an empty section"] * len(documents.ROLE_SECTIONS)


@pytest.mark.parametrize("path", DECISIONS, ids=lambda path: path.stem[:4])
def test_a_decision_has_problem_drivers_options_outcome_and_cost(path: Path) -> None:
    name = path.relative_to(ROOT).as_posix()
    assert not documents.missing_sections(HERE, name, documents.DECISION_SECTIONS)
    assert HERE.text(name).startswith(f"# {path.stem[:4]}: ")


def test_decisions_are_numbered_without_a_gap_and_listed_in_the_first() -> None:
    assert [path.stem[:4] for path in DECISIONS] == [
        f"{number:04}" for number in range(1, len(DECISIONS) + 1)
    ]
    first = DECISIONS[0].read_text(encoding="utf-8")
    assert [path.name for path in DECISIONS[1:] if path.name not in first] == []


def test_the_example_brief_has_the_headings_of_its_template() -> None:
    template, example = (
        documents.headings(HERE.text(f"docs/templates/task_brief.{kind}.md"), level=2)
        for kind in ("template", "example")
    )
    assert template == example


@pytest.mark.parametrize("word", [*State, *Colour])
def test_the_glossary_explains_each_state_and_colour(word: str) -> None:
    assert f"\n| {word} | " in HERE.text("instructions/GLOSSARY.md")


def test_the_architecture_page_draws_the_rooms_in_the_order_of_the_contract() -> None:
    settings = tomllib.loads(HERE.text("pyproject.toml"))
    layers = settings["tool"]["importlinter"]["contracts"][0]["layers"]
    # Parentheses mark a room that is planned.
    names = [
        name.strip().rsplit(".", 1)[-1]
        for layer in layers
        for name in layer.split("|")
        if "(" not in name and "__main__" not in name
    ]
    drawing = HERE.text("docs/architecture.md").split("## Rooms", 1)[1].split("```")[1]
    drawn = re.findall(r"^[a-z_| ]+?(?=\s{2,}|$)", drawing, re.MULTILINE)
    found = [name.strip() for line in drawn for name in line.split("|") if name.strip()]
    assert found == names


def test_agents_are_told_the_non_negotiables_the_evidence_policy_and_when_to_stop() -> None:
    found = documents.headings(HERE.text("AGENTS.md"), level=2)
    for section in (
        "Scope",
        "Non-negotiables",
        "Evidence policy",
        "Stop and ask a person",
        "Verification commands",
    ):
        assert section in found
