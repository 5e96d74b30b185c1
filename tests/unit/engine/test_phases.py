from __future__ import annotations

import pytest

from orchestrator.engine.phases import ANSWERS, Preparation, held_back, walk
from orchestrator.process.builtin import BUILTIN_NAMES, builtin_contract
from orchestrator.protocol.evidence import CommandRun, Observations, WorkerRun
from orchestrator.protocol.verdict import Colour, Verdict

WORKER = WorkerRun(backend="shim", ending="exited", exit_code=0)


def facts(tree: str = "t1", *, ran_on: str = "t1", after: str | None = None) -> Observations:
    run = CommandRun(
        index=0,
        command="make test",
        argv=("make", "test"),
        tree=ran_on,
        ending="exited",
        exit_code=0,
        wall_ms=1,
        tree_after=after,
    )
    return Observations(attempt_id="A", base_tree="t0", tree=tree, worker=WORKER, commands=(run,))


def verdict(colour: Colour = Colour.ACCEPTED) -> Verdict:
    return Verdict(colour=colour, reason_code="X")


def prepared(name: str, *, conforms: bool | None = None) -> Preparation:
    return Preparation(builtin_contract(name), conforms, {})


def test_every_check_that_a_built_in_contract_names_has_an_answer():
    named = {
        check.check
        for name in BUILTIN_NAMES
        for phase in builtin_contract(name).phases
        for gate in phase.gates
        for check in gate.blockers
    }
    assert named == set(ANSWERS)


def test_an_accepted_step_goes_through_all_phases_of_its_route():
    assert walk(prepared("tier2"), facts(), verdict()).held_by is None
    done = walk(prepared("tier3", conforms=True), facts(), verdict())
    assert done.passed == ("CONTRACT", "EXECUTE", "ACCEPT")


def test_a_tier3_task_without_a_conforming_contract_stays_in_its_first_phase():
    held = walk(prepared("tier3", conforms=False), facts(), verdict())
    assert held.passed == ()
    assert held.held_by is not None
    assert held.held_by.where == "CONTRACT.contract_conforms"


def test_a_refused_step_does_not_leave_execute():
    held = walk(prepared("tier3", conforms=True), facts(), verdict(Colour.REFUSED))
    assert held.passed == ("CONTRACT",)


@pytest.mark.parametrize("seen", [facts(ran_on="t9"), facts(after="t1+changes")])
def test_a_tree_that_is_not_the_one_the_checks_ran_on_is_not_accepted(seen: Observations):
    held = walk(prepared("tier3", conforms=True), seen, verdict())
    assert held.held_by is not None
    refused = held_back(verdict(), held)
    assert refused.colour is Colour.REFUSED
    assert refused.reason_code == "PHASE_GATE"
    assert refused.findings[-1].rule == "phase.gate"
