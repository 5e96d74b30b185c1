"""What is particular to the shim: its exact command line, its settings, its one argument."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from orchestrator.errors import StoreError, WorkerError
from orchestrator.runtime.wrapper import Limits
from orchestrator.worker.request import DispatchRequest, render_dry_run
from orchestrator.worker.shim_adapter import MAX_ARGUMENT_BYTES, ShimAdapter


def request(
    tmp_path: Path,
    payload: bytes = b'{"task_kind":"step"}',
    *,
    thread_id: str | None = None,
    backend: str | None = None,
    task_id: str = "T-1",
) -> DispatchRequest:
    return DispatchRequest(
        attempt_id="A_1",
        run_id="run-1",
        task_id=task_id,
        step_id="S1",
        round_name="R0S0",
        payload=payload,
        cwd=str(tmp_path),
        round_dir=str(tmp_path),
        env={"PATH": "/usr/bin:/bin", "SUBAGENT_STDOUT_MODE": "compact"},
        limits=Limits(max_runtime_sec=20),
        thread_id=thread_id,
        backend=backend,
    )


FLAGS = ["--run-id", "run-1", "--task-id", "T-1", "--step-id", "S1"]


def test_a_new_session_is_created(tmp_path: Path) -> None:
    argv = ShimAdapter().argv(request(tmp_path))
    assert argv == [
        "gxd-subagent-shim", "create", '{"task_kind":"step"}', "--backend", "codex", *FLAGS,
    ]  # fmt: skip


def test_a_session_is_resumed_with_its_thread(tmp_path: Path) -> None:
    argv = ShimAdapter(backend="claude").argv(request(tmp_path, thread_id="th-1"))
    assert argv[1:6] == ["resume", '{"task_kind":"step"}', "th-1", "--backend", "claude"]


def test_the_backend_of_the_request_wins(tmp_path: Path) -> None:
    argv = ShimAdapter(backend="claude").argv(request(tmp_path, backend="codex"))
    assert argv[argv.index("--backend") + 1] == "codex"


def test_a_dry_run_can_be_pasted_into_a_shell(tmp_path: Path) -> None:
    argv = ShimAdapter().argv(request(tmp_path, b'{"a":"it\'s $HOME"}'))
    quoted = render_dry_run(argv)
    assert '"it\'"\'"\'s $HOME"' in quoted
    assert quoted.startswith("gxd-subagent-shim create ")


def test_the_settings_of_the_shim_are_ours(tmp_path: Path) -> None:
    environment = ShimAdapter(artifacts_root="runs").environment(request(tmp_path))
    assert {key: value for key, value in environment.items() if key.startswith("SUB")} == {
        "SUBAGENT_BACKEND": "codex",
        "SUBAGENT_RUN_ID": "run-1",
        "SUBAGENT_ARTIFACTS_ROOT": "runs",
        "SUBAGENT_SAVE_RAW_IO": "1",
        "SUBAGENT_LEGACY_LOG": "0",
        "SUBAGENT_STDOUT_MODE": "raw",
        "SUBAGENT_VALIDATE_INPUT": "1",
        "SUBAGENT_VALIDATE_OUTPUT": "0",
    }


ECHO = "import json, sys; print(json.dumps({'task_id': 'T-1', 'step_id': 'S1', "


def test_the_largest_argument_arrives_whole(tmp_path: Path) -> None:
    body = b'{"a":"' + b"x" * (MAX_ARGUMENT_BYTES - 8) + b'"}'
    assert len(body) == MAX_ARGUMENT_BYTES
    code = ECHO + "'result': 'PASS', 'summary': str(len(sys.argv[2]))}))"
    answer = ShimAdapter((sys.executable, "-c", code)).dispatch(request(tmp_path, body))
    assert answer.result is not None
    assert answer.result.summary == str(MAX_ARGUMENT_BYTES)


def test_a_pack_beyond_one_argument_is_refused_whole(tmp_path: Path) -> None:
    body = b'{"a":"' + b"x" * (MAX_ARGUMENT_BYTES - 7) + b'"}'
    with pytest.raises(WorkerError, match=f"has {MAX_ARGUMENT_BYTES + 1} bytes") as caught:
        ShimAdapter().argv(request(tmp_path, body))
    assert "stdin" in caught.value.mend


@pytest.mark.parametrize("payload", [b"", b"--backend", b'do this: {"a":1}', b'{"a":"\0"}'])
def test_a_first_argument_that_is_not_pure_json_is_a_mistake(
    tmp_path: Path, payload: bytes
) -> None:
    with pytest.raises(ValueError, match="one JSON object"):
        ShimAdapter().argv(request(tmp_path, payload))


@pytest.mark.parametrize("task_id", ["--backend", "../T", "a b", ""])
def test_an_id_that_is_not_plain_is_refused(tmp_path: Path, task_id: str) -> None:
    with pytest.raises(WorkerError, match="cannot stand on a command line"):
        ShimAdapter().argv(request(tmp_path, task_id=task_id))


def test_a_round_folder_that_is_not_there_is_a_store_error(tmp_path: Path) -> None:
    asked = request(tmp_path / "gone")
    with pytest.raises((StoreError, WorkerError)):
        ShimAdapter((sys.executable, "-c", "pass")).dispatch(asked)


@pytest.mark.parametrize(
    "deed",
    ["os.remove(f)", "os.remove(f); os.mkfifo(f)", "os.remove(f); os.symlink('/dev/zero', f)"],
)
def test_a_worker_that_takes_its_own_output_away_has_no_answer(tmp_path: Path, deed: str) -> None:
    work = f"import os; print('{{}}', flush=True); f = 'worker_stdout.txt'; {deed}"
    answer = ShimAdapter((sys.executable, "-c", work)).dispatch(request(tmp_path))
    assert answer.result is None
    assert answer.parse_error is not None
    assert "stdout was taken away" in answer.parse_error


def test_nothing_of_our_own_environment_reaches_the_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUR_SECRET", "hush")
    code = "import os, " + ECHO.removeprefix("import ")
    code += "'result': 'PASS', 'summary': ' '.join(sorted(os.environ))}))"
    answer = ShimAdapter((sys.executable, "-c", code)).dispatch(request(tmp_path))
    assert answer.result is not None
    assert "OUR_SECRET" not in answer.result.summary
    assert "OUR_SECRET" in os.environ
    assert "SUBAGENT_RUN_ID" in answer.result.summary


def test_the_other_names_of_the_fields_are_understood(tmp_path: Path) -> None:
    code = ECHO + "'verdict': 'PASS', 'changed_files': ['a']}))"
    answer = ShimAdapter((sys.executable, "-c", code)).dispatch(request(tmp_path))
    assert answer.result is not None
    assert (answer.result.result, answer.result.files_changed) == ("PASS", ("a",))
