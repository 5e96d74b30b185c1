"""One suite, every worker backend: how the port answers for each way a worker can behave."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.errors import WorkerError
from orchestrator.runtime.cancel import CancelToken
from orchestrator.runtime.environment import scrubbed
from orchestrator.runtime.outcome import Ending
from orchestrator.runtime.wrapper import Limits
from orchestrator.worker.command_adapter import CommandAdapter
from orchestrator.worker.request import DispatchAnswer, DispatchRequest, Worker, render_dry_run
from orchestrator.worker.shim_adapter import ShimAdapter

SCRIPT = str(Path(__file__).parents[2] / "examples" / "scripted_worker.py")
PYTHON = (sys.executable, "-S", "-E", SCRIPT)

ADAPTERS: dict[str, Callable[[], Worker]] = {
    "shim": lambda: ShimAdapter(PYTHON, backend="scripted"),
    "command, pack on stdin": lambda: CommandAdapter(PYTHON),
    "command, pack in a file": lambda: CommandAdapter((*PYTHON, "--pack={prompt_file}")),
}

PACK: dict[str, Any] = {
    "task_kind": "step",
    "task_id": "T-1",
    "run_id": "run-1",
    "step_id": "S1",
    "objective": "change a file",
    "acceptance_criteria": ["AC1: the file says new"],
    "commands_to_run": ["grep -q new a.txt"],
}
NEW = [{"path": "a.txt", "content": "new\n"}]


@pytest.fixture(params=ADAPTERS)
def worker(request: pytest.FixtureRequest) -> Worker:
    return ADAPTERS[request.param]()


class Stage:
    """A tree for the worker and folders for the evidence of its rounds."""

    def __init__(self, root: Path, worker: Worker) -> None:
        self.tree = root / "tree"
        self.tree.mkdir()
        (self.tree / "a.txt").write_text("old\n")
        self.rounds = root / "rounds"
        self.worker = worker

    def request(
        self,
        payload: dict[str, Any],
        *,
        thread_id: str | None = None,
        limits: Limits | None = None,
    ) -> DispatchRequest:
        number = len(list(self.rounds.glob("R*")))
        round_dir = self.rounds / f"R{number}S0"
        round_dir.mkdir(parents=True)
        return DispatchRequest(
            attempt_id=f"A_{number}",
            run_id="run-1",
            task_id="T-1",
            step_id="S1",
            round_name=round_dir.name,
            payload=json.dumps(payload).encode(),
            cwd=str(self.tree),
            round_dir=str(round_dir),
            env=scrubbed({"PATH": "/usr/bin:/bin"}),
            limits=limits or Limits(max_runtime_sec=20),
            thread_id=thread_id,
            grace_sec=0.2,
        )

    def play(self, play: str, *, limits: Limits | None = None, **script: object) -> DispatchAnswer:
        pack = {**PACK, "x_scripted": {"play": play, "edits": NEW, **script}}
        return self.worker.dispatch(self.request(pack, limits=limits))


@pytest.fixture
def stage(tmp_path: Path, worker: Worker) -> Stage:
    return Stage(tmp_path, worker)


def test_an_honest_worker_comes_back_with_its_claim(stage: Stage) -> None:
    answer = stage.play("honest")
    assert answer.parse_error is None
    assert answer.result is not None
    assert answer.result.result == "PASS"
    assert answer.result.attempt_id == "A_0"
    assert answer.result.files_changed == ("a.txt",)
    assert answer.thread_id == answer.result.thread_id is not None
    assert (answer.outcome.ending, answer.outcome.exit_code) == (Ending.EXITED, 0)
    assert (stage.tree / "a.txt").read_text() == "new\n"
    claimed = answer.result.commands_executed[0]
    assert claimed.exit_code == 0
    assert (stage.tree / claimed.evidence_path).exists()


def test_the_raw_output_lies_in_the_round(stage: Stage) -> None:
    answer = stage.play("honest")
    assert json.loads(Path(answer.raw_stdout_path).read_text())["result"] == "PASS"


def test_the_dry_run_is_what_is_run(stage: Stage) -> None:
    request = stage.request({**PACK, "x_scripted": {"play": "honest", "edits": NEW}})
    argv = stage.worker.argv(request)
    answer = stage.worker.dispatch(request)
    assert answer.argv == tuple(argv)
    assert "\n" not in render_dry_run(argv)


def test_a_resumed_session_remembers_its_step(stage: Stage) -> None:
    half = [{"path": "a.txt", "content": "half\n"}]
    first = stage.play("honest-after-rework", first_edits=half)
    assert first.result is not None
    assert (first.result.result, first.result.commands_executed[0].exit_code) == ("FAIL", 1)
    rework = {"feedback_kind": "rework", "task_id": "T-1", "step_id": "S1"}
    second = stage.worker.dispatch(stage.request(rework, thread_id=first.thread_id))
    assert second.result is not None
    assert second.result.result == "PASS"
    assert second.thread_id == first.thread_id
    assert (stage.tree / "a.txt").read_text() == "new\n"


@pytest.mark.parametrize(
    ("play", "limits", "ending"),
    [
        ("hangs", Limits(max_runtime_sec=0.4), Ending.RUNTIME_EXCEEDED),
        ("goes-silent", Limits(max_silence_sec=0.3, max_runtime_sec=20), Ending.SILENCE_EXCEEDED),
        ("eats-memory", Limits(max_memory_mb=100, max_runtime_sec=20), Ending.MEMORY_EXCEEDED),
        ("floods", Limits(max_output_mb=1, max_runtime_sec=20), Ending.OUTPUT_EXCEEDED),
        ("deaf", Limits(max_runtime_sec=0.4), Ending.RUNTIME_EXCEEDED),
    ],
)
@pytest.mark.slow
def test_a_worker_beyond_its_limits_is_ended_and_has_no_answer(
    stage: Stage, play: str, limits: Limits, ending: Ending
) -> None:
    answer = stage.play(play, limits=limits)
    assert answer.outcome.ending is ending
    assert answer.result is None
    assert answer.parse_error is not None
    assert answer.outcome.survivors == 0


@pytest.mark.slow
def test_a_deaf_grandchild_in_a_session_of_its_own_does_not_outlive_the_dispatch(
    stage: Stage,
) -> None:
    answer = stage.play("deaf", limits=Limits(max_runtime_sec=0.5))
    left = next(stage.tree.glob(".artifacts/**/grandchild.pid")).read_text()
    assert not Path(f"/proc/{left}").exists()
    assert answer.outcome.stragglers_killed >= 1


@pytest.mark.slow
def test_a_grandchild_that_an_honest_worker_leaves_is_ended_too(stage: Stage) -> None:
    answer = stage.play("leaves-processes")
    left = next(stage.tree.glob(".artifacts/**/grandchild.pid")).read_text()
    assert not Path(f"/proc/{left}").exists()
    assert answer.result is not None
    assert answer.outcome.stragglers_killed == 1


def test_a_worker_that_dies_in_the_middle_of_an_edit_has_no_answer(stage: Stage) -> None:
    answer = stage.play("dies")
    assert (answer.outcome.ending, answer.outcome.signal) == (Ending.SIGNALLED, 9)
    assert answer.result is None
    assert (stage.tree / "a.txt").read_text() == "ne"


@pytest.mark.parametrize(
    ("play", "reason"),
    [
        ("garbage", "not UTF-8"),
        ("two-results", "two results"),
        ("wrong-identity", "task_id 'T-1-other', expected 'T-1'"),
    ],
)
def test_an_answer_that_is_none_says_why(stage: Stage, play: str, reason: str) -> None:
    answer = stage.play(play)
    assert answer.result is None
    assert answer.parse_error is not None
    assert reason in answer.parse_error
    assert Path(answer.raw_stdout_path).stat().st_size > 0


def test_an_exit_code_is_told_whatever_the_claim_says(stage: Stage) -> None:
    answer = stage.play("exits-nonzero")
    assert answer.outcome.exit_code == 3
    assert answer.result is not None


def test_a_thread_id_that_would_be_an_option_is_refused_before_anything_runs(stage: Stage) -> None:
    request = stage.request(PACK, thread_id="--backend=evil")
    with pytest.raises(WorkerError, match="not a plain identifier"):
        stage.worker.dispatch(request)
    assert not list(Path(request.round_dir).iterdir())


def test_it_tells_when_it_starts_and_what_comes_out(stage: Stage) -> None:
    started: list[int] = []
    heard: list[tuple[str, bytes]] = []
    pack = {**PACK, "x_scripted": {"play": "honest", "edits": NEW}}
    stage.worker.dispatch(
        stage.request(pack),
        on_start=lambda identity: started.append(identity.pid),
        on_output=lambda stream, data: heard.append((stream, data)),
    )
    assert len(started) == 1
    assert b'"PASS"' in b"".join(data for stream, data in heard if stream == "stdout")
    assert any(stream == "stderr" for stream, _ in heard)


@pytest.mark.slow
def test_a_cancel_ends_it(stage: Stage) -> None:
    cancel = CancelToken()
    pack = {**PACK, "x_scripted": {"play": "goes-silent"}}
    answers: list[DispatchAnswer] = []

    def on_output(stream: str, data: bytes) -> None:
        cancel.set()

    def run() -> None:
        answers.append(
            stage.worker.dispatch(stage.request(pack), on_output=on_output, cancel=cancel)
        )

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(timeout=20)
    assert answers[0].outcome.ending is Ending.CANCELLED
    assert answers[0].result is None


@pytest.mark.parametrize(
    "worker",
    [ShimAdapter(("no-such-shim",)), CommandAdapter(("no-such-command",))],
    ids=["shim", "command"],
)
def test_a_missing_program_is_a_worker_error_with_a_mend(worker: Worker, tmp_path: Path) -> None:
    with pytest.raises(WorkerError, match="no-such-") as caught:
        Stage(tmp_path, worker).play("honest")
    assert caught.value.exit_code == 7
    assert "install" in caught.value.mend
