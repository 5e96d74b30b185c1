from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from orchestrator.errors import ContractError, StoreError
from orchestrator.kernel.journey import Journey
from orchestrator.kernel.life import Event, State
from orchestrator.kernel.work import AttemptWindow, QueueEdit
from orchestrator.store import queuefile
from tests.integration.store.shop import (
    START_MS,
    Shop,
    add,
    assert_counters_agree,
    claim,
    complete,
    moment,
    step,
    to_review,
)

LATER = 10**12  # every file of the test is old then


def sync(shop: Shop, **more: Any) -> QueueEdit:  # noqa: ANN401  arguments of sync
    return shop.queue.sync(moment(LATER), **more)


def rows(shop: Shop, *keys: str, **fields: object) -> list[dict[str, object]]:
    return [{"task_key": key, **fields} for key in keys]


def edit(shop: Shop, change: dict[str, dict[str, object] | None]) -> None:
    """Write the file as a person does: take what is shown, change some rows, save."""
    shown = shop.shown()
    for key, fields in change.items():
        if fields is None:
            del shown[key]
        else:
            shown[key] = {"task_key": key, **shown.get(key, {}), **fields}
    shop.write_queue(shown.values())


@pytest.fixture
def filled(shop: Shop) -> Shop:
    shop.write_queue(rows(shop, "A", "B", "C"))
    assert sync(shop).added == ("A", "B", "C")
    shop.queue.write(moment(1))
    return shop


def test_a_new_file_is_imported_in_its_order(shop: Shop) -> None:
    shop.write_queue([*rows(shop, "B", "A"), {"task_key": "C", "depends_on": ["A"], "x_team": 1}])
    assert sync(shop) == QueueEdit(added=("B", "A", "C"), digest=sync_digest(shop))
    assert [task.key for task in shop.store.tasks()] == ["B", "A", "C"]
    assert shop.store.task("C").unmet == 1
    assert sync(shop).is_empty
    assert_counters_agree(shop.store)


def sync_digest(shop: Shop) -> str:
    return (shop.store.setting(f"queue_file:{shop.queue_path}") or "").partition(" ")[0]


def test_rows_are_added_changed_and_removed(filled: Shop) -> None:
    edit(filled, {"D": {"title": "new"}, "B": {"priority": 0}, "A": None})
    told = sync(filled)
    assert (told.added, told.changed, told.removed) == (("D",), ("B",), ("A",))
    looked = filled.store.peek(moment(LATER))
    assert looked is not None
    assert looked.key == "B"
    assert set(filled.states()) == {"B", "C", "D"}
    assert_counters_agree(filled.store)
    (entry,) = [one for one in filled.store.entries() if one["body"].get("changed_count")]
    assert entry["body"]["changed"] == {"B": ["priority"]}


def test_a_person_cancels_and_requeues(filled: Shop) -> None:
    task = claim(filled.store, key="B")
    to_review(filled.store, task)
    step(filled.store, task, Event.FAIL)
    filled.queue.write(moment(2))
    edit(filled, {"A": {"status": "cancelled"}, "B": {"status": "pending"}})
    assert set(sync(filled).moved) == {"A", "B"}
    assert filled.states() == {"A": "cancelled", "B": "pending", "C": "pending"}
    edit(filled, {"A": {"status": "pending"}})
    assert sync(filled).moved == ("A",)
    assert_counters_agree(filled.store)


def test_a_person_answers_a_task_that_awaits_approval(filled: Shop) -> None:
    for key, answer in (("A", "pending"), ("B", "cancelled")):
        task = claim(filled.store, key=key)
        to_review(filled.store, task)
        step(filled.store, task, Event.ASK, journey=Journey(attempts=1))
        filled.queue.write(moment(2))
        edit(filled, {key: {"status": answer}})
        assert sync(filled).moved == (key,)
    assert filled.states() == {"A": "pending", "B": "cancelled", "C": "pending"}
    assert filled.store.task("A").journey == Journey()
    assert_counters_agree(filled.store)


