# ruff: noqa: ANN401  conftest.py cannot be imported, so its fixtures have no type here
from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from workflow_logger.entry import ChainHead, genesis, make_entry
from workflow_logger.errors import EntryError, LedgerError, LockedError, UsageError
from workflow_logger.files import Appender, append_entries, load_manifest, write_task_log
from workflow_logger.layout import Home, Layout
from workflow_logger.verify import verify_project

AT = "2026-01-31T23:59:59.123Z"


def make_lines(count: int, *, tasks: int = 2, project_id: str = "demo") -> list[bytes]:
    """Entries of `tasks` tasks in turn; every fifth belongs to the project."""
    project = genesis(project_id)
    heads: dict[str, ChainHead] = {}
    lines = []
    for index in range(count):
        task_id = "" if index % 5 == 4 else f"T-{index % tasks}"
        entry = make_entry(
            project,
            heads.get(task_id, genesis(project_id)),
            project_id=project_id,
            task_id=task_id,
            kind="decision",
            at=AT,
            body={"n": index},
        )
        project, heads[task_id] = entry.heads
        lines.append(entry.line)
    return lines


def verify(root: Path, name: str = "demo") -> Any:
    return verify_project(root, name, public_key=None, anchor=None)


def events(root: Path) -> bytes:
    return (root / "demo" / "events.jsonl").read_bytes()


def test_entries_are_appended_to_the_project_and_to_their_tasks(tmp_path: Path) -> None:
    lines = make_lines(10)
    assert append_entries(tmp_path, "demo", lines).written == 10
    assert events(tmp_path) == b"".join(lines)
    task = (tmp_path / "demo/tasks/T-0/events.jsonl").read_bytes()
    assert task == b"".join(line for line in lines if b'"task_id":"T-0"' in line)
    assert verify(tmp_path).ok


def test_appending_again_writes_nothing(tmp_path: Path) -> None:
    lines = make_lines(10)
    append_entries(tmp_path, "demo", lines)
    again = append_entries(tmp_path, "demo", lines[3:])
    assert (again.written, again.skipped) == (0, 7)
    assert events(tmp_path) == b"".join(lines)


def test_an_overlap_writes_only_what_is_new(tmp_path: Path) -> None:
    lines = make_lines(20)
    with Appender(tmp_path, "demo") as appender:
        appender.append(lines[:8], durable=False)
        done = appender.append(lines[5:20], durable=False)
    assert (done.written, done.skipped) == (12, 3)
    assert verify(tmp_path).ok


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_torn_last_line_is_cut_off_and_reported(tmp_path: Path, cut: int) -> None:
    lines = make_lines(6)
    append_entries(tmp_path, "demo", lines[:5])
    with (tmp_path / "demo/events.jsonl").open("ab") as file:
        file.write(lines[5][:cut])
    done = append_entries(tmp_path, "demo", lines[5:])
    assert (done.written, done.repaired_bytes) == (1, cut)
    assert verify(tmp_path).ok


def test_a_torn_task_file_is_cut_off_and_brought_up(tmp_path: Path) -> None:
    lines = make_lines(8, tasks=1)
    append_entries(tmp_path, "demo", lines[:4])
    path = tmp_path / "demo/tasks/T-0/events.jsonl"
    path.write_bytes(path.read_bytes()[:-10])
    append_entries(tmp_path, "demo", lines)
    assert verify(tmp_path).ok


def test_a_task_file_left_behind_by_a_dead_writer_is_brought_up(tmp_path: Path) -> None:
    lines = make_lines(9)
    append_entries(tmp_path, "demo", lines[:8])
    for task_id in ("T-0", "T-1"):
        path = tmp_path / f"demo/tasks/{task_id}/events.jsonl"
        path.write_bytes(path.read_bytes().splitlines(keepends=True)[0])
    assert not verify(tmp_path).ok
    assert append_entries(tmp_path, "demo", lines[8:]).healed > 0
    assert verify(tmp_path).ok


def test_asking_for_the_head_brings_task_files_up(tmp_path: Path) -> None:
    append_entries(tmp_path, "demo", make_lines(8))
    path = tmp_path / "demo/tasks/T-0/events.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    (tmp_path / "demo/tasks/T-1/events.jsonl").unlink()
    assert not verify(tmp_path).ok
    with Appender(tmp_path, "demo") as appender:
        assert appender.head() is not None
    assert verify(tmp_path).ok


def test_an_entry_from_an_old_head_is_refused_as_a_fork(tmp_path: Path) -> None:
    lines = make_lines(6)
    append_entries(tmp_path, "demo", lines)
    other = make_entry(
        genesis("demo"),
        genesis("demo"),
        project_id="demo",
        task_id="T-0",
        kind="decision",
        at=AT,
        body={"n": "other"},
    )
    before = events(tmp_path)
    with pytest.raises(LedgerError, match="another entry stands there"):
        append_entries(tmp_path, "demo", [other.line])
    assert events(tmp_path) == before


def test_a_gap_is_refused(tmp_path: Path) -> None:
    lines = make_lines(6)
    append_entries(tmp_path, "demo", lines[:3])
    with pytest.raises(LedgerError, match="expected seq 3, found 4"):
        append_entries(tmp_path, "demo", lines[4:])
    with pytest.raises(LedgerError, match="expected seq 4"):
        append_entries(tmp_path, "demo", [lines[3], lines[5]])
    assert events(tmp_path) == b"".join(lines[:3])


def test_entries_of_another_ledger_are_refused(tmp_path: Path) -> None:
    append_entries(tmp_path, "demo", make_lines(3))
    with pytest.raises(LedgerError):
        append_entries(tmp_path, "demo", make_lines(4, project_id="other")[3:])


