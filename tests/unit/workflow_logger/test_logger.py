# ruff: noqa: ANN401  conftest.py cannot be imported, so its fixtures have no type here
from __future__ import annotations

import inspect
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_logger import WorkflowLogger
from workflow_logger.errors import (
    CanonicalError,
    IterationError,
    LedgerError,
    RefusedError,
    UsageError,
)
from workflow_logger.iteration import Iteration, allowed_next, check_close, check_next

FIELDS: dict[str, Any] = {
    "acceptance_snapshot": ["AC-1"],
    "code_change_summary": "Fix.",
    "result": "PASS",
    "reason_code": "PASS_ALL_CRITERIA",
}


def test_log_attempt_takes_what_seed_004_names() -> None:
    names = list(inspect.signature(WorkflowLogger.log_attempt).parameters)[1:]
    assert names == [
        "task_id",
        "r",
        "s",
        "acceptance_snapshot",
        "code_change_summary",
        "code_artifact_ref",
        "code_content",
        "executed_files",
        "executed_commands",
        "test_results",
        "result",
        "reason_code",
        "reason_detail",
        "next_action",
    ]


# -- the R/S protocol --------------------------------------------------------------------

PAIRS = [(r, s) for r in range(-1, 4) for s in range(-1, 4)]


@pytest.mark.parametrize("asked", PAIRS)
def test_the_first_attempt_is_r0_s0_and_nothing_else(asked: tuple[int, int]) -> None:
    if asked == (0, 0):
        assert check_next(None, *asked, closed=False) == Iteration(0, 0)
    else:
        with pytest.raises(IterationError, match=r"allowed: R0/S0 \(first\)"):
            check_next(None, *asked, closed=False)


@pytest.mark.parametrize("asked", PAIRS)
def test_after_r1_s1_only_a_retry_or_a_new_revision_follows(asked: tuple[int, int]) -> None:
    if asked in ((1, 2), (2, 0)):
        assert check_next((1, 1), *asked, closed=False) == asked
    else:
        expected = r"R1/S2 \(retry\) or R2/S0 \(new revision\)"
        with pytest.raises(IterationError, match=expected):
            check_next((1, 1), *asked, closed=False)


@given(st.tuples(st.integers(0, 99), st.integers(0, 99)), st.integers(0, 99), st.integers(0, 99))
@pytest.mark.slow
def test_nothing_follows_a_close(previous: tuple[int, int], r: int, s: int) -> None:
    with pytest.raises(IterationError, match="closed"):
        check_next(previous, r, s, closed=True)
    with pytest.raises(IterationError, match="closed already"):
        check_close(closed=True)


@given(st.lists(st.booleans(), max_size=20))
@pytest.mark.slow
def test_every_walk_of_allowed_steps_grows(choices: list[bool]) -> None:
    current: Iteration | None = None
    for choice in choices:
        following = allowed_next(current)[-1 if choice else 0]
        assert current is None or following > current
        current = check_next(current, *following, closed=False)


@pytest.mark.parametrize("bad", [True, "0", 0.0, None])
def test_a_number_that_is_no_integer_is_refused(bad: Any) -> None:
    with pytest.raises(IterationError):
        check_next(None, bad, 0, closed=False)


def test_a_refused_attempt_leaves_no_trace(ledger: Any) -> None:
    before = ledger.events.read_bytes()
    with pytest.raises(IterationError, match="the task is closed"):
        ledger.logger.log_attempt("T-1", 1, 1, **FIELDS)
    with pytest.raises(IterationError, match="R0/S1 is refused after no attempt"):
        ledger.logger.log_attempt("T-3", 0, 1, **FIELDS)
    with pytest.raises(IterationError, match="closed already"):
        ledger.logger.close_task("T-1", "accepted", "again")
    assert ledger.events.read_bytes() == before
    assert not (ledger.project / "tasks" / "T-3").exists()


# -- what is recorded --------------------------------------------------------------------


def test_every_call_is_anchored_when_it_returns(empty: Any) -> None:
    empty.logger.log_attempt("T-1", 0, 0, **FIELDS)
    report = empty.verify()
    assert report.is_anchored
    assert (report.entries, report.unanchored_entries) == (1, 0)
    assert empty.logger.verify_task_chain("T-1").ok