def test_a_wish_in_a_row_that_is_out_of_date_is_told_and_not_carried_out(filled: Shop) -> None:
    filled.queue.write(moment(1))
    old = filled.queue.path.read_bytes()
    task = claim(filled.store, key="A")
    to_review(filled.store, task)
    step(filled.store, task, Event.FAIL)
    complete(filled.store, "B", 3)
    filled.queue.write(moment(4))
    filled.queue.path.write_bytes(old)
    done = sync(filled)
    assert done.moved == ()
    (line,) = done.notes
    assert line.startswith("task_queue.json:")
    assert "A is failed since" in line
    assert filled.states()["A"] == "failed"


def test_a_held_task_is_not_picked_until_it_is_let_go(filled: Shop) -> None:
    edit(filled, {key: {"hold": True} for key in "ABC"})
    sync(filled)
    assert filled.store.peek(moment(LATER)) is None
    edit(filled, {"C": {"hold": False}})
    sync(filled)
    assert claim(filled.store, LATER).key == "C"


def test_our_own_view_is_never_imported(filled: Shop) -> None:
    complete(filled.store, "A")
    filled.queue.write(moment(3))
    size = filled.store.ledger.size()
    assert sync(filled).is_empty
    filled.reopen()
    assert sync(filled).is_empty
    assert filled.store.ledger.size() == size
    assert filled.shown()["A"]["status"] == "completed"


def test_the_view_shows_what_happened_beside_what_the_person_wrote(shop: Shop) -> None:
    shop.write_queue([{"task_key": "A", "title": "ü 🎉", "priority": "high", "x_a": [1, {"b": 2}]}])
    sync(shop)
    task = claim(shop.store)
    to_review(shop.store, task)
    journey = shop.store.task("A").journey
    more = {"journey": type(journey)(attempts=1), "reason": "CHECK_FAILED"}
    step(shop.store, task, Event.REQUEUE, **more)
    shop.queue.write(moment(3))
    assert shop.shown()["A"] == {
        "task_key": "A",
        "title": "ü 🎉",
        "priority": 1,
        "hold": False,
        "x_a": [1, {"b": 2}],
        "status": "pending",
        "reason": "CHECK_FAILED",
        "attempts": 1,
        "updated_at": moment(2).at,
    }


