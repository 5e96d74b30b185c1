"""The packs of seed 004 say things three times; copies that agree are one, others are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from orchestrator.protocol.reading import read_step_pack
from orchestrator.protocol.step_pack import StepPack
from orchestrator.protocol.step_pack_faults import disagreements
from tests.unit.protocol.documents import GOLDEN, problems, sound, text_of

PACKS = sorted(GOLDEN.glob("*.json"))
SHARED_KEYS = 27


def golden(number: int = 0) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(PACKS[number].read_bytes())
    return loaded


def test_the_golden_packs_have_the_shape_of_the_public_ones() -> None:
    keys = [set(json.loads(path.read_bytes())) for path in PACKS]
    optional = {"preconditions", "source_of_s2_requirements"}
    assert len(set.intersection(*keys)) == SHARED_KEYS
    assert sorted(len(one & optional) for one in keys) == [0, 2, 2]


@pytest.mark.parametrize("path", PACKS, ids=lambda path: path.stem)
def test_a_pack_in_the_shape_of_seed_004_is_accepted_as_it_is(path: Path) -> None:
    pack = read_step_pack(path.read_bytes(), path.name)
    raw = json.loads(path.read_bytes())
    assert list(pack.acceptance_criteria) == raw["acceptance"]["AC"]
    assert list(pack.allowed_paths) == raw["scope_guard"]["allowed_paths"]
    assert not disagreements(raw)


@pytest.mark.parametrize(
    ("place", "truth"),
    [
        (("scope", "allowed_paths"), "allowed_paths"),
        (("scope_guard", "allowed_paths"), "allowed_paths"),
        (("scope", "forbidden_paths"), "forbidden_paths"),
        (("scope_guard", "forbidden_paths"), "forbidden_paths"),
        (("scope", "dependency_policy"), "dependency_policy"),
        (("AC",), "acceptance_criteria"),
        (("acceptance", "AC"), "acceptance_criteria"),
        (("acceptance", "gates"), "gates"),
        (("acceptance", "evidence_required"), "evidence_required"),
    ],
)
def test_a_copy_that_disagrees_is_refused_and_both_places_are_named(
    place: tuple[str, ...], truth: str
) -> None:
    raw = golden()
    holder = raw
    for key in place[:-1]:
        holder = holder[key]
    copy = holder[place[-1]]
    holder[place[-1]] = {**copy, "mode": "free"} if isinstance(copy, dict) else copy[:-1]
    (line,) = problems(raw)
    assert f": {'.'.join(place)}: differs from {truth}, which must hold the same: " in line
    assert f"({truth} is at " in line


def test_what_the_copies_do_not_share_is_named() -> None:
    raw = golden()
    raw["scope"]["allowed_paths"] = [*raw["scope"]["allowed_paths"][1:], "secrets/**"]
    (line,) = problems(raw)
    assert "'secrets/**' only here, 'guide/**' only there" in line


def test_every_disagreement_is_told_not_only_the_first() -> None:
    raw = golden()
    raw["scope"]["allowed_paths"] = ["a/**"]
    raw["scope_guard"]["forbidden_paths"] = []
    raw["acceptance"]["gates"] = raw["gates"][:2]
    raw["AC"] = [*raw["AC"], "AC9: more"]
    assert len(problems(raw)) == 4


def test_a_pack_that_writes_only_the_copies_is_read() -> None:
    raw = sound()
    raw["acceptance"] = {"AC": raw.pop("acceptance_criteria"), "gates": raw.pop("gates")}
    raw["scope_guard"] = {"allowed_paths": raw.pop("allowed_paths")}
    pack = read_step_pack(text_of(raw), "pack.json")
    assert len(pack.gates) == 2
    assert pack.allowed_paths == ("src/**",)
    assert pack.AC == pack.acceptance_criteria == ("AC1: it works", "AC2: it is tested")


def test_a_fault_in_a_merged_copy_is_told_where_the_person_wrote_it_and_once() -> None:
    raw = sound()
    raw["acceptance"] = {"gates": raw.pop("gates")}
    raw["acceptance"]["gates"][0] |= {"owner": "robot", "command_index": 9}
    assert [line.split(": ")[1] for line in problems(raw)] == [
        "acceptance.gates.0.owner",
        "acceptance.gates.0.command_index",
    ]


def test_the_same_fault_in_every_copy_is_told_once_and_names_the_others() -> None:
    raw = sound()
    raw["allowed_paths"] = [1]
    raw["scope"] = {"allowed_paths": [1]}
    (line,) = problems(raw)
    assert ": allowed_paths.0: expected a string, got 1 (an integer) " in line
    assert line.endswith("(the same in scope.allowed_paths.0)")


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"acceptance_criteria": []}, "acceptance_criteria: a StepPack needs at least one"),
        (
            {"acceptance_criteria": ["AC1: a", "AC1: b", "AC2: c"]},
            "acceptance_criteria.1: the id 'AC1' is there twice (acceptance_criteria.0 is at",
        ),
        ({"commands_to_run": []}, "gates.0.command_index: there is no command 0: commands_to_run"),
        (
            {"evidence_required": [{"id": "E1", "path_pattern": "a", "required_for": ["AC7"]}]},
            "evidence_required.0.required_for.0: no acceptance criterion has the id 'AC7'; there "
            "are AC1, AC2",
        ),
        (
            {"evidence_required": [{"id": "E1", "path_pattern": "a"}] * 2},
            "evidence_required.1.id: the id 'E1' is there twice",
        ),
    ],
)
def test_what_must_hold_between_fields_is_told_at_its_place(
    change: dict[str, object], line: str
) -> None:
    (told,) = problems(sound() | change)
    assert line in told


def test_a_gate_that_needs_a_command_and_names_none_is_refused() -> None:
    raw = sound()
    del raw["gates"][0]["command_index"]
    (line,) = problems(raw)
    assert "gates.0: a gate of this type needs a command_index; commands_to_run has 1" in line


def test_the_model_itself_refuses_what_the_reader_refuses() -> None:
    raw = golden()
    raw["scope"]["allowed_paths"] = ["a/**"]
    raw["acceptance"]["gates"] = []
    with pytest.raises(ValidationError, match=r"scope.allowed_paths: differs.*acceptance.gates: d"):
        StepPack.model_validate(raw)