def test_the_first_call_makes_the_project(tmp_path: Path) -> None:
    logger = WorkflowLogger(tmp_path / "w", "demo", home=tmp_path / "home")
    logger.log_attempt("T-1", 0, 0, **FIELDS)
    key = tmp_path / "home/keys/demo.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert not any("key" in path.name for path in (tmp_path / "w").rglob("*"))
    assert logger.verify_project().is_anchored


def test_a_task_log_shows_each_attempt_and_cannot_be_fooled_by_fences(empty: Any) -> None:
    content = "```\n# not a heading\n````"
    empty.logger.log_attempt("T-1", 0, 0, **FIELDS, code_content=content)
    empty.logger.close_task("T-1", "accepted", "line one\n# line two")
    text = (empty.project / "tasks/T-1/task_log.md").read_text()
    assert "## R0/S0: PASS (PASS_ALL_CRITERIA)" in text
    assert f"`````\n{content}\n`````" in text
    assert "> # line two" in text


def test_large_code_becomes_an_artifact_that_is_verified(empty: Any, second_verifier: Any) -> None:
    content = "é = 1\r\n" * 1000
    empty.logger.log_attempt("T-1", 0, 0, **FIELDS, code_content=content)
    (path,) = (empty.project / "tasks/T-1/artifacts/R0S0").iterdir()
    assert path.read_bytes() == content.encode()
    assert empty.verify().ok
    for change, rule in ((b"x", "artifact.altered"), (None, "artifact.missing")):
        path.unlink() if change is None else path.write_bytes(change)
        assert rule in empty.rules()
        key = second_verifier.Key(empty.trusted.read_text())
        assert second_verifier.verify(empty.project, key, empty.anchor).errors