BROKEN = {
    "cut off": b'{"tasks": [\n {"task_key": "A"},',
    "unknown key": b'{"tasks": [\n {"task_key": "A", "titel": "x"}]}',
    "wrong type": b'{"tasks": [\n {"task_key": 7}]}',
    "twice": b'{"tasks": [\n {"task_key": "A"},\n {"task_key": "A"}]}',
    "empty": b"",
    "not UTF-8": b'{"tasks": [\n {"task_key": "A", "title": "\xff"}]}',
    "cycle": b'{"tasks": [\n {"task_key": "A", "depends_on": ["B"]},'
    b'\n {"task_key": "B", "depends_on": ["A"]}]}',
    "unknown dependency": b'{"tasks": [\n {"task_key": "A", "depends_on": ["Z"]}]}',
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_edit_is_refused_with_its_line_and_stays_as_it_is(filled: Shop, name: str) -> None:
    filled.queue_path.write_bytes(BROKEN[name])
    told = sync(filled)
    assert told.refused
    for line in told.refused:
        file, row, column, _ = line.split(":", 3)
        assert file == "task_queue.json"
        assert int(row) >= 1
        assert int(column) >= 1
    assert filled.queue.is_refused
    complete(filled.store, "A")
    filled.queue.write(moment(4))
    assert filled.queue_path.read_bytes() == BROKEN[name]
    view = json.loads((filled.folder / "task_queue.view.json").read_bytes())
    assert view["tasks"][0]["status"] == "completed"
    assert sync(filled).is_empty, "told once, not at each cycle"
    assert set(filled.states()) == {"A", "B", "C"}


def test_a_mended_edit_is_imported_and_the_view_moves_back(filled: Shop) -> None:
    shown = filled.queue_path.read_bytes()
    filled.queue_path.write_bytes(shown + b"}")
    assert sync(filled).refused
    filled.queue.write(moment(2))
    filled.queue_path.write_bytes(shown.replace(b'"hold": false', b'"hold": true', 1))
    assert sync(filled).changed == ("A",)
    filled.queue.write(moment(3))
    assert not (filled.folder / "task_queue.view.json").exists()
    assert filled.shown()["A"]["hold"] is True


def test_taking_a_broken_edit_back_is_enough(filled: Shop) -> None:
    shown = filled.queue_path.read_bytes()
    filled.queue_path.write_bytes(b"{")
    assert sync(filled).refused
    filled.queue_path.write_bytes(shown)
    assert sync(filled).is_empty
    assert not filled.queue.is_refused
    filled.queue_path.write_bytes(b"{")
    assert sync(filled).refused
    filled.queue_path.unlink()
    assert sync(filled).is_empty
    filled.queue.write(moment(2))
    assert set(filled.shown()) == {"A", "B", "C"}


def test_a_refused_edit_is_still_refused_after_a_restart(filled: Shop) -> None:
    filled.queue_path.write_bytes(b"[")
    assert sync(filled).refused
    filled.reopen()
    filled.queue.write(moment(2))
    assert filled.queue_path.read_bytes() == b"["
    assert sync(filled).refused


def test_a_removed_file_removes_no_task(filled: Shop) -> None:
    filled.queue_path.unlink()
    assert sync(filled).is_empty
    assert len(filled.states()) == 3


def test_an_edit_that_came_before_the_view_was_written_is_taken_and_told(filled: Shop) -> None:
    edit(filled, {"D": {}})
    filled.queue.write(moment(LATER))
    assert "D" in filled.shown()
    assert filled.states()["D"] is State.PENDING
    assert sync(filled).added == ("D",)
    assert sync(filled).is_empty


@pytest.mark.parametrize("how", ["renamed", "in place"])
def test_an_edit_made_while_the_view_is_written_is_not_lost(
    filled: Shop, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    chunks = filled.queue._chunks
    edits = [{"D": {"title": "in the middle"}}]

    def interrupted() -> object:
        yield from chunks()
        while edits:
            shown = filled.shown() | {"D": {"task_key": "D", **edits.pop()["D"]}}
            text = json.dumps({"tasks": list(shown.values())}).encode()
            if how == "in place":
                filled.queue_path.write_bytes(text)
            else:
                beside = filled.folder / "beside"
                beside.write_bytes(text)
                beside.replace(filled.queue_path)

    monkeypatch.setattr(filled.queue, "_chunks", interrupted)
    complete(filled.store, "A")
    filled.queue.write(moment(LATER))
    assert filled.states()["D"] is State.PENDING
    assert filled.shown()["D"]["title"] == "in the middle"
    assert filled.shown()["A"]["status"] == "completed"
    assert not [path.name for path in filled.folder.glob(".task_queue*")]


def test_an_edit_between_the_last_look_and_the_rename_is_swapped_back(
    filled: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    from orchestrator.store import files

    exchange, edits = (
        files._exchange,
        [b'[{"task_key": "A"}, {"task_key": "B"}, {"task_key": "C"}]'],
    )

    def late(staged: Path, path: Path) -> bool:
        if edits:
            path.write_bytes(edits.pop().replace(b'"C"', b'"C", "hold": true'))
        return exchange(staged, path)

    monkeypatch.setattr(files, "_exchange", late)
    filled.queue.write(moment(LATER))
    assert sync(filled).changed == ("C",)
    assert filled.shown()["C"]["hold"] is True


def test_an_edit_of_the_same_size_that_sets_the_time_back_is_noticed(filled: Shop) -> None:
    sync(filled)
    before = filled.queue_path.stat()
    filled.queue_path.write_bytes(filled.queue_path.read_bytes().replace(b'"A"', b'"Z"'))
    os.utime(filled.queue_path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert filled.queue_path.stat().st_ino == before.st_ino
    told = sync(filled)
    assert (told.added, told.removed) == (("Z",), ("A",))


def test_an_edit_within_one_tick_of_the_clock_is_noticed(
    filled: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A file system whose clock stands still: two writes look the same from outside.
    seen = queuefile.signature(filled.queue_path)
    monkeypatch.setattr(queuefile, "signature", lambda _path: seen)
    assert seen is not None
    now = moment(seen[2] // 1_000_000 - START_MS)
    assert filled.queue.sync(now).is_empty
    filled.queue_path.write_bytes(filled.queue_path.read_bytes().replace(b'"A"', b'"Z"'))
    assert filled.queue.sync(now).added == ("Z",)


# what has a record


def test_a_removed_task_with_a_record_is_cancelled_and_keeps_its_row(filled: Shop) -> None:
    task = claim(filled.store, key="A")
    to_review(filled.store, task)
    step(filled.store, task, Event.FAIL)
    edit(filled, {"A": None, "B": None})
    assert sync(filled).removed == ("A", "B")
    assert filled.states() == {"A": "cancelled", "C": "pending"}
    filled.queue.write(moment(3))
    assert set(filled.shown()) == {"C"}
    assert sync(filled).is_empty
    assert_counters_agree(filled.store)


def test_a_removed_task_that_comes_back_goes_on_with_its_record(filled: Shop) -> None:
    task = claim(filled.store, key="A")
    to_review(filled.store, task)
    step(filled.store, task, Event.FAIL)
    edit(filled, {"A": None})
    sync(filled)
    edit(filled, {"A": {"title": "again", "depends_on": ["B"]}})
    assert sync(filled).added == ("A",)
    back = filled.store.task("A")
    assert (back.state, back.attempt, back.unmet, back.spec.title) == ("pending", 0, 1, "again")
    assert back.journey.attempts == 0
    assert list(filled.states()) == ["B", "C", "A"]
    events = [entry["body"]["event"] for entry in filled.store.entries(task_id="A")]
    assert events[-3:] == ["fail", "cancel", "revive"]
    assert_counters_agree(filled.store)


def test_a_completed_task_cannot_come_back_under_its_key(filled: Shop) -> None:
    complete(filled.store, "A")
    filled.queue.write(moment(3))
    edit(filled, {"A": None})
    assert sync(filled).removed == ("A",)
    assert filled.states()["A"] is State.COMPLETED
    edit(filled, {"A": {}})
    (line,) = sync(filled).refused
    assert "record is closed" in line
    assert "new task_key" in line
    assert line.startswith("task_queue.json:")


def test_a_task_in_flight_cannot_be_removed(filled: Shop) -> None:
    claim(filled.store, key="A")
    edit(filled, {"A": None})
    assert "put the row back" in sync(filled).refused[0]


def test_a_task_that_was_never_shown_is_not_removed_by_an_older_file(filled: Shop) -> None:
    edit(filled, {"A": {"hold": True}})
    add(filled.store, "NEW")
    assert sync(filled).removed == ()
    assert "NEW" in filled.states()


def test_state_and_memory_of_an_edit_are_one_transaction(
    filled: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(_digest: str) -> None:
        raise StoreError("no", where="", mend="")

    edit(filled, {"D": {}})
    with monkeypatch.context() as patch:
        patch.setattr(filled.queue, "_remember", breaks)
        with pytest.raises(StoreError):
            sync(filled)
    assert "D" not in filled.states()
    filled.reopen()
    assert sync(filled).added == ("D",)


# while a worker runs


WINDOW = AttemptWindow("A_1", frozenset({"src/a.py", "packs/new.json"}))


@pytest.mark.parametrize(
    "change",
    [
        {"D": {}},
        {"D": {"step_pack": "packs/new.json"}},
        {"D": {"step_pack": "./packs/../packs/new.json"}},
        {"D": {"step_pack": "progress/pack.json"}},
        {"D": {"step_pack": "../pack.json"}},
        {"A": {"step_pack": "packs/old.json"}},
        {"A": {"max_attempts": 50}},
    ],
)
def test_what_a_worker_may_have_written_into_the_queue_is_held(
    filled: Shop, change: dict[str, dict[str, object] | None]
) -> None:
    before = filled.states()
    edit(filled, change)
    theirs = filled.queue_path.read_bytes()
    told = sync(filled, window=WINDOW)
    assert told.held_as == "task_queue.held-A_1.json"
    assert "queue-take" in told.refused[0]
    assert (filled.folder / told.held_as).read_bytes() == theirs
    assert filled.states() == before
    assert set(filled.shown()) == {"A", "B", "C"}
    assert sync(filled).is_empty

    taken = filled.queue.take(filled.folder / told.held_as, moment(LATER))
    assert taken.added + taken.changed == tuple(change)
    assert set(filled.shown()) == {"A", "B", "C", *change}


def test_what_only_reorders_is_let_through_while_a_worker_runs(filled: Shop) -> None:
    edit(filled, {"A": {"priority": 0, "hold": True}, "D": {"step_pack": "packs/old.json"}})
    told = sync(filled, window=WINDOW)
    assert (told.changed, told.added, told.held_as) == (("A",), ("D",), "")
    bodies = [entry["body"] for entry in filled.store.entries()]
    assert bodies[-1]["during_attempt"] == "A_1"


def test_a_held_edit_takes_nothing_away_that_came_after_it(filled: Shop) -> None:
    edit(filled, {"D": {}})
    held = sync(filled, window=WINDOW).held_as
    edit(filled, {"E": {}})
    assert sync(filled).added == ("E",)
    taken = filled.queue.take(filled.folder / held, moment(LATER))
    assert (taken.added, taken.removed) == (("D",), ())
    assert set(filled.states()) == {"A", "B", "C", "D", "E"}


def test_a_second_held_edit_does_not_replace_the_first(filled: Shop) -> None:
    names = []
    for key in ("D", "E"):
        edit(filled, {key: {}})
        names.append(sync(filled, window=WINDOW).held_as)
    assert names == ["task_queue.held-A_1.json", "task_queue.held-A_1-2.json"]


def test_a_file_that_cannot_be_taken_says_why(filled: Shop) -> None:
    bad = filled.folder / "bad.json"
    bad.write_text('[{"task_key": "A", "depends_on": ["Z"]}]')
    with pytest.raises(ContractError) as refused:
        filled.queue.take(bad, moment(LATER))
    assert refused.value.problems[0].startswith("bad.json:1:")
    with pytest.raises(StoreError, match="cannot be read"):
        filled.queue.take(filled.folder / "none.json", moment(LATER))


def test_a_writer_that_never_rests_does_not_stop_the_program(
    filled: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filled.queue, "_replace", lambda: False)
    before = filled.queue_path.read_bytes()
    filled.queue.write(moment(LATER))
    assert filled.queue_path.read_bytes() == before
    assert queuefile._TRIES < 10


@pytest.mark.parametrize("thing", ["pipe", "folder", "device", "giant"])
def test_what_is_no_file_is_refused_in_its_place_and_nobody_waits_for_it(
    filled: Shop, thing: str
) -> None:
    path = filled.queue.path
    before = path.read_bytes()
    path.unlink()
    if thing == "pipe":
        os.mkfifo(path)
    elif thing == "folder":
        path.mkdir()
    elif thing == "device":
        path.symlink_to("/dev/zero")
    else:
        with path.open("wb") as file:
            file.truncate(1 << 40)
    (line,) = sync(filled).refused
    assert line.startswith("task_queue.json:1:1: : cannot be read: it ")
    assert sync(filled).is_empty  # told once
    filled.queue.write(moment(LATER))
    assert path.with_name("task_queue.view.json").is_file()
    if thing == "folder":
        path.rmdir()
    else:
        path.unlink()
    path.write_bytes(before)
    assert sync(filled).is_empty
    assert not filled.queue.is_refused
