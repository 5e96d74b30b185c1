"""The half of a dispatch that all backends share: run, keep the bytes, read the claim.

In the round's folder it leaves `worker_stdout.txt` and `worker_stderr.txt` (under the output cap).
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path

from orchestrator.errors import StoreError, WorkerError
from orchestrator.runtime.cancel import CancelToken
from orchestrator.runtime.outcome import Ending, Outcome
from orchestrator.runtime.wrapper import run
from orchestrator.worker.answer import Answer, Identity, parse_answer
from orchestrator.worker.plain import MAX_STDOUT_BYTES
from orchestrator.worker.request import DispatchAnswer, DispatchRequest, OnOutput, OnStart

STDOUT_FILE = "worker_stdout.txt"
STDERR_FILE = "worker_stderr.txt"


def require_program(program: str, request: DispatchRequest, *, mend: str) -> None:
    """Refuse a bare program name that the child's own PATH does not have. Raises WorkerError."""
    path = request.env.get("PATH", "")
    if "/" not in program and shutil.which(program, path=path) is None:
        raise WorkerError(
            f"the worker's program {program!r} is not there",
            where=f"attempt {request.attempt_id}, PATH={path}",
            mend=mend,
        )


def run_and_collect(
    request: DispatchRequest,
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    stdin: bytes | None,
    on_start: OnStart | None,
    on_output: OnOutput | None,
    cancel: CancelToken | None,
) -> DispatchAnswer:
    """Run `argv` under the request's limits and read its stdout.

    Raises:
        WorkerError: the program cannot be started.
        StoreError: the round's folder cannot be written.
    """
    stdout_path = f"{request.round_dir}/{STDOUT_FILE}"
    outcome = run(
        argv,
        cwd=request.cwd,
        env=env,
        limits=request.limits,
        stdout_path=stdout_path,
        stderr_path=f"{request.round_dir}/{STDERR_FILE}",
        stdin=stdin,
        marker=request.attempt_id,
        grace_sec=request.grace_sec,
        on_start=on_start,
        on_output=on_output,
        cancel=cancel,
    )
    answer = _read(request, outcome, stdout_path)
    return DispatchAnswer(
        argv=tuple(argv),
        outcome=outcome,
        result=answer.result,
        parse_error=answer.error,
        thread_id=answer.thread_id,
        raw_stdout_path=stdout_path,
        form=answer.form,
    )


def _read(request: DispatchRequest, outcome: Outcome, stdout_path: str) -> Answer:
    """Read the answer; one that was cut short, or whose worker was ended, is none."""
    if outcome.stdout.truncated:
        return _no_answer(request, f"stdout was cut at {outcome.stdout.kept_bytes} bytes")
    try:
        stdout = _bytes_of(stdout_path)
    except OSError as error:  # the worker can reach the folder of its round
        return _no_answer(request, f"stdout was taken away while it was written: {error.strerror}")
    # No attempt: agents number their own attempts, and this stdout can be of no other than ours.
    identity = Identity(request.task_id, request.step_id, request.run_id)
    answer = parse_answer(stdout, identity, thread_id=request.thread_id)
    if outcome.ending is Ending.EXITED:
        return answer
    # Its session may still be resumed; what it said before it was ended is not its answer.
    why = f"the worker did not end by itself: {outcome.ending.value}"
    return Answer(None, why, answer.thread_id, answer.form)


def _bytes_of(stdout_path: str) -> bytes:
    """What the file holds; a link or a pipe in its place is not opened, or not waited for."""
    handle = os.open(stdout_path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file", stdout_path)
        return file.read(MAX_STDOUT_BYTES + 1)


def _no_answer(request: DispatchRequest, why: str) -> Answer:
    return Answer(None, why, request.thread_id, "none")


def write_evidence(request: DispatchRequest, name: str, data: bytes) -> str:
    """Write one file into the round's folder and return its path. Raises StoreError."""
    path = f"{request.round_dir}/{name}"
    try:
        Path(path).write_bytes(data)
    except OSError as error:
        raise StoreError(
            f"evidence cannot be written: {error.strerror}",
            where=path,
            mend="make the folder of the round exist and be writable",
        ) from error
    return path