def test_a_line_that_is_no_entry_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EntryError):
        append_entries(tmp_path, "demo", [b"{}\n"])
    assert not (tmp_path / "demo/events.jsonl").exists()


def test_an_appender_sees_what_another_one_wrote(tmp_path: Path) -> None:
    lines = make_lines(12)
    with Appender(tmp_path, "demo") as one, Appender(tmp_path, "demo") as two:
        for index, line in enumerate(lines):
            (one if index % 2 else two).append([line], durable=False)
    assert verify(tmp_path).ok
    assert events(tmp_path) == b"".join(lines)


def test_an_appender_notices_a_file_that_was_replaced(tmp_path: Path) -> None:
    lines = make_lines(6)
    with Appender(tmp_path, "demo") as appender:
        appender.append(lines[:4], durable=False)
        path = tmp_path / "demo/events.jsonl"
        staged = path.with_suffix(".new")
        staged.write_bytes(b"".join(lines[:2]))
        staged.replace(path)
        assert appender.head() == ChainHead(2, _hash(lines[1]))


def _hash(line: bytes) -> str:
    from workflow_logger.entry import parse_line

    return parse_line(line).hash


@pytest.mark.slow
def test_more_tasks_in_one_batch_than_are_kept_open(tmp_path: Path) -> None:
    lines = make_lines(700, tasks=650)
    assert append_entries(tmp_path, "demo", lines, durable=False).written == 700
    assert verify(tmp_path).ok


def test_the_files_can_be_rebuilt_byte_for_byte(tmp_path: Path) -> None:
    lines = make_lines(30, tasks=3)
    append_entries(tmp_path / "one", "demo", lines, durable=False)
    with Appender(tmp_path / "two", "demo") as appender:
        for line in lines:
            appender.append([line], durable=False)
    for path in (tmp_path / "one").rglob("*"):
        if path.is_file() and path.name != ".lock":
            twin = tmp_path / "two" / path.relative_to(tmp_path / "one")
            assert twin.read_bytes() == path.read_bytes()


@pytest.mark.parametrize("name", ["..", "a/b", "", ".hidden", "x" * 129, "a\0b", "a\\b"])
def test_a_name_that_is_no_folder_of_ours_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError):
        Layout.of(tmp_path, name)
    with pytest.raises(UsageError):
        Layout.of(tmp_path, "demo").task_dir(name)


def test_the_home_is_taken_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORCHESTRATOR_HOME", "/elsewhere")
    home = Home.default()
    assert home.key("p") == Path("/elsewhere/keys/p.key")
    assert home.trusted("p") == Path("/elsewhere/trusted/p.vkey")
    assert home.anchor("p") == Path("/elsewhere/anchors/p.note")
    monkeypatch.delenv("ORCHESTRATOR_HOME")
    assert Home.default().path.name == "orchestrator"


def test_a_held_lock_is_reported_with_exit_code_75(tmp_path: Path) -> None:
    lines = make_lines(2)
    holder = Appender(tmp_path, "demo")
    waiter = Appender(tmp_path, "demo", lock_timeout_sec=0.05)
    with holder.locked(), pytest.raises(LockedError) as caught:
        waiter.append(lines, durable=False)
    assert caught.value.exit_code == 75
    assert waiter.append(lines, durable=False).written == 2


def test_a_missing_manifest_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no ledger of project demo"):
        load_manifest(Layout.of(tmp_path, "demo"))


def test_a_task_log_is_rendered_from_entries(tmp_path: Path) -> None:
    append_entries(tmp_path, "demo", make_lines(4))
    text = write_task_log(tmp_path, "demo", "T-1").read_text()
    assert text.startswith("# T-1\n")
    assert '"n": 1' in text


WRITER = """
import sys
from workflow_logger.entry import genesis, make_entry
from workflow_logger.files import Appender
root, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
with Appender(root, "demo") as appender:
    head = None
    task = genesis("demo")
    for index in range(count):
        with appender.locked():
            entry = make_entry(
                appender.head() or genesis("demo"), task, project_id="demo", task_id=name,
                kind="decision", at="2026-01-31T23:59:59.123Z", body={"n": index},
            )
            appender.append([entry.line], durable=index % 10 == 0)
        task = entry.heads.task
        print(index, flush=True)
"""


def start_writer(root: Path, name: str, count: int) -> subprocess.Popen[bytes]:
    repository = str(Path(__file__).resolve().parents[3])
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(root), name, str(count)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": repository},
    )


@pytest.mark.slow
def test_processes_that_append_at_once_lose_nothing_and_fork_nothing(tmp_path: Path) -> None:
    writers = [start_writer(tmp_path, f"T-{index}", 60) for index in range(3)]
    for writer in writers:
        out, _ = writer.communicate(timeout=60)
        assert writer.returncode == 0
        assert len(out.splitlines()) == 60
    report = verify(tmp_path)
    assert report.ok, report.findings
    assert (report.entries, report.tasks) == (180, 3)


@pytest.mark.slow
@pytest.mark.parametrize("after", [1, 7, 23])
def test_a_writer_killed_in_the_middle_leaves_a_ledger_that_goes_on(
    tmp_path: Path, after: int
) -> None:
    with start_writer(tmp_path, "T-0", 100_000) as writer:
        assert writer.stdout is not None
        for _ in range(after):
            writer.stdout.readline()
        writer.kill()
    with Appender(tmp_path, "demo") as appender:
        head = appender.head()
        assert head is not None
        assert head.size >= after
        entry = make_entry(
            head,
            genesis("demo"),
            project_id="demo",
            task_id="T-1",
            kind="decision",
            at=AT,
            body={},
        )
        appender.append([entry.line], durable=True)
    report = verify(tmp_path)
    assert report.ok, report.findings
