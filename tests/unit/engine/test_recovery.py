"""What a dead controller leaves in each state is repaired once, and told."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.engine.recovery import recover
from orchestrator.errors import LeaseHeld
from orchestrator.kernel.journey import Limits
from orchestrator.kernel.life import Event, State
from orchestrator.kernel.records import Effect, Move, RunRecord, TaskRecord
from orchestrator.protocol.task import Task
from tests.unit.engine.world import CANCELLED, HONEST, WRONG, World

RUN = "dead-run"
PATH = (
    (Event.PREPARE, {"checkpoint_id": "cp"}),
    (Event.DISPATCH, {"attempt_id": "A_1", "revision": 0, "attempt": 0}),
    (Event.RECEIVE, {}),
    (Event.ORDER_REWORK, {"kind": "attempt"}),
)
REACHED = {
    State.CLAIMED: 0,
    State.PREPARED: 1,
    State.DISPATCHED: 2,
    State.IN_REVIEW: 3,
    State.REWORK: 4,
}


def attempt(**more: object) -> dict[str, Any]:
    return {"r": 0, "s": 0, "attempt_id": "A_1", "result": "refused", "reason_code": "X", **more}


def leave(world: World, state: State) -> TaskRecord:
    """Do what a controller did before it died."""
    world.queue("T-1")
    world.parts.queue.sync(world.clock.now())
    moment = world.clock.now()
    world.store.start_run(RunRecord(RUN, "campaign", 9, 9, "boot", "host", moment.at))
    task = world.store.claim_next(run_id=RUN, moment=moment, lease_until_ms=moment.ms + 1000)
    assert task is not None
    world.workplace.saved["cp"] = "base"
    for event, more in PATH[: REACHED[state]]:
        body = attempt() if event is Event.ORDER_REWORK else {}
        world.store.move(
            Move("T-1", event, world.clock.now(), RUN, task.lease_token, body=body, **more)
        )
    if REACHED[state] >= 2:
        world.workplace.tree = "half"
    return world.store.task("T-1")


@pytest.mark.parametrize("state", REACHED)
def test_a_task_in_flight_goes_back_to_the_queue_and_the_tree_with_it(
    world: World, state: State
) -> None:
    leave(world, state)
    engine = world.engine()
    engine.run_next_cycle(key="nobody")
    assert engine.recovered.dead_runs == (RUN,)
    assert engine.recovered.interrupted == ("T-1",)
    task = world.store.task("T-1")
    assert task.state is State.PENDING
    assert (task.journey.attempts, task.journey.interruptions) == (0, 1)
    assert world.workplace.tree == "base"
    assert world.processes.killed == (["A_1"] if REACHED[state] >= 2 else [])
    assert "recovered" in world.listener.names()
    assert world.store.pending_effects() == []


@pytest.mark.parametrize("state", REACHED)
def test_a_second_repair_finds_nothing(world: World, state: State) -> None:
    leave(world, state)
    recover(world.parts, run_id="now", limits=Limits())
    entries = world.kinds()
    assert recover(world.parts, run_id="now", limits=Limits()).is_empty
    assert world.kinds() == entries


@pytest.mark.parametrize("state", [State.DISPATCHED, State.IN_REVIEW])
def test_an_attempt_that_nobody_can_finish_is_closed_as_interrupted(
    world: World, state: State
) -> None:
    leave(world, state)
    recover(world.parts, run_id="now", limits=Limits())
    (entry,) = [item for item in world.store.entries() if item["kind"] == "attempt"]
    assert (entry["body"]["r"], entry["body"]["s"]) == (0, 0)
    assert entry["body"]["result"] == "interrupted"
    again = world.engine().run_next_cycle()
    assert again is not None
    assert [item.name for item in again.rounds] == ["R0S1"]


def test_an_effect_decided_and_not_done_is_done(world: World) -> None:
    task = leave(world, State.IN_REVIEW)
    world.store.move(
        Move(
            "T-1", Event.FAIL, world.clock.now(), RUN, task.lease_token, kind="attempt",
            body=attempt(), effects=(Effect("rollback", "rollback:A_1", {"checkpoint_id": "cp"}),),
        )
    )  # fmt: skip
    done = recover(world.parts, run_id="now", limits=Limits())
    assert (done.effects_done, done.interrupted) == (1, ())
    assert world.workplace.tree == "base"


def test_a_task_that_kills_its_controller_again_and_again_is_put_aside(world: World) -> None:
    leave(world, State.DISPATCHED)
    done = recover(world.parts, run_id="now", limits=Limits(max_interruptions=0))
    assert done.interrupted == ("T-1",)
    assert world.store.task("T-1").state is State.QUARANTINED
    assert world.workplace.tree == "base"


def test_a_run_of_another_host_keeps_its_task_until_its_lease_ends(world: World) -> None:
    leave(world, State.DISPATCHED)
    world.processes.elsewhere.add(RUN)
    with pytest.raises(LeaseHeld, match=RUN) as held:
        recover(world.parts, run_id="now", limits=Limits())
    assert "its lease ends at" in held.value.mend
    world.clock.ms = world.store.task("T-1").lease_until_ms
    done = recover(world.parts, run_id="later", limits=Limits())
    assert done.interrupted == ("T-1",)


def test_a_run_that_is_alive_is_left_alone(world: World) -> None:
    leave(world, State.DISPATCHED)
    world.processes.alive.add(RUN)
    with pytest.raises(LeaseHeld, match=RUN):
        world.engine().run_next_cycle()
    assert world.store.task("T-1").state is State.DISPATCHED
    assert world.processes.killed == []
    assert world.workplace.tree == "half"


def test_an_edit_of_the_queue_that_the_dead_runs_worker_could_have_made_is_held(
    world: World,
) -> None:
    leave(world, State.DISPATCHED)
    world.queue("T-1", max_attempts=9)
    recover(world.parts, run_id="now", limits=Limits())
    assert world.store.task("T-1").spec.max_attempts == 1
    assert list(world.folder.glob("task_queue.held-A_1.json"))


def test_an_edit_that_a_person_made_after_the_worker_had_ended_is_taken(world: World) -> None:
    leave(world, State.PREPARED)
    world.queue("T-1", "T-2")
    recover(world.parts, run_id="now", limits=Limits())
    assert world.store.task("T-2").state is State.PENDING


def test_a_single_step_of_a_dead_run_is_closed_and_its_worker_ended(world: World) -> None:
    moment = world.clock.now()
    world.store.start_run(RunRecord(RUN, "step", 9, 9, "boot", "host", moment.at))
    body = {"r": 0, "s": 0, "attempt_id": "A_1", "checkpoint_id": "cp", "evidence_run": "e"}
    world.store.note(moment=moment, run_id=RUN, kind="step_started", task_id="T-9", body=body)

    engine = world.engine()
    report = engine.dispatch_step_with_logging(world.packs.load(Task(task_key="T-9", title="t")))
    assert engine.recovered.interrupted == ("T-9",)
    assert world.processes.killed == ["A_1"]
    assert report.place.name == "R0S1"
    results = [e["body"]["result"] for e in world.store.entries() if e["kind"] == "attempt"]
    assert results == ["interrupted", "claimed PASS"]


def test_a_round_that_a_dead_controller_cost_is_not_taken_for_stagnation(world: World) -> None:
    world.queue("T-1")
    world.play(WRONG, CANCELLED, WRONG, HONEST)
    engine = world.engine()
    first = engine.run_next_cycle()  # refused once, then broken off in its rework round
    assert first is not None
    assert (first.reason, world.store.task("T-1").state) == ("INTERRUPTED", State.PENDING)
    again = engine.run_next_cycle()  # from the start: the same first failure, the same rework
    assert again is not None
    assert [item.colour for item in again.rounds] == ["refused", "accepted"]
