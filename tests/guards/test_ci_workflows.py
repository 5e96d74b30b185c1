"""The CI workflows have little power, run what they say, and a careless change is found."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.guards.rules import workflows
from tests.guards.rules.tree import ROOT

FOLDER = ROOT / ".github" / "workflows"
PINNED = "actions/checkout@" + "0" * 40

SOUND = f"""
on: [push]
permissions: {{contents: read}}
concurrency: {{group: x}}
jobs:
  one:
    runs-on: ubuntu-24.04
    timeout-minutes: 5
    steps:
      - uses: {PINNED}
        with: {{persist-credentials: false}}
      - run: scripts/test
"""

# What is replaced in the sound workflow, by what, and a part of the fault.
CANARIES = (
    ("[push]", "pull_request_target", "gives a stranger's change our rights"),
    ("[push]", "{workflow_run: {workflows: [x]}}", "gives a stranger's change our rights"),
    ("permissions: {contents: read}", "permissions: write-all", "expected contents: read only"),
    ("permissions: {contents: read}", "", "permissions: None"),
    ("runs-on:", "permissions: {contents: write}\n    runs-on:", "one: asks for more"),
    (PINNED, "actions/checkout@v5", "not pinned by a full SHA"),
    (PINNED, "docker://alpine:3", "not pinned by a full SHA"),
    ("persist-credentials: false", "fetch-depth: 1", "leaves the job's token"),
    ("run: scripts/test", "run: echo ${{ github.event.issue.title }}", "an expression inside"),
    ("run: scripts/test", "run: x\n        env: {T: '${{ secrets.T }}'}", "uses a secret"),
    ("run: scripts/test", "run: x\n        continue-on-error: true", "would be ignored"),
    ("timeout-minutes: 5", "name: x", "timeout-minutes is None"),
    ("concurrency: {group: x}", "", "concurrency: no group"),
)


def _loaded(name: str) -> dict[object, object]:
    return workflows.load((FOLDER / name).read_text(encoding="utf-8"))


def test_there_are_exactly_the_two_workflows() -> None:
    assert sorted(path.name for path in FOLDER.iterdir()) == ["guard.yml", "pipeline.yml"]


@pytest.mark.parametrize("name", ["guard.yml", "pipeline.yml"])
def test_a_workflow_has_little_power_and_nothing_that_moves(name: str) -> None:
    assert not workflows.faults(_loaded(name))


def test_the_guard_workflow_runs_the_guards_and_nothing_else() -> None:
    assert workflows.run_lines(_loaded("guard.yml")) == ["scripts/test guards"]


def test_the_pipeline_runs_all_tests_on_each_promised_python_and_the_demo() -> None:
    pipeline = _loaded("pipeline.yml")
    assert workflows.run_lines(pipeline) == ["scripts/test", "scripts/demo"]
    assert pipeline["jobs"]["test"]["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13"]


def test_the_sound_workflow_has_no_fault() -> None:
    assert not workflows.faults(workflows.load(SOUND))


@pytest.mark.parametrize(("old", "new", "fault"), CANARIES)
def test_a_careless_change_is_found(old: str, new: str, fault: str) -> None:
    assert old in SOUND
    found = workflows.faults(workflows.load(SOUND.replace(old, new)))
    assert any(fault in line for line in found), found


def test_the_clean_clone_script_runs_the_tests_then_the_demo() -> None:
    text = Path(ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert 0 < text.index('"$root/scripts/test"') < text.index('"$root/scripts/demo"')
