from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.errors import StoreError
from orchestrator.kernel.life import Event
from orchestrator.store.evidence import FileEvidence
from orchestrator.store.files import replace_file
from tests.integration.store.shop import Shop, add, claim, moment, open_store, step

BLOCK = b"x" * 4096


def mount(folder: Path, *options: str) -> None:
    done = subprocess.run(
        ["mount", "-t", "tmpfs", *options, "tmpfs", str(folder)], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip(f"needs the right to mount: {done.stderr.decode().strip()}")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount(folder, "-o", "size=2m")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path) -> Path:
    path = folder / "filler"
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(BLOCK)
        except OSError:
            pass
    return path


@pytest.mark.linux
def test_a_full_disk_is_told_and_nothing_is_half_decided(small_disk: Path) -> None:
    store = open_store(small_disk)
    add(store, "A")
    task = claim(store)
    filler = fill(small_disk)

    def note_on() -> None:
        for _ in range(200):  # the log may have some room left
            store.note(moment=moment(5), run_id=None, kind="note", body={"a": "b" * 4000})

    with pytest.raises(StoreError, match="cannot be written") as refused:
        note_on()
    assert "free some space" in refused.value.mend
    size = store.ledger.size()
    filler.unlink()
    step(store, task, Event.PREPARE)
    assert store.ledger.size() == size + 1
    store.close()


@pytest.mark.linux
def test_a_view_on_a_full_disk_leaves_the_old_one(small_disk: Path) -> None:
    path = small_disk / "view.json"
    replace_file(path, [b"old"])
    fill(small_disk)
    with pytest.raises(StoreError, match="cannot write") as refused:
        replace_file(path, [BLOCK] * 10)
    assert refused.value.where == str(path)
    assert path.read_bytes() == b"old"
    assert sorted(entry.name for entry in small_disk.iterdir()) == ["filler", "view.json"]


@pytest.mark.linux
def test_a_full_disk_while_the_ledgers_files_are_written_costs_nothing(small_disk: Path) -> None:
    shop = Shop(small_disk)
    add(shop.store, *(f"T-{n}" for n in range(20)))
    shop.files.bring_up(checkpoint=True)
    for n in range(20):
        claim(shop.store, n + 2)
    filler = fill(small_disk)
    with pytest.raises(StoreError):
        shop.files.bring_up(checkpoint=True)
    filler.unlink()
    shop.files.bring_up(checkpoint=True)
    assert shop.events.read_bytes() == shop.stored_bytes()
    assert shop.verify().ok
    assert shop.told == []
    shop.close()


@pytest.mark.linux
def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount(folder, "-o", "ro,size=1m")
    try:
        with pytest.raises(StoreError, match="cannot be written") as refused:
            open_store(folder)
        assert "make the folder writable" in refused.value.mend
        with pytest.raises(StoreError, match="cannot write"):
            replace_file(folder / "view.json", [b"x"])
        with pytest.raises(StoreError, match="cannot make the folder of evidence"):
            FileEvidence(folder).open_round(
                run_id="r", task_key="T", step_id="S1", attempt_id="A", revision=0, attempt=0
            )
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_file_where_a_folder_should_be_is_an_error_of_the_store(tmp_path: Path) -> None:
    (tmp_path / "progress").write_bytes(b"")
    with pytest.raises(StoreError, match="cannot be written"):
        open_store(tmp_path / "progress")
    with pytest.raises(StoreError, match="cannot write"):
        replace_file(tmp_path / "progress" / "view.json", [b"x"])


def test_a_link_planted_where_a_view_is_staged_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    (tmp_path / f".view.json.{os.getpid()}.new").symlink_to(victim)
    replace_file(tmp_path / "view.json", [b"new"])
    assert victim.read_bytes() == b"precious"
    assert (tmp_path / "view.json").read_bytes() == b"new"
    assert not (tmp_path / "view.json").is_symlink()


def test_a_view_that_breaks_off_leaves_the_old_one_and_no_litter(tmp_path: Path) -> None:
    path = tmp_path / "view.json"
    replace_file(path, [b"old"], durable=True)

    def chunks() -> Iterator[bytes]:
        yield b"new"
        raise KeyError

    with pytest.raises(KeyError):
        replace_file(path, chunks())
    assert [entry.name for entry in tmp_path.iterdir()] == ["view.json"]
    assert path.read_bytes() == b"old"
