"""Backend `command`: any program that reads a pack and answers with a StepResult on stdout.

The pack comes on stdin, or in a file where the command names `{prompt_file}`. `{thread_id}` in an
argument is the session to resume, empty for a new one. The rest stands in the environment:
ORCHESTRATOR_ACTION (create or resume), ORCHESTRATOR_RUN_ID, _TASK_ID, _STEP_ID, _ROUND,
_THREAD_ID and, put there by the runtime, ORCHESTRATOR_ATTEMPT.
"""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.errors import WorkerError
from orchestrator.runtime.cancel import CancelToken
from orchestrator.worker.collect import require_program, run_and_collect, write_evidence
from orchestrator.worker.envelope import thread_of
from orchestrator.worker.plain import AnswerError
from orchestrator.worker.request import DispatchAnswer, DispatchRequest, OnOutput, OnStart

REQUEST_FILE = "request.json"
PROMPT_FILE = "{prompt_file}"
THREAD_ID = "{thread_id}"


class CommandAdapter:
    """One configured command. One instance serves any number of dispatches.

    Args:
        command: program and arguments, without a shell.
    """

    def __init__(self, command: Sequence[str]) -> None:
        if isinstance(command, str) or not command:
            raise ValueError("command must be a sequence with at least the program")
        self._command = tuple(command)

    def argv(self, request: DispatchRequest) -> list[str]:
        """Build the exact command line. Raises WorkerError for a thread id that is not plain."""
        prompt_file = f"{request.round_dir}/{REQUEST_FILE}"
        thread = _thread(request)
        return [
            part.replace(PROMPT_FILE, prompt_file).replace(THREAD_ID, thread)
            for part in self._command
        ]

    def environment(self, request: DispatchRequest) -> dict[str, str]:
        """Add what the command may want to know to the environment of the request."""
        return {
            **request.env,
            "ORCHESTRATOR_ACTION": "create" if request.thread_id is None else "resume",
            "ORCHESTRATOR_RUN_ID": request.run_id,
            "ORCHESTRATOR_TASK_ID": request.task_id,
            "ORCHESTRATOR_STEP_ID": request.step_id,
            "ORCHESTRATOR_ROUND": request.round_name,
            "ORCHESTRATOR_THREAD_ID": request.thread_id or "",
        }

    def dispatch(
        self,
        request: DispatchRequest,
        *,
        on_start: OnStart | None = None,
        on_output: OnOutput | None = None,
        cancel: CancelToken | None = None,
    ) -> DispatchAnswer:
        """Run the command to its end, or to the end of its limits, and read its answer.

        Raises:
            WorkerError: no such program; nothing was started.
        """
        argv = self.argv(request)
        require_program(
            argv[0], request, mend="install it, or correct the backend's command in the settings"
        )
        by_file = any(PROMPT_FILE in part for part in self._command)
        if by_file:
            write_evidence(request, REQUEST_FILE, request.payload)
        return run_and_collect(
            request,
            argv,
            env=self.environment(request),
            stdin=None if by_file else request.payload,
            on_start=on_start,
            on_output=on_output,
            cancel=cancel,
        )


def _thread(request: DispatchRequest) -> str:
    try:
        return thread_of(request.thread_id) or ""
    except AnswerError as error:
        raise WorkerError(
            str(error),
            where=f"attempt {request.attempt_id}",
            mend="start a new session instead of resuming this one",
        ) from error
