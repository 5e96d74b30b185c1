"""Every way in which one task's cycle can go."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from orchestrator.engine.reports import CycleReport
from orchestrator.errors import WorkerError, WorkspaceError
from orchestrator.kernel.life import State
from tests.unit.engine.world import (
    ASKS,
    CANCELLED,
    HONEST,
    MISSING,
    UNKNOWN,
    WRONG,
    Play,
    World,
)


def cycle(world: World, *, roll_back: bool = True, **limits: int) -> CycleReport:
    report = world.engine(roll_back=roll_back, **limits).run_next_cycle()
    assert report is not None
    return report


def test_honest_work_is_accepted_closed_and_kept(world: World) -> None:
    world.queue("T-1")
    report = cycle(world)
    assert (report.state, report.reason) == (State.COMPLETED, "PASS_ALL_CRITERIA")
    assert world.kinds("T-1") == ["claim", "prepare", "dispatch", "receive", "accept", "close"]
    assert world.workplace.kept == [("accepted", "T-1", "done")]
    assert world.workplace.tree == "done"
    assert world.store.pending_effects() == []


def test_an_empty_queue_gives_no_report(world: World) -> None:
    world.queue()
    assert world.engine().run_next_cycle() is None


def test_a_task_whose_pack_cannot_be_read_is_blocked_with_the_lines(world: World) -> None:
    world.queue("T-1")
    world.packs.broken.add("T-1")
    report = cycle(world)
    assert (report.state, report.reason) == (State.BLOCKED, "STEP_PACK_REFUSED")
    assert report.problems == ("p.json:3:1: allowed_paths: missing",)
    assert world.worker.orders == []
    assert world.workplace.saved == {}


def test_a_task_that_is_not_ready_is_blocked(world: World) -> None:
    world.queue("T-1")
    world.contracts.not_ready.add("T-1")
    report = cycle(world)
    assert (report.state, report.reason) == (State.BLOCKED, "NOT_READY")


def test_refused_work_gets_one_more_round_in_its_session_and_is_accepted(world: World) -> None:
    world.queue("T-1")
    world.play(WRONG, HONEST)
    report = cycle(world)
    assert report.state is State.COMPLETED
    assert [item.name for item in report.rounds] == ["R0S0", "R1S0"]
    first, second = world.worker.orders
    assert (first.thread_id, second.thread_id) == (None, "th-1")
    rework = json.loads(second.payload)
    assert rework["revision"] == 1
    assert rework["allowed_paths"] == ["src/**"]
    assert "restore" not in world.listener.names()


def test_a_worker_without_a_session_gets_no_second_round(world: World) -> None:
    world.queue("T-1")
    world.play(replace(WRONG, thread_id=None))
    report = cycle(world)
    assert report.state is State.FAILED
    assert len(report.rounds) == 1


def test_when_the_rounds_are_used_up_the_task_fails_and_the_tree_is_as_before(
    world: World,
) -> None:
    world.queue("T-1")
    world.play(WRONG)
    report = cycle(world)
    assert (report.state, report.rolled_back) == (State.FAILED, True)
    assert world.workplace.tree == "base"
    assert world.workplace.kept == [("refused", "T-1", "half")]


def test_without_rolling_back_the_tree_stays_for_a_person(world: World) -> None:
    world.queue("T-1")
    world.play(WRONG)
    report = cycle(world, roll_back=False, max_rework_rounds=0)
    assert (report.state, report.rolled_back) == (State.FAILED, False)
    assert world.workplace.tree == "half"


def test_a_task_with_attempts_left_goes_back_to_the_queue_and_backs_off(world: World) -> None:
    world.queue("T-1", max_attempts=2)
    world.play(WRONG)
    report = cycle(world, max_rework_rounds=0, backoff_base_ms=5000)
    assert report.state is State.PENDING
    assert world.workplace.tree == "base"
    wake = world.store.next_wake_ms()
    assert wake is not None
    assert wake > world.clock.ms
    assert world.engine().run_next_cycle() is None  # not before its time
    world.clock.ms = wake
    world.play(HONEST)
    again = cycle(world)
    assert again.state is State.COMPLETED
    assert [item.name for item in again.rounds] == ["R0S1"]


def test_a_check_that_could_not_run_puts_the_task_aside_and_charges_nobody(world: World) -> None:
    world.queue("T-1")
    world.play(UNKNOWN)
    report = cycle(world)
    assert report.state is State.QUARANTINED
    task = world.store.task("T-1")
    assert (task.journey.attempts, task.journey.unknowns) == (0, 1)
    assert world.workplace.tree == "base"


def test_a_worker_that_cannot_go_on_makes_the_task_wait_for_a_person(world: World) -> None:
    world.queue("T-1")
    world.play(ASKS)
    report = cycle(world)
    assert (report.state, report.reason) == (State.AWAITING_APPROVAL, "WORKER_BLOCKED")


def test_blocked_is_no_excuse_for_work_outside_the_bounds(world: World) -> None:
    world.queue("T-1")
    world.play(replace(ASKS, tree="half", outside=True))
    report = cycle(world, max_rework_rounds=0)
    assert report.state is State.FAILED


def test_a_cancelled_worker_puts_the_task_back_uncharged(world: World) -> None:
    world.queue("T-1")
    world.play(CANCELLED)
    report = cycle(world)
    assert (report.state, report.reason) == (State.PENDING, "INTERRUPTED")
    assert report.was_stopped
    journey = world.store.task("T-1").journey
    assert (journey.attempts, journey.interruptions) == (0, 0)
    assert world.workplace.tree == "base"


def test_checks_that_a_person_broke_off_put_the_task_back_uncharged(world: World) -> None:
    world.queue("T-1")

    def force(at: World) -> None:
        at.stop.is_asked = at.stop.is_forced = True

    world.play(Play(act=force, check_ending="cancelled"))
    report = cycle(world)
    assert (report.state, report.reason) == (State.PENDING, "INTERRUPTED")
    assert world.workplace.tree == "base"


def test_a_worker_that_is_not_installed_is_an_error_and_counts_nothing(world: World) -> None:
    world.queue("T-1")
    world.play(MISSING)
    with pytest.raises(WorkerError):
        cycle(world)
    task = world.store.task("T-1")
    assert task.state is State.PENDING
    assert (task.journey.attempts, task.journey.interruptions) == (0, 0)
    assert world.store.open_runs() == []


def test_an_effect_that_fails_is_kept_and_done_by_the_next_start(world: World) -> None:
    world.queue("T-1")
    world.play(WRONG)
    world.workplace.broken = True
    with pytest.raises(WorkspaceError):
        cycle(world, max_rework_rounds=0)
    assert world.store.task("T-1").state is State.FAILED
    assert [effect.kind for effect in world.store.pending_effects()] == ["rollback"]
    assert world.workplace.tree == "half"

    world.workplace.broken = False
    engine = world.engine()
    assert engine.run_next_cycle() is None
    assert engine.recovered.effects_done == 1
    assert world.workplace.tree == "base"
    assert world.store.pending_effects() == []


def test_the_backend_is_chosen_by_task_then_queue_then_run(world: World) -> None:
    world.queue("T-1", "T-2", worker_backend="claude")
    world.engine().run_campaign(worker_backend_by_task={"T-2": "codex"})
    assert [order.backend for order in world.worker.orders] == ["claude", "codex"]


def test_a_named_task_is_run_before_its_turn(world: World) -> None:
    world.queue("T-1", "T-2")
    report = world.engine().run_next_cycle(key="T-2")
    assert report is not None
    assert report.task_key == "T-2"
    assert world.store.task("T-1").state is State.PENDING


def test_an_edit_of_the_queue_by_its_worker_is_held_and_reported(world: World) -> None:
    world.queue("T-1")
    world.play(Play(act=lambda at: at.queue("T-1", max_attempts=9)))
    report = world.engine().run_campaign()
    assert report.edits_refused
    assert world.store.task("T-1").spec.max_attempts == 1
    assert list(world.folder.glob("task_queue.held-*.json"))


def test_accepted_work_of_tier_3_is_held_where_its_contract_does_not_conform(world: World) -> None:
    world.queue("T-1")
    world.contracts.tier, world.contracts.conforms = "tier3", False
    report = cycle(world, max_rework_rounds=0)
    assert (report.state, report.reason) == (State.FAILED, "PHASE_GATE")
    assert world.workplace.tree == "base"


def test_work_of_tier_3_whose_contract_conforms_is_accepted(world: World) -> None:
    world.queue("T-1")
    world.contracts.tier, world.contracts.conforms = "tier3", True
    assert cycle(world).state is State.COMPLETED
