from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator.kernel.life import Event
from orchestrator.protocol.task import Task
from orchestrator.store.views import _SHARE, FileViews
from tests.integration.store.shop import (
    PROJECT,
    START_MS,
    Shop,
    add,
    claim,
    complete,
    moment,
    step,
    to_review,
)


class Stopwatch:
    """A clock that moves when it is told, and a little with each look."""

    def __init__(self) -> None:
        self.now = 0.0
        self.a_look_costs = 0.0

    def __call__(self) -> float:
        self.now += self.a_look_costs
        return self.now


@pytest.fixture
def watch() -> Stopwatch:
    return Stopwatch()


@pytest.fixture
def views(shop: Shop, watch: Stopwatch) -> FileViews:
    add(shop.store, "A", "B", Task(task_key="C", depends_on=("A",)), Task(task_key="D", hold=True))
    return open_views(shop, watch)


def open_views(shop: Shop, watch: Stopwatch) -> FileViews:
    return FileViews(
        shop.store, shop.queue, shop.files, shop.folder, project=PROJECT, monotonic=watch
    )


def load(folder: Path, name: str) -> Any:  # noqa: ANN401  any JSON
    return json.loads((folder / name).read_bytes())


def fail(shop: Shop, key: str) -> None:
    task = claim(shop.store, key=key)
    to_review(shop.store, task)
    step(shop.store, task, Event.FAIL, reason="CHECK_FAILED")


def test_everything_that_a_person_reads_is_written(shop: Shop, views: FileViews) -> None:
    complete(shop.store, "A")
    fail(shop, "B")
    views.publish(moment(5), now=True)
    board = load(shop.folder, "scoreboard.json")
    assert "B" in json.dumps(board), "the task selected last"
    assert load(shop.folder, "trends.json")["snapshots"][-1]["tasks"]["completed"] == 1
    assert set(shop.shown()) == {"A", "B", "C", "D"}
    summary = (shop.folder / "summary.md").read_text(encoding="utf-8")
    assert "CHECK_FAILED" in summary
    assert "held: a person set hold" in summary
    assert shop.verify().ok
    assert shop.verify().unanchored_entries == 0


def test_the_counters_of_the_views_are_the_stores(shop: Shop, views: FileViews) -> None:
    complete(shop.store, "A")
    fail(shop, "B")
    counters = views.counters()
    assert {name: count for name, count in counters.tasks.items() if count} == {
        "completed": 1,
        "failed": 1,
        "pending": 2,
    }
    assert (counters.outcomes["accepted"], counters.outcomes["refused"]) == (1, 1)
    assert counters.cycles == 2


def test_what_waits_and_what_is_ready_add_up(shop: Shop, views: FileViews) -> None:
    fail(shop, "B")
    task = claim(shop.store, key="A")
    to_review(shop.store, task)
    step(shop.store, task, Event.REQUEUE, not_before_ms=START_MS + 10**6)
    add(shop.store, "E")
    waiting, ready = views._pending(views.counters())
    assert {row.task_key for row in waiting.rows} == {"A", "C", "D"}
    assert (waiting.total, ready.total) == (3, 1)
    assert [row.task_key for row in ready.rows] == ["E"]


def test_a_view_that_takes_long_is_written_less_often(
    shop: Shop, views: FileViews, watch: Stopwatch
) -> None:
    summary = shop.folder / "summary.md"
    watch.a_look_costs = 1.0  # each view takes a second, then
    views.publish(moment(1))
    first = summary.read_bytes()
    complete(shop.store, "A")
    views.publish(moment(2))
    assert summary.read_bytes() == first
    watch.now += 2 * _SHARE
    views.publish(moment(3))
    assert summary.read_bytes() != first
    assert shop.shown()["A"]["status"] == "completed"


def test_at_the_end_everything_is_written_whatever_it_costs(
    shop: Shop, views: FileViews, watch: Stopwatch
) -> None:
    watch.a_look_costs = 1.0
    views.publish(moment(1))
    complete(shop.store, "A")
    views.publish(moment(2), now=True)
    assert shop.shown()["A"]["status"] == "completed"
    assert shop.events.read_bytes() == shop.stored_bytes()


def test_trends_go_on_after_a_restart(shop: Shop, views: FileViews, watch: Stopwatch) -> None:
    views.publish(moment(1), now=True)
    complete(shop.store, "A")
    shop.reopen()
    open_views(shop, watch).publish(moment(2), now=True)
    snapshots = load(shop.folder, "trends.json")["snapshots"]
    assert [row["number"] for row in snapshots] == [0, 1]


@pytest.mark.parametrize("damage", [b"", b"[]", b'{"snapshots": [{"number": "x"}]}', b"\xff"])
def test_a_damaged_view_starts_again(
    shop: Shop, views: FileViews, watch: Stopwatch, damage: bytes
) -> None:
    for name in ("trends.json", "scoreboard.json", "summary.md"):
        (shop.folder / name).write_bytes(damage)
    views.publish(moment(1), now=True)
    assert len(load(shop.folder, "trends.json")["snapshots"]) == 1


def test_nothing_new_makes_no_snapshot(shop: Shop, views: FileViews) -> None:
    for ms in range(1, 4):
        views.publish(moment(ms), now=True)
    assert len(load(shop.folder, "trends.json")["snapshots"]) == 1
