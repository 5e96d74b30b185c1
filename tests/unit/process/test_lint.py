"""A contract that could not be followed is refused when it is loaded, with the line."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.process.loader import read_phase_contract
from tests.unit.process.contracts import WIDER, gate, move, nine, phase, problems, small

Contract = dict[str, Any]


def change(**fields: object) -> Callable[[Contract], Contract]:
    return lambda contract: contract | fields


def in_first_phase(**fields: object) -> Callable[[Contract], Contract]:
    return lambda contract: (
        contract | {"phases": [contract["phases"][0] | fields, *contract["phases"][1:]]}
    )


CASES: list[tuple[str, Callable[[Contract], Contract], str]] = [
    (
        "a check that nobody carries out",
        in_first_phase(gates=[gate("leave_A", "step_verdict_acepted")]),
        "phases.0.gates.0.blockers.0.check: this program carries out no check "
        "'step_verdict_acepted'; did you mean 'step_verdict_accepted'?",
    ),
    (
        "an artifact rule that nobody carries out",
        in_first_phase(
            required_artifacts=[{"type": "step_verdict", "validation": [{"rule": "is_nice"}]}]
        ),
        "phases.0.required_artifacts.0.validation.0.rule: this program carries out no artifact "
        "rule 'is_nice'; there are: none",
    ),
    (
        "an action that nobody carries out",
        change(transitions=[move("A", "B", triggers=[{"action": "dance"}])]),
        "transitions.0.triggers.0.action: this program carries out no action 'dance'",
    ),
    (
        "a phase id twice",
        change(phases=[phase("A"), phase("A", gates=[]), phase("B")]),
        "phases.1.id: the phase 'A' is defined twice (phases.0.id is at ",
    ),
    (
        "a gate id twice",
        change(phases=[phase("A"), phase("B", gates=[gate("leave_A")])]),
        "phases.1.gates.0.id: the gate 'leave_A' is defined twice",
    ),
    (
        "a tool both allowed and forbidden",
        in_first_phase(forbidden_tools=["bash", "grep"]),
        "phases.0.forbidden_tools.1: 'grep' is both allowed and forbidden",
    ),
    (
        "a constraint on a tool that is not allowed",
        in_first_phase(tool_constraints={"bash": {}}),
        "phases.0.tool_constraints.bash: constrains a tool that is not allowed",
    ),
    (
        "a validation gate without a blocking check",
        in_first_phase(
            gates=[gate("leave_A") | {"blockers": [{"check": "step_verdict_accepted", "severity": "warning"}]}]
        ),
        "phases.0.gates.0: a validation gate without a blocking check lets everything through",
    ),
    (
        "an approval gate without approvers",
        in_first_phase(gates=[{"id": "leave_A", "type": "approval"}]),
        "phases.0.gates.0: an approval gate needs approvers",
    ),
    (
        "a check that reads what no phase produces",
        in_first_phase(required_artifacts=[]),
        "phases.0.gates.0.blockers.0.check: reads the artifact 'step_verdict', which no phase up "
        "to here produces",
    ),
    (
        "a check whose own artifact no phase produces",
        in_first_phase(
            gates=[gate("leave_A") | {"blockers": [{"check": "step_verdict_accepted", "artifact": "report"}]}]
        ),
        "reads the artifact 'report', which no phase up to here produces",
    ),
    (
        "an artifact schema that is nowhere",
        in_first_phase(required_artifacts=[{"type": "step_verdict", "schema": "a/b.json"}]),
        "phases.0.required_artifacts.0.schema: the schema is neither in 'schemas' nor",
    ),
    (
        "a move to a phase that does not exist",
        change(transitions=[move("A", "C")]),
        "transitions.0.to: there is no phase 'C'; there are A, B",
    ),
    (
        "a move to itself",
        change(transitions=[move("A", "B"), move("A", "A")]),
        "transitions.1.to: leads to the phase that it leaves",
    ),
    (
        "a way back that is not marked",
        change(transitions=[move("A", "B"), move("B", "A")]),
        "transitions.1.to: leads to an earlier phase; mark it with 'backtrack: true'",
    ),
    (
        "a way forward that is marked as a way back",
        change(transitions=[move("A", "B", backtrack=True)]),
        "transitions.0.backtrack: leads to a later phase, so it is no backtrack",
    ),
    (
        "a move twice",
        change(transitions=[move("A", "B"), move("A", "B")]),
        "transitions.1: the same move is there twice (transitions.0 is at ",
    ),
    (
        "a move past the gate of its phase",
        change(transitions=[{"from": "A", "to": "B"}]),
        "transitions.0: leaves A past its gate; name one of: leave_A",
    ),
    (
        "a move through the gate of another phase",
        change(transitions=[move("A", "B", gate="leave_B")]),
        "transitions.0.gate: A has no gate 'leave_B'; its gates: leave_A",
    ),
    (
        "an initial phase that does not exist",
        change(initial="Z"),
        "initial: there is no phase 'Z'; there are A, B",
    ),
    (
        "a final phase that does not exist",
        change(final=["B", "Z"]),
        "final.1: there is no phase 'Z'; there are A, B",
    ),
    (
        "a phase that cannot be reached",
        change(phases=[phase("A"), phase("C"), phase("B")]),
        "phases.1.id: the phase C cannot be reached from A",
    ),
    (
        "a phase that is a dead end",
        change(
            phases=[phase("A"), phase("C"), phase("B")],
            transitions=[move("A", "B"), move("A", "C"), move("C", "A", backtrack=True)],
        ),
        "phases.1.id: the phase C is a dead end: no way forward leads from it to B",
    ),
    ("no phase at all", change(phases=[]), "phases: needs at least 1 entries, got 0"),
    ("a phase without permissions", change(phases=[{"id": "A"}]), "phases.0.allowed_tools: this key"),
    (
        "a phase id that no diagram could hold",
        in_first_phase(id="A-1"),
        "phases.0.id: expected a text like ",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("spoil", "line"), [case[1:] for case in CASES], ids=[c[0] for c in CASES])
def test_it_is_refused(spoil: Callable[[Contract], Contract], line: str) -> None:
    told = problems(spoil(small()))
    assert any(line in one for one in told), told


def test_the_small_contract_is_sound() -> None:
    assert read_phase_contract(json.dumps(small()).encode(), "c.json").initial_phase.id == "A"


def test_a_check_may_read_what_an_earlier_phase_produced_and_not_what_a_later_one_will() -> None:
    early = small()
    early["phases"][1]["required_artifacts"] = []
    read_phase_contract(json.dumps(early).encode(), "c.json")
    late = small()
    late["phases"][0]["required_artifacts"] = []
    (line,) = problems(late)
    assert "phases.0.gates.0.blockers.0.check: reads the artifact 'step_verdict'" in line


def test_faults_of_the_fields_and_of_the_whole_come_at_once_in_the_order_of_the_file() -> None:
    text = b"""\
