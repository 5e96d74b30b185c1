"""The engine's worker port over the worker adapters."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from orchestrator.errors import WorkerError
from orchestrator.kernel.work import WorkerAnswer, WorkOrder
from orchestrator.protocol.evidence import Evidence, WorkerRun
from orchestrator.runtime.cancel import CancelToken
from orchestrator.runtime.environment import DEFAULT_ALLOW, scrubbed
from orchestrator.runtime.outcome import Captured
from orchestrator.runtime.wrapper import Limits
from orchestrator.wiring.settings import WorkerSettings
from orchestrator.worker.command_adapter import CommandAdapter
from orchestrator.worker.request import DispatchAnswer, DispatchRequest, Worker
from orchestrator.worker.shim_adapter import ShimAdapter

_BACKENDS = ("shim", "command")


class SettingsWorker:
    """Chooses the adapter for an order and translates both ways.

    `child_seconds` counts the wall time in which workers ran.
    """

    def __init__(
        self,
        root: Path,
        settings: WorkerSettings,
        *,
        cancel: CancelToken,
        limits: Mapping[str, int | None] | None = None,
    ) -> None:
        self._root = root
        self._settings = settings
        self._cancel = cancel
        self._overrides = limits or {}
        self._environment = scrubbed(os.environ, allow=(*DEFAULT_ALLOW, *settings.environment))
        self.child_seconds = 0.0

    def adapter(self, backend: str | None) -> tuple[Worker, str]:
        """Return the adapter and the backend's name: `shim`, `command`, or an agent of the shim."""
        name = backend or self._settings.backend
        if name == "command":
            if not self._settings.command:
                raise WorkerError(
                    "the backend 'command' has no command",
                    where="orchestrator.yaml: worker.command",
                    mend="name the program and its arguments there",
                )
            return CommandAdapter(self._settings.command), name
        agent = self._settings.agent if name == "shim" else name
        return ShimAdapter(self._settings.shim, agent), name

    def request(self, order: WorkOrder) -> DispatchRequest:
        """Build what an adapter needs; also what `--dry-run` shows."""
        policy = order.pack.runtime_policy
        limits = {
            "max_runtime_sec": policy.timeout_sec,
            "max_silence_sec": policy.no_output_timeout_sec,
            "max_memory_mb": policy.max_memory_mb,
            "max_output_mb": policy.max_output_mb or 64,
        }
        limits |= {name: value for name, value in self._overrides.items() if value is not None}
        return DispatchRequest(
            attempt_id=order.round.attempt_id,
            run_id=order.round.run_id,
            task_id=order.pack.task_id,
            step_id=order.round.step_id,
            round_name=order.round.name,
            payload=order.payload,
            cwd=str(self._root),
            round_dir=order.round.directory,
            env=self._environment,
            limits=Limits(**limits),
            thread_id=order.thread_id,
            backend=order.backend if order.backend not in (None, *_BACKENDS) else None,
        )

    def run(self, order: WorkOrder) -> WorkerAnswer:
        """Run the worker to its end. Raises WorkerError if it cannot be started."""
        adapter, name = self.adapter(order.backend)
        answer = adapter.dispatch(self.request(order), cancel=self._cancel)
        self.child_seconds += answer.outcome.wall_us / 1e6
        return WorkerAnswer(_worker_run(answer, order, name), answer.result, answer.thread_id)


def _worker_run(answer: DispatchAnswer, order: WorkOrder, backend: str) -> WorkerRun:
    outcome = answer.outcome
    return WorkerRun(
        backend=backend,
        ending=outcome.ending.value,
        exit_code=outcome.exit_code,
        signal=outcome.signal,
        wall_ms=outcome.wall_ms,
        cpu_ms=outcome.cpu_ms,
        peak_rss_kb=outcome.peak_rss_kb,
        peak_processes=outcome.peak_processes,
        stragglers_killed=outcome.stragglers_killed,
        stdout=_evidence(outcome.stdout, order, "worker_stdout"),
        stderr=_evidence(outcome.stderr, order, "worker_stderr"),
        thread_id=answer.thread_id,
        parse_error=answer.parse_error,
    )


def _evidence(captured: Captured, order: WorkOrder, kind: str) -> Evidence:
    name = captured.path.removeprefix(order.round.directory).lstrip("/")
    return Evidence(
        path=f"{order.round.prefix}/{name}",
        sha256=captured.sha256,
        size_bytes=captured.kept_bytes,
        kind=kind,
        truncated=captured.truncated,
    )
