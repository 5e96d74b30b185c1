"""One loader reads one phase, three, five and nine; what they mean is in the model."""

from __future__ import annotations

import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from orchestrator.process.builtin import BUILTIN_NAMES, builtin_bytes, builtin_contract
from orchestrator.process.catalog import BUILTIN
from orchestrator.process.contract import PhaseContract
from orchestrator.process.diagram import render_diagram
from orchestrator.process.loader import read_phase_contract
from tests.unit.process.contracts import FIVE_PHASES, NINE, WIDER, nine, problems, small


@pytest.mark.parametrize("name", BUILTIN_NAMES)
def test_the_contracts_of_the_program_pass_the_same_loader(name: str) -> None:
    contract = builtin_contract(name)
    assert contract.name == name
    assert contract == read_phase_contract(builtin_bytes(name), f"{name}.yaml")
    assert builtin_bytes(name).startswith(b"# yaml-language-server: $schema=../../../schemas/")


def test_tier2_is_one_phase_and_tier3_is_three() -> None:
    assert [phase.id for phase in builtin_contract("tier2").phases] == ["EXECUTE"]
    assert [phase.id for phase in builtin_contract("tier3").phases] == [
        "CONTRACT",
        "EXECUTE",
        "ACCEPT",
    ]


def test_every_check_of_the_program_is_used_by_one_of_its_contracts() -> None:
    used = {
        check.check
        for name in BUILTIN_NAMES
        for phase in builtin_contract(name).phases
        for gate in phase.gates
        for check in gate.blockers
    }
    assert used == set(BUILTIN.checks)


def test_a_contract_that_is_not_shipped_is_not_found() -> None:
    with pytest.raises(KeyError):
        builtin_contract("../tier2")


def test_a_contract_in_the_shape_of_seed_003_passes_the_same_loader() -> None:
    contract = read_phase_contract(FIVE_PHASES.read_bytes(), FIVE_PHASES.name, catalog=WIDER)
    assert [phase.id for phase in contract.phases] == ["PLAN", "TDD", "IMPL", "REVIEW", "COMPLETE"]
    assert contract.final_phases == ("COMPLETE",)
    assert contract.phase("PLAN").purpose.startswith("Say what")
    assert contract.phase("TDD").tool_constraints["bash"].allowed_commands == ("pytest", "npm test")
    assert contract.phase("REVIEW").auto_spawn[0].models == ("security", "quality")
    assert contract.moves("IMPL")[0].triggers[0].action == "spawn_review_agents"
    assert contract.enforcement.phase_tokens.expiry_seconds == 7200
    assert contract.recovery["gate_timeout"] == {
        "action": "escalate_to_human",
        "preserve_state": True,
    }


def test_its_checks_are_refused_as_long_as_nobody_carries_them_out() -> None:
    told = problems(FIVE_PHASES.read_bytes(), source=FIVE_PHASES.name)
    assert sum("carries out no check" in line for line in told) == 14
    assert sum("carries out no action" in line for line in told) == 2
    assert told[0].startswith("five_phases.yaml:17:13: phases.0.required_artifacts.0.validation.0")


def test_nine_phases_lead_forward_one_by_one_and_back_to_any_earlier_one() -> None:
    contract = read_phase_contract(json.dumps(nine()).encode(), "nine.json")
    verify = contract.moves("VERIFY")
    assert [move.to_phase for move in verify if not move.backtrack] == ["REVIEW"]
    assert [move.to_phase for move in verify if move.backtrack] == NINE[:5]
    assert contract.moves("STRATEGIZE")[0].to_phase == "SPEC"


def test_a_step_runs_in_the_phase_its_pack_names_or_where_workers_work() -> None:
    tier3 = builtin_contract("tier3")
    assert tier3.phase_of_step("EXECUTE").id == "EXECUTE"
    assert tier3.phase_of_step("Phase 1 / prepared for dispatch").id == "EXECUTE"
    assert tier3.phase_of_step("CONTRACT").id == "EXECUTE"  # no worker works there


def test_a_tool_that_is_not_named_is_not_allowed() -> None:
    execute = builtin_contract("tier2").phase("EXECUTE")
    assert execute.allows("edit_files")
    assert not execute.allows("git_commit")
    assert not execute.allows("launch")


def test_a_contract_is_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        builtin_contract("tier2").name = "mine"  # type: ignore[misc]


def test_a_contract_that_is_written_is_read_back_the_same() -> None:
    contract = read_phase_contract(FIVE_PHASES.read_bytes(), FIVE_PHASES.name, catalog=WIDER)
    written = contract.model_dump_json().encode()
    assert read_phase_contract(written, "five.json", catalog=WIDER) == contract


def test_the_diagram_shows_gates_ways_back_and_the_end() -> None:
    assert render_diagram(builtin_contract("tier3")) == (
        "stateDiagram-v2\n"
        "    [*] --> CONTRACT\n"
        "    CONTRACT --> EXECUTE : contract_conforms\n"
        "    EXECUTE --> ACCEPT : step_accepted\n"
        "    ACCEPT --> EXECUTE : back\n"
        "    ACCEPT --> [*] : work_accepted\n"
    )


def test_a_start_and_an_end_that_are_named_win_over_the_order() -> None:
    contract = small() | {"initial": "A", "final": ["A", "B"]}
    read = read_phase_contract(json.dumps(contract).encode(), "c.json")
    assert (read.initial_phase.id, read.final_phases) == ("A", ("A", "B"))
    assert render_diagram(read).count("--> [*]") == 2


@pytest.mark.slow
@given(
    st.lists(st.tuples(st.sampled_from(NINE), st.sampled_from(NINE), st.booleans()), max_size=12)
)
def test_whatever_the_moves_a_contract_that_loads_always_leads_to_its_end(
    moves: list[tuple[str, str, bool]],
) -> None:
    contract = nine()
    contract["transitions"] += [{"from": a, "to": b, "backtrack": back} for a, b, back in moves]
    backward = all(NINE.index(a) > NINE.index(b) and back for a, b, back in moves)
    distinct = len({(a, b) for a, b, _ in moves}) == len(moves)
    data = json.dumps(contract).encode()
    if not (backward and distinct):
        assert problems(contract)
        return
    read = read_phase_contract(data, "c.json")
    phase, seen = read.initial_phase.id, set()
    while phase not in read.final_phases:
        assert phase not in seen
        seen.add(phase)
        phase = next(move.to_phase for move in read.moves(phase) if not move.backtrack)


def test_the_contracts_hold_no_word_that_yaml_1_1_would_change() -> None:
    for name in BUILTIN_NAMES:
        plain = yaml.safe_load(builtin_bytes(name))
        assert PhaseContract.model_validate(plain) == builtin_contract(name)
