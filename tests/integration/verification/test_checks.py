"""CheckRunner with real commands in real folders."""

from __future__ import annotations

import hashlib
import os
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from orchestrator.errors import StoreError
from orchestrator.protocol.evidence import CommandRun
from orchestrator.runtime.cancel import CancelToken
from orchestrator.verification.bytecode import sweep_bytecode
from orchestrator.verification.checks import CheckRunner

PYTHON = sys.executable
PREFIX = ".artifacts/agent_runs/R/steps/S1/rounds/R0S0"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    folder.mkdir()
    return folder


def check(tree: Path, *commands: str, **more: object) -> tuple[CommandRun, ...]:
    arguments: dict[str, Any] = {
        "tree_dir": str(tree),
        "tree": "tree-1",
        "evidence_dir": str(tree.parent / "evidence"),
        "evidence_prefix": PREFIX,
        "timeout_sec": 20,
        "env": os.environ,
    }
    runner = more.pop("runner", None) or CheckRunner(grace_sec=0.2)
    return runner.run_checks(commands, **(arguments | more))


def test_each_command_is_run_and_what_it_printed_is_kept_and_hashed(tree: Path) -> None:
    first, second = check(tree, "echo out; echo err >&2; exit 3", "test -d .")
    assert (first.ending, first.exit_code, first.used_shell) == ("exited", 3, True)
    assert (second.exit_code, second.used_shell, second.argv) == (0, False, ("test", "-d", "."))
    assert (first.index, second.index, first.tree) == (0, 1, "tree-1")
    assert first.stdout is not None
    assert first.stdout.path == f"{PREFIX}/outputs/cmd_0.stdout.txt"
    assert first.stdout.sha256 == hashlib.sha256(b"out\n").hexdigest()
    kept = tree.parent / "evidence" / "outputs" / "cmd_0.stderr.txt"
    assert kept.read_bytes() == b"err\n"
    assert first.tail == "out\n\nerr"
    assert first.harness_fault is None


def test_every_command_runs_also_after_one_that_failed(tree: Path) -> None:
    assert [run.exit_code for run in check(tree, "false", "exit 2", "true")] == [1, 2, 0]


def test_a_steering_variable_of_the_caller_never_reaches_a_check(tree: Path) -> None:
    env = {**os.environ, "PYTHONPATH": "/evil", "PYTEST_ADDOPTS": "--co", "GIT_DIR": "/evil"}
    (run,) = check(tree, "env", env=env)
    printed = (tree.parent / "evidence/outputs/cmd_0.stdout.txt").read_text()
    assert "evil" not in printed
    assert "--co" not in printed
    assert "PYTHONDONTWRITEBYTECODE=1" in printed
    assert run.exit_code == 0


def test_equal_surroundings_have_equal_digests_and_the_private_folder_goes(tree: Path) -> None:
    first, second = check(tree, 'echo "$TMPDIR"; touch "$TMPDIR/x"', "true")
    assert first.environment_digest == second.environment_digest
    folder = (tree.parent / "evidence/outputs/cmd_0.stdout.txt").read_text().strip()
    assert folder
    assert not Path(folder).exists()
    assert check(tree, "true")[0].environment_digest == first.environment_digest


def test_a_program_that_does_not_exist_is_a_fault_of_the_harness(tree: Path) -> None:
    missing, in_shell, placeholder = check(
        tree, "no-such-program-here -x", "no-such-program-here | cat; exit 127", "run <name>"
    )
    assert (missing.ending, missing.exit_code) == ("not_started", None)
    assert missing.harness_fault
    assert in_shell.exit_code == 127
    assert placeholder.ending == "not_started"
    assert "never filled in" in (placeholder.harness_fault or "")


def test_a_missing_test_tool_is_a_fault_of_the_harness_and_a_missing_product_is_not(
    tree: Path,
) -> None:
    tool, product = check(tree, f"{PYTHON} -I -S -m pytest", f"{PYTHON} -I -S -m product_x")
    assert tool.exit_code == product.exit_code == 1
    assert "no module named pytest" in (tool.harness_fault or "")
    assert product.harness_fault is None


def test_a_check_that_runs_on_is_stopped_and_says_so(tree: Path) -> None:
    (run,) = check(tree, "cat /dev/zero >/dev/null", timeout_sec=0.1)
    assert (run.ending, run.harness_fault) == ("runtime_exceeded", None)