@pytest.mark.parametrize(
    "changes",
    [
        {"executed_files": "src/a.py"},
        {"executed_files": [1]},
        {"result": 1},
        {"test_results": None},
    ],
)
def test_a_field_of_the_wrong_type_is_refused(empty: Any, changes: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        empty.logger.log_attempt("T-1", 0, 0, **{**FIELDS, **changes})


def test_a_lone_surrogate_is_refused(empty: Any) -> None:
    with pytest.raises(CanonicalError):
        empty.logger.log_attempt("T-1", 0, 0, **{**FIELDS, "result": "\ud800"})
    assert not empty.events.exists()


@pytest.mark.parametrize("task_id", ["../T", "a/b", "", "."])
def test_a_task_that_would_leave_the_folder_is_refused(empty: Any, task_id: str) -> None:
    with pytest.raises(UsageError):
        empty.logger.log_attempt(task_id, 0, 0, **FIELDS)


# -- a writer never signs a fork ---------------------------------------------------------


def reopened(ledger: Any) -> WorkflowLogger:
    return WorkflowLogger(ledger.root, ledger.project_id, home=ledger.home)


def test_nothing_is_recorded_after_a_dropped_tail(ledger: Any) -> None:
    ledger.rewrite(ledger.lines()[:-2])
    with pytest.raises(LedgerError, match="tail was dropped"):
        reopened(ledger).log_attempt("T-1", 1, 1, **FIELDS)


def test_nothing_is_recorded_after_a_tail_dropped_with_its_checkpoints(ledger: Any) -> None:
    ledger.rewrite(ledger.lines()[:-2])
    ledger.notes.unlink()
    with pytest.raises(LedgerError, match="tail was dropped"):
        reopened(ledger).log_attempt("T-1", 1, 1, **FIELDS)


def test_nothing_is_recorded_after_a_history_with_new_hashes(ledger: Any) -> None:
    lines = ledger.lines()
    lines[0] = lines[0].replace(b"FAIL", b"PASS")
    ledger.rewrite(ledger.forge(lines))
    with pytest.raises(LedgerError, match="not those that were signed"):
        reopened(ledger).log_attempt("T-3", 0, 0, **FIELDS)


def test_a_running_logger_notices_a_dropped_tail(ledger: Any) -> None:
    ledger.logger.log_attempt("T-3", 0, 0, **FIELDS)
    ledger.rewrite(ledger.lines()[:-1])
    with pytest.raises(LedgerError, match="tail was dropped"):
        ledger.logger.log_attempt("T-3", 0, 1, **FIELDS)


def test_a_torn_last_line_is_mended_and_recording_goes_on(ledger: Any) -> None:
    with ledger.events.open("ab") as file:
        file.write(b'{"at":"2026')
    reopened(ledger).log_attempt("T-3", 0, 0, **FIELDS)
    report = ledger.verify()
    assert report.is_anchored
    assert (report.entries, report.findings) == (7, ())


def test_a_missing_private_key_is_named(ledger: Any) -> None:
    (ledger.home / "keys/demo.key").unlink()
    with pytest.raises(UsageError, match="no private key"):
        reopened(ledger).log_attempt("T-3", 0, 0, **FIELDS)


def test_init_does_not_trust_a_new_key_in_place_of_the_old(ledger: Any) -> None:
    (ledger.home / "keys/demo.key").unlink()
    with pytest.raises(RefusedError, match="trusted here already"):
        reopened(ledger).init()


def test_verify_task_chain_raises_by_rule_and_line(ledger: Any) -> None:
    lines = ledger.lines()
    lines[2] = lines[2].replace(b"FAIL", b"PASS")
    ledger.rewrite(lines)
    with pytest.raises(LedgerError, match=r"entry\.edited") as caught:
        ledger.logger.verify_task_chain("T-1")
    assert caught.value.where == f"{ledger.events}:3"
    assert caught.value.exit_code == 1


def test_verify_task_chain_of_an_unknown_task_is_refused(ledger: Any) -> None:
    with pytest.raises(UsageError, match="no entry of task T-9"):
        ledger.logger.verify_task_chain("T-9")


def test_paths_of_keys_and_anchor_can_be_chosen(tmp_path: Path) -> None:
    paths = {"key": tmp_path / "a", "public_key": tmp_path / "b", "anchor": tmp_path / "c" / "n"}
    logger = WorkflowLogger(tmp_path / "w", "demo", home=tmp_path / "home", **paths)
    logger.log_attempt("T-1", 0, 0, **FIELDS)
    assert all(path.is_file() for path in paths.values())
    assert not (tmp_path / "home").exists()
    shutil.rmtree(tmp_path / "w")
    with pytest.raises(LedgerError, match="tail was dropped"):
        logger.init()


CHILD = """
import sys
from workflow_logger import WorkflowLogger
logger = WorkflowLogger(sys.argv[1], "demo", home=sys.argv[2])
for s in range(int(sys.argv[4])):
    logger.log_attempt(sys.argv[3], 0, s, ["AC-1"], "x", result="FAIL", reason_code="NO")
"""


@pytest.mark.slow
def test_loggers_in_several_processes_lose_nothing_and_fork_nothing(empty: Any) -> None:
    repository = str(Path(__file__).resolve().parents[3])
    children = [
        subprocess.Popen(
            [sys.executable, "-c", CHILD, str(empty.root), str(empty.home), f"T-{index}", "15"],
            env={**os.environ, "PYTHONPATH": repository},
        )
        for index in range(3)
    ]
    assert [child.wait(timeout=60) for child in children] == [0, 0, 0]
    report = empty.verify()
    assert report.is_anchored, report.findings
    assert (report.entries, report.tasks) == (45, 3)


@pytest.mark.slow
def test_importing_a_pure_module_loads_neither_cryptography_nor_click() -> None:
    code = (
        "import sys, workflow_logger.entry, workflow_logger.merkle, workflow_logger.checkpoint, "
        "workflow_logger.files, workflow_logger.verify; "
        "print([n for n in ('cryptography', 'click', 'filelock', 'platformdirs', 'zipfile', "
        "'orchestrator') if n in sys.modules])"
    )
    repository = str(Path(__file__).resolve().parents[3])
    out = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        check=True,
        text=True,
        env={**os.environ, "PYTHONPATH": repository},
    ).stdout
    assert out.strip() == "[]"
