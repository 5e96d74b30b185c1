from __future__ import annotations

import pytest

from orchestrator.errors import StoreError
from orchestrator.kernel.life import Event
from tests.integration.store.shop import PROJECT, Shop, add, claim, complete, moment, step


@pytest.fixture
def written(shop: Shop) -> Shop:
    add(shop.store, "A", "B", "C")
    complete(shop.store, "A")
    shop.files.bring_up(checkpoint=True, durable=True)
    return shop


def aside(shop: Shop) -> list[str]:
    return sorted(path.name for path in shop.ledger_root.iterdir() if path.name != PROJECT)


def agree(shop: Shop) -> None:
    assert shop.events.read_bytes() == shop.stored_bytes()
    report = shop.verify()
    assert report.ok, report.findings


def test_the_files_repeat_the_store_and_verify(written: Shop) -> None:
    agree(written)
    report = written.verify()
    assert (report.entries, report.unanchored_entries) == (written.store.ledger.size(), 0)
    assert written.home.anchor(PROJECT).exists()
    task_file = written.ledger_root / PROJECT / "tasks" / "A" / "events.jsonl"
    own = [line for line in written.stored_bytes().splitlines() if b'"task_id":"A"' in line]
    assert task_file.read_bytes().splitlines() == own


def test_each_time_only_what_is_new_is_appended(written: Shop) -> None:
    assert written.files.bring_up() == 0
    claim(written.store)
    assert written.files.bring_up() == 1
    written.reopen()
    assert written.files.bring_up() == 0
    complete(written.store, "C")
    assert written.files.bring_up(checkpoint=True) == 5
    agree(written)
    assert written.told == []


def test_files_that_a_crash_left_behind_are_brought_up(written: Shop) -> None:
    complete(written.store, "B")
    written.store.close()  # no close of the files: the program died
    written.open()
    assert written.files.bring_up(checkpoint=True) == 5
    agree(written)
    assert written.told == []


def test_a_torn_last_line_is_repaired(written: Shop) -> None:
    written.close()
    with written.events.open("ab") as file:
        file.write(b'{"at":"2027-01-15T08:00:00.000Z","bo')
    written.open()
    complete(written.store, "B")
    written.files.bring_up(checkpoint=True)
    agree(written)
    assert written.told == []


def edited(data: bytes) -> bytes:
    assert data.count(b'"lease_token":1') == 1
    return data.replace(b'"lease_token":1', b'"lease_token":7')


TAMPER = {
    "a field in the middle is edited": edited,
    "the tail is dropped": lambda data: b"".join(data.splitlines(keepends=True)[:-2]),
    "a line is removed": lambda data: b"".join(
        line for n, line in enumerate(data.splitlines(keepends=True)) if n != 2
    ),
    "a line is repeated": lambda data: data + data.splitlines(keepends=True)[-1],
    "a line is added": lambda data: data + b'{"event":"accept"}\n',
    "everything is replaced": lambda _data: b"nothing to see here\n",
    "the last line is edited": lambda data: data[:-20] + b"x" + data[-19:],
    "two lines change places": lambda data: b"".join(
        [data.splitlines(keepends=True)[n] for n in (0, 2, 1, 3, 4)]
    ),
}


@pytest.mark.parametrize("name", TAMPER)
@pytest.mark.parametrize("grows", [False, True])
def test_files_that_somebody_changed_are_put_aside_and_written_again(
    written: Shop, name: str, grows: bool
) -> None:
    written.close()
    theirs = TAMPER[name](written.events.read_bytes())
    written.events.write_bytes(theirs)
    written.open()
    if grows:
        complete(written.store, "B")
    written.files.bring_up(checkpoint=True)
    agree(written)
    (kept,) = aside(written)
    assert (written.ledger_root / kept / "events.jsonl").read_bytes() == theirs
    (told,) = written.told
    assert kept in told
    assert "changed from outside" in told


def test_a_change_while_the_program_runs_is_noticed_at_the_next_entry(written: Shop) -> None:
    data = written.events.read_bytes()
    written.events.write_bytes(data[: data.rindex(b"\n", 0, -1) + 1])
    complete(written.store, "B")
    written.files.bring_up(checkpoint=True)
    agree(written)
    assert len(aside(written)) == 1


def test_a_second_change_does_not_replace_what_was_put_aside(written: Shop) -> None:
    for _ in range(2):
        written.close()
        written.events.write_bytes(edited(written.events.read_bytes()))
        written.open()
        written.files.bring_up()
    assert aside(written) == [f"{PROJECT}.altered-1", f"{PROJECT}.altered-2"]
    agree(written)


def test_a_touched_file_with_the_same_bytes_is_left_alone(written: Shop) -> None:
    written.close()
    written.events.write_bytes(written.events.read_bytes())
    written.open()
    written.files.bring_up()
    assert written.told == []
    agree(written)


def test_removed_files_are_written_again(written: Shop) -> None:
    import shutil

    written.close()
    shutil.rmtree(written.ledger_root)
    written.open()
    written.files.bring_up(checkpoint=True)
    assert written.events.read_bytes() == written.stored_bytes()
    assert written.verify().ok


def test_an_older_store_put_in_place_is_refused(written: Shop) -> None:
    written.close()
    state = written.folder / "state.db"
    older = state.read_bytes()
    written.open()
    complete(written.store, "B")
    written.files.bring_up(checkpoint=True)
    written.close()
    files = written.events.read_bytes()
    state.write_bytes(older)
    written.open()
    with pytest.raises(StoreError, match="were signed") as refused:
        written.files.bring_up()
    assert "restore the newer one" in refused.value.mend
    assert written.events.read_bytes() == files
    assert aside(written) == []


def test_a_deleted_store_is_not_silently_begun_anew(written: Shop) -> None:
    written.close()
    for path in written.folder.glob("state.db*"):
        path.unlink()
    written.open()
    with pytest.raises(StoreError, match="holds 0 entries, but 6 were signed"):
        written.files.bring_up()
    assert written.events.stat().st_size > 0


def test_a_full_disk_is_not_taken_for_somebodys_change(
    written: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    def full(_handle: int, _data: object) -> int:
        raise OSError(28, "No space left on device")

    complete(written.store, "B")
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(StoreError, match="No space left"):
            written.files.bring_up()
    assert written.told == []
    assert aside(written) == []
    written.files.bring_up(checkpoint=True)
    agree(written)


def test_a_link_in_place_of_the_file_is_not_followed(written: Shop) -> None:
    written.close()
    victim = written.folder / "victim"
    victim.write_bytes(b"")
    written.events.unlink()
    written.events.symlink_to(victim)
    written.open()
    with pytest.raises(StoreError):
        written.files.bring_up()
    assert victim.read_bytes() == b""


def test_more_entries_than_one_batch_are_written_in_order(shop: Shop) -> None:
    add(shop.store, "A")
    task = claim(shop.store)
    with shop.store.transaction():
        for number in range(4100):
            shop.store.ledger.append(
                task_id="", kind="note", at=moment(number).at, run_id=None, body={"n": number}
            )
    step(shop.store, task, Event.PREPARE)
    assert shop.files.bring_up(checkpoint=True) == 4103
    agree(shop)