def test_a_check_that_floods_is_stopped_and_its_output_stays_small(tree: Path) -> None:
    (run,) = check(tree, "cat /dev/zero", runner=CheckRunner(max_output_mb=1, grace_sec=0.2))
    assert run.ending == "output_exceeded"
    assert run.stdout is not None
    assert run.stdout.truncated
    assert run.stdout.size_bytes < 2 * 1024 * 1024


def test_a_kill_from_outside_is_a_fault_of_the_harness_and_a_crash_is_not(tree: Path) -> None:
    killed, crashed = check(tree, "kill -9 $$", "kill -11 $$")
    assert (killed.ending, killed.signal) == ("signalled", 9)
    assert "SIGKILL" in (killed.harness_fault or "")
    assert (crashed.ending, crashed.signal, crashed.harness_fault) == ("signalled", 11, None)


def test_a_cancel_ends_the_command_and_leaves_out_the_rest(tree: Path) -> None:
    cancel = CancelToken()
    runs = check(
        tree,
        "true",
        "cat /dev/zero >/dev/null",
        "true",
        cancel=cancel,
        on_event=lambda kind, data: _set_soon(cancel, kind, data["index"]),
    )
    assert [run.ending for run in runs] == ["exited", "cancelled"]


def _set_soon(cancel: CancelToken, kind: str, index: int) -> None:
    if kind == "check_started" and index == 1:
        threading.Timer(0.05, cancel.set).start()


def test_events_tell_the_start_and_the_end_of_each_check(tree: Path) -> None:
    seen: list[tuple[str, int]] = []
    check(tree, "true", "false", on_event=lambda kind, data: seen.append((kind, data["index"])))
    assert seen == [
        ("check_started", 0), ("check_ended", 0), ("check_started", 1), ("check_ended", 1),
    ]  # fmt: skip


def test_what_a_check_changes_in_the_tree_is_laid_to_the_last_run(tree: Path) -> None:
    runs = check(tree, "true", "touch new", tree_probe=lambda: ("tree-2", ["new"]))
    assert [run.changed_paths for run in runs] == [None, ("new",)]
    assert runs[-1].tree_after == "tree-2"


def test_force_and_masking_are_noted(tree: Path) -> None:
    free, masked, real = check(tree, "true", "false | cat", "test -d .")
    assert free.always_succeeds
    assert masked.failure_masked
    assert real.always_succeeds is None


def test_a_planted_link_for_the_output_folder_is_refused(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "evidence").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "evidence" / "outputs").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="symbolic link"):
        check(tree, "echo x")
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_no_command_is_no_run(tree: Path) -> None:
    assert check(tree) == ()


@pytest.mark.slow
def test_a_real_pytest_run_is_counted_and_leaves_no_bytecode(tree: Path) -> None:
    (tree / "test_a.py").write_text("def test_one():\n    pass\n\ndef test_two():\n    assert 0\n")
    command = f"{PYTHON} -m pytest -q -p no:cacheprovider"
    red, green, none = check(tree, command, f"{command} -k one", f"{command} -k nothing")
    assert red.tests is not None
    assert (red.exit_code, red.tests.executed, red.tests.failed) == (1, 2, 1)
    assert green.tests is not None
    assert (green.exit_code, green.tests.executed) == (0, 1)
    assert none.tests is not None
    assert (none.exit_code, none.tests.executed) == (5, 0)
    assert not (tree / "__pycache__").exists()


@pytest.mark.slow
def test_forged_bytecode_is_swept_before_the_check_would_believe_it(tree: Path) -> None:
    source = tree / "product.py"
    source.write_text("ANSWER = 42\n")
    command = f"{PYTHON} -c 'import product; assert product.ANSWER == 42'"
    code = "import py_compile; py_compile.compile('product.py', invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)"
    check(tree, f'{PYTHON} -c "{code}"')
    source.write_text("ANSWER = 7\n")
    assert check(tree, command)[0].exit_code == 0  # the lie works
    removed = sweep_bytecode(str(tree), ["product.py"])
    assert len(removed) == 1
    assert check(tree, command)[0].exit_code == 1


def test_the_sweep_follows_no_link_and_climbs_nowhere(tree: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside" / "__pycache__"
    outside.mkdir(parents=True)
    (outside / "a.cpython-311.pyc").write_bytes(b"x")
    (tree / "in").symlink_to(tmp_path / "outside")
    paths = ["in/__pycache__/a.cpython-311.pyc", "../outside/__pycache__/a.cpython-311.pyc",
             "in/a.py", str(outside / "a.cpython-311.pyc")]  # fmt: skip
    assert sweep_bytecode(str(tree), paths) == ()
    assert (outside / "a.cpython-311.pyc").exists()
