"""Why a campaign stops, and what its report says."""

from __future__ import annotations

from dataclasses import replace

from orchestrator.kernel.campaign import Stop
from orchestrator.kernel.life import State
from orchestrator.kernel.records import Moment
from orchestrator.kernel.work import AttemptWindow, QueueEdit
from tests.unit.engine.world import ASKS, HONEST, MISSING, UNKNOWN, WRONG, Play, World


def test_it_works_until_the_queue_is_drained(world: World) -> None:
    world.queue("T-1", "T-2")
    report = world.engine().run_campaign()
    assert report.stop is Stop.DRAINED
    assert [item.task_key for item in report.cycles] == ["T-1", "T-2"]
    assert (report.not_accepted, report.awaiting) == (set(), set())
    assert world.kinds()[-1] == "run_ended"
    assert world.store.open_runs() == []


def test_it_stops_at_its_limit_of_cycles(world: World) -> None:
    world.queue("T-1", "T-2")
    report = world.engine().run_campaign(max_cycles=1)
    assert (report.stop, report.count) == (Stop.MAX_CYCLES, 1)
    assert world.store.task("T-2").state is State.PENDING


def test_it_stops_when_cycles_in_a_row_complete_nothing(world: World) -> None:
    world.queue("T-1", "T-2", "T-3")
    world.play(UNKNOWN)
    report = world.engine().run_campaign(max_stagnant_cycles=2)
    assert (report.stop, report.count) == (Stop.STAGNANT, 2)


def test_it_stops_when_cycles_in_a_row_fail_in_the_same_way(world: World) -> None:
    world.queue("T-1", "T-2", "T-3")
    world.play(WRONG)
    report = world.engine(max_rework_rounds=0).run_campaign(max_identical_failures=2)
    assert (report.stop, report.count) == (Stop.IDENTICAL_FAILURES, 2)
    assert report.not_accepted == {"T-1", "T-2"}


def test_another_failure_between_two_equal_ones_starts_the_count_again(world: World) -> None:
    world.queue("T-1", "T-2", "T-3")
    world.play(WRONG, replace(WRONG, outside=True), WRONG)
    report = world.engine(max_rework_rounds=0).run_campaign(max_identical_failures=2)
    assert (report.stop, report.count) == (Stop.DRAINED, 3)


def test_it_takes_nothing_new_once_a_stop_is_asked_and_lets_the_task_finish(world: World) -> None:
    world.queue("T-1", "T-2")

    def ask(at: World) -> None:
        at.stop.is_asked = True

    world.play(Play(act=ask))
    report = world.engine().run_campaign()
    assert (report.stop, report.count) == (Stop.INTERRUPTED, 1)
    assert world.store.task("T-1").state is State.COMPLETED
    assert world.store.task("T-2").state is State.PENDING


def test_it_waits_for_a_backoff_in_short_steps_and_publishes_before(world: World) -> None:
    world.queue("T-1", max_attempts=2)
    world.play(WRONG, HONEST)
    report = world.engine(max_rework_rounds=0, backoff_base_ms=1200).run_campaign()
    assert report.stop is Stop.DRAINED
    assert [item.state for item in report.cycles] == [State.PENDING, State.COMPLETED]
    assert world.clock.waits[:2] == [500, 500]
    assert all(0 < wait <= 500 for wait in world.clock.waits)
    assert report.not_accepted == set()  # put back once, accepted in the end


def test_a_task_added_while_it_runs_is_done_in_the_same_campaign(world: World) -> None:
    world.queue("T-1")
    first = world.parts.queue

    class Edited:
        """The queue as a person changes it between two cycles."""

        looks = 0

        def sync(self, moment: Moment, *, window: AttemptWindow | None = None) -> QueueEdit:
            self.looks += 1
            if self.looks == 4:  # after the first cycle
                world.queue("T-1", "T-2")
            return first.sync(moment, window=window)

    world.parts = replace(world.parts, queue=Edited())
    report = world.engine().run_campaign()
    assert [item.task_key for item in report.cycles] == ["T-1", "T-2"]


def test_a_broken_queue_is_refused_with_its_line_and_the_campaign_goes_on(world: World) -> None:
    world.queue("T-1", "T-2")
    world.play(Play(act=lambda at: at.queue_path.write_text('{\n "tasks": [,]}')), HONEST)
    report = world.engine().run_campaign()
    assert [item.state for item in report.cycles] == [State.COMPLETED, State.COMPLETED]
    assert report.edits_refused[0].startswith("task_queue.json:2:")


def test_a_worker_that_cannot_be_started_ends_it_with_the_reason(world: World) -> None:
    world.queue("T-1", "T-2")
    world.play(HONEST, MISSING)
    report = world.engine().run_campaign()
    assert report.stop is Stop.WORKER_UNAVAILABLE
    assert report.worker_error is not None
    assert report.count == 1
    assert world.store.task("T-2").state is State.PENDING


def test_tasks_that_wait_for_a_person_are_named(world: World) -> None:
    world.queue("T-1")
    world.play(ASKS)
    report = world.engine().run_campaign()
    assert (report.awaiting, report.not_accepted) == ({"T-1"}, set())


def test_the_session_log_has_the_runs_events_when_it_ends(world: World) -> None:
    world.queue("T-1")
    report = world.engine().run_campaign(run_id="night")
    assert report.run_id == "night"
    events = [event["event"] for event in world.sessions.events("night")]
    assert events == [
        "run_started", "claim", "prepare", "dispatch", "receive", "accept", "close", "run_ended",
    ]  # fmt: skip
    assert (world.folder / "sessions/night.jsonl").exists()