name: broken
phases:
- id: A
  allowed_tools: [grep]
  forbidden_tools: [grep]
  gates:
  - id: leave_A
    type: aproval
    blockers: [{check: nobody_knows}]
- id: B
  alowed_tools: []
transitions:
- {from: A, to: C, gate: leave_A}
- {from: A, to: B, gate: leave_A, gate: leave_A}
"""
    told = problems(text, source="broken.yaml")
    assert [line.split(": ")[0] + " " + line.split(": ")[1] for line in told] == [
        "broken.yaml:5:21 phases.0.forbidden_tools.0",
        "broken.yaml:8:11 phases.0.gates.0.type",
        "broken.yaml:9:17 phases.0.gates.0.blockers.0.check",
        "broken.yaml:10:3 phases.1.allowed_tools",
        "broken.yaml:11:3 phases.1.alowed_tools",
        "broken.yaml:13:13 transitions.0.to",
        "broken.yaml:14:35 transitions.1.gate",
    ]


def test_the_purpose_may_be_called_description_but_not_say_two_things() -> None:
    contract = small()
    contract["phases"][0] |= {"description": "a", "purpose": "b"}
    (line,) = problems(contract)
    assert "phases.0.description: means the same as 'purpose'" in line
    contract["phases"][0] |= {"purpose": "a"}
    read = read_phase_contract(json.dumps(contract).encode(), "c.json")
    assert read.phases[0].purpose == "a"


def test_a_catalog_cannot_take_a_name_from_its_owner() -> None:
    spec = WIDER.checks["step_verdict_accepted"]
    assert WIDER.plus([spec]) == WIDER
    with pytest.raises(ValueError, match="another owner: all_tests_pass"):
        WIDER.plus([type(spec)("all_tests_pass", "me", "mine")])


def test_nine_phases_with_a_wrong_name_in_the_middle_are_refused_there() -> None:
    contract = nine()
    contract["transitions"][4]["to"] = "VERFY"
    (line,) = problems(contract)
    assert "transitions.4.to: there is no phase 'VERFY'" in line
