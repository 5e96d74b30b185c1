"""The state is the fold of the entries, and a store that says otherwise is noticed."""

from __future__ import annotations

import pytest

from orchestrator.engine.replay import compare, fold, story
from orchestrator.errors import TransitionError
from orchestrator.kernel.life import State
from tests.unit.engine.world import HONEST, UNKNOWN, WRONG, World


def ran(world: World) -> None:
    world.queue("T-1", "T-2", "T-3")
    world.play(HONEST, WRONG, WRONG, UNKNOWN)
    world.engine().run_campaign()


def test_the_entries_alone_give_the_state_of_the_store(world: World) -> None:
    ran(world)
    rebuilt = fold(world.store.entries())
    assert rebuilt == {task.key: task.state for task in world.store.tasks()}
    assert compare(rebuilt, rebuilt) == []


def test_an_edited_state_of_the_store_is_noticed(world: World) -> None:
    ran(world)
    stored = {task.key: task.state for task in world.store.tasks()} | {"T-2": State.COMPLETED}
    (difference,) = compare(fold(world.store.entries()), stored)
    assert (difference.task_id, difference.entries_say, difference.store_says) == (
        "T-2",
        "failed",
        "completed",
    )


def test_a_task_that_is_gone_from_the_store_is_noticed(world: World) -> None:
    ran(world)
    (difference,) = compare(fold(world.store.entries()), {"T-1": State.COMPLETED, "T-2": "failed"})
    assert (difference.task_id, difference.store_says) == ("T-3", "no such task")


def test_a_task_that_nobody_touched_waits(world: World) -> None:
    assert compare({}, {"T-1": State.PENDING}) == []


def test_an_entry_that_tells_an_illegal_move_is_named(world: World) -> None:
    ran(world)
    entries = list(world.store.entries())
    forged = {"event": "accept", "from": "pending", "to": "completed"}
    entries.append({"seq": 99, "task_id": "T-4", "kind": "attempt", "at": "", "body": forged})
    with pytest.raises(TransitionError, match="accept is not allowed while pending"):
        fold(entries)


def test_an_entry_that_was_left_out_is_noticed_at_the_next_one(world: World) -> None:
    ran(world)
    entries = [item for item in world.store.entries() if item["body"].get("event") != "receive"]
    with pytest.raises(TransitionError, match="starts from in_review"):
        fold(entries)


def test_an_entry_with_another_end_than_the_tables_is_noticed(world: World) -> None:
    ran(world)
    entries = list(world.store.entries())
    claim = next(item for item in entries if item["body"].get("event") == "claim")
    claim["body"]["to"] = "completed"
    with pytest.raises(TransitionError, match="the table says claimed"):
        fold(entries)


def test_the_story_has_a_line_for_each_entry_and_gives_reasons(world: World) -> None:
    ran(world)
    entries = list(world.store.entries())
    lines = story(entries)
    assert [line.seq for line in lines] == [item["seq"] for item in entries]
    told = [line.what for line in lines if line.task_id == "T-2" and line.kind == "attempt"]
    assert "COMMAND_FAILED" in told[0]
