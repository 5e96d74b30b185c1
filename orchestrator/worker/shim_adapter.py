"""The shim of seed 004: `gxd-subagent-shim create|resume <JSON> [thread_id] --backend ...`.

The shim starts the model's client (codex, claude) and keeps its own archive under
SUBAGENT_ARTIFACTS_ROOT, relative to the worker's tree: that archive is a claim like everything
else there. Its log at the root of the repository (SUBAGENT_LEGACY_LOG) is switched off, because
it would be a change outside every scope. Its stdout stays raw: the compact form cuts long answers
and drops the agent's own error flag.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from orchestrator.errors import WorkerError
from orchestrator.runtime.cancel import CancelToken
from orchestrator.vocabulary import ARTIFACTS_ROOT, ID_PATTERN
from orchestrator.worker.collect import require_program, run_and_collect
from orchestrator.worker.envelope import thread_of
from orchestrator.worker.plain import AnswerError
from orchestrator.worker.request import (
    DispatchAnswer,
    DispatchRequest,
    OnOutput,
    OnStart,
    render_dry_run,
)

__all__ = ["DEFAULT_SHIM", "ShimAdapter", "render_dry_run"]

DEFAULT_SHIM = ("gxd-subagent-shim",)
MAX_ARGUMENT_BYTES = 128 * 1024 - 1  # MAX_ARG_STRLEN of Linux, less the ending NUL
_ID = re.compile(ID_PATTERN)


class ShimAdapter:
    """Backends behind the shim. One instance serves any number of dispatches.

    Args:
        shim: the program, and what stands before `create`, e.g. (python, "shim.py").
        backend: for requests that name none.
        artifacts_root: where the shim archives, relative to the worker's tree.
        validate_output: let the shim refuse what it cannot read too. Off: this program reads the
            answer more strictly, and says why.
    """

    def __init__(
        self,
        shim: Sequence[str] = DEFAULT_SHIM,
        backend: str | None = None,
        artifacts_root: str = ARTIFACTS_ROOT,
        *,
        validate_output: bool = False,
    ) -> None:
        if isinstance(shim, str) or not shim:
            raise ValueError("shim must be a sequence with at least the program")
        self._shim = tuple(shim)
        self._backend = backend or "codex"
        self._artifacts_root = artifacts_root
        self._validate_output = validate_output

    def argv(self, request: DispatchRequest) -> list[str]:
        """Build the exact command line.

        Raises:
            WorkerError: the pack does not fit into one argument, or an id is not plain.
        """
        backend = request.backend or self._backend
        for name in (backend, request.run_id, request.task_id, request.step_id):
            if not _ID.match(name):
                raise WorkerError(
                    f"{name!r} cannot stand on a command line",
                    where=f"attempt {request.attempt_id}",
                    mend="use letters, digits, dot, dash and underscore, a letter or digit first",
                )
        action = ["create", _argument(request)]
        if request.thread_id is not None:
            action = ["resume", _argument(request), _thread(request)]
        flags = ["--backend", backend, "--run-id", request.run_id]
        flags += ["--task-id", request.task_id, "--step-id", request.step_id]
        return [*self._shim, *action, *flags]

    def environment(self, request: DispatchRequest) -> dict[str, str]:
        """Add the shim's own settings to the environment of the request."""
        return {
            **request.env,
            "SUBAGENT_BACKEND": request.backend or self._backend,
            "SUBAGENT_RUN_ID": request.run_id,
            "SUBAGENT_ARTIFACTS_ROOT": self._artifacts_root,
            "SUBAGENT_SAVE_RAW_IO": "1",
            "SUBAGENT_LEGACY_LOG": "0",
            "SUBAGENT_STDOUT_MODE": "raw",
            "SUBAGENT_VALIDATE_INPUT": "1",
            "SUBAGENT_VALIDATE_OUTPUT": "1" if self._validate_output else "0",
        }

    def dispatch(
        self,
        request: DispatchRequest,
        *,
        on_start: OnStart | None = None,
        on_output: OnOutput | None = None,
        cancel: CancelToken | None = None,
    ) -> DispatchAnswer:
        """Run the shim to its end, or to the end of its limits, and read its answer.

        Raises:
            WorkerError: no shim, or the pack does not fit; nothing was started.
        """
        argv = self.argv(request)
        require_program(
            argv[0], request, mend="install the shim, or name the worker's program in the settings"
        )
        return run_and_collect(
            request,
            argv,
            env=self.environment(request),
            stdin=None,
            on_start=on_start,
            on_output=on_output,
            cancel=cancel,
        )


def _argument(request: DispatchRequest) -> str:
    """Give the payload as one argument: pure JSON, whole, or not at all."""
    size = len(request.payload)
    if size > MAX_ARGUMENT_BYTES:
        raise WorkerError(
            f"the pack has {size} bytes, one argument carries at most {MAX_ARGUMENT_BYTES}",
            where=f"attempt {request.attempt_id}, task {request.task_id}",
            mend="split the step, shorten its texts, or use the 'command' backend, which reads "
            "the pack from stdin",
        )
    if not request.payload.startswith(b"{") or b"\0" in request.payload:
        raise ValueError("the payload must be one JSON object")
    return request.payload.decode("utf-8")


def _thread(request: DispatchRequest) -> str:
    try:
        thread = thread_of(request.thread_id)
    except AnswerError as error:
        thread, why = None, str(error)
    else:
        why = "the thread id is empty"
    if thread is None:
        raise WorkerError(
            why,
            where=f"attempt {request.attempt_id}",
            mend="start a new session instead of resuming this one",
        )
    return thread
