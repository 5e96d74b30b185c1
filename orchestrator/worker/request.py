"""What the engine hands to a worker backend, and what it gets back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from orchestrator.protocol.step_result import StepResult
from orchestrator.runtime.cancel import CancelToken
from orchestrator.runtime.identity import ProcessIdentity
from orchestrator.runtime.outcome import Outcome
from orchestrator.runtime.wrapper import Limits

OnStart = Callable[[ProcessIdentity], None]
OnOutput = Callable[[str, bytes], None]


@dataclass(frozen=True, slots=True)
class DispatchRequest:
    """One dispatch of one step.

    `payload` is the JSON of a StepPack (create) or of a ReworkPack (resume). `cwd` is the tree the
    worker works in. `round_dir` is an absolute folder of the controller for this round's evidence;
    it exists. `env` is the child's whole environment, already scrubbed; an adapter only adds to
    it. `thread_id` names the session to resume; None starts a new one.
    """

    attempt_id: str
    run_id: str
    task_id: str
    step_id: str
    round_name: str  # "R0S0"
    payload: bytes
    cwd: str
    round_dir: str
    env: Mapping[str, str]
    limits: Limits = field(default_factory=Limits)
    thread_id: str | None = None
    backend: str | None = None
    grace_sec: float = 2.0


@dataclass(frozen=True, slots=True)
class DispatchAnswer:
    """How the process ended, and what it claims.

    Exactly one of `result` and `parse_error` is set. `thread_id` may be known without a result.
    """

    argv: tuple[str, ...]
    outcome: Outcome
    result: StepResult | None
    parse_error: str | None
    thread_id: str | None
    raw_stdout_path: str
    form: str = "none"


class Worker(Protocol):
    """The port: every backend answers to it, and one conformance suite holds them all to it."""

    def argv(self, request: DispatchRequest) -> list[str]:
        """Build the exact command. Raises WorkerError where it cannot be carried by an argument."""
        ...

    def dispatch(
        self,
        request: DispatchRequest,
        *,
        on_start: OnStart | None = None,
        on_output: OnOutput | None = None,
        cancel: CancelToken | None = None,
    ) -> DispatchAnswer:
        """Run one worker to its end. Raises WorkerError only if it could not be run at all."""
        ...


def render_dry_run(argv: Sequence[str]) -> str:
    """Quote the exact command for a POSIX shell, on one line."""
    import shlex  # noqa: PLC0415  a dry run is rare

    return shlex.join(argv)
