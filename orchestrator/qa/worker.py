"""How the worker ended, whether it answered, and whether it did anything.

An attempt that we cancelled, or that never started, says nothing about the agent: unknown. Every
other ending than exit code 0 is the attempt's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from orchestrator.protocol.evidence import WorkerRun
from orchestrator.protocol.verdict import Finding
from orchestrator.qa.case import Case
from orchestrator.qa.findings import finding
from orchestrator.qa.names import quoted, shown

WHERE: Final = "worker"

_BY_ENDING: Final[dict[str, str]] = {
    "runtime_exceeded": "worker.timeout",
    "silence_exceeded": "worker.silent",
    "memory_exceeded": "worker.memory",
    "output_exceeded": "worker.flooded",
    "signalled": "worker.died",
    "cancelled": "worker.cancelled",
    "not_started": "worker.not_started",
}


def review_worker(case: Case) -> Iterator[Finding]:
    """Give every finding about the worker's process and its answer."""
    run = case.facts.worker
    yield from _ending(run)
    for path in case.facts.control_files_touched:
        yield finding("work.control_files", shown(path), "changed while the worker ran")
    yield from _answer(case, run)
    if run.stragglers_killed:
        yield finding(
            "worker.left_processes", WHERE, f"{run.stragglers_killed} processes were still there"
        )


def _ending(run: WorkerRun) -> Iterator[Finding]:
    outputs = [item.path for item in (run.stdout, run.stderr) if item is not None]
    rule = _BY_ENDING.get(run.ending)
    if rule is not None:
        signal = f", signal {run.signal}" if run.signal is not None else ""
        yield finding(
            rule, WHERE, f"it ended as {run.ending}{signal}, after {run.wall_ms} ms",
            evidence=outputs,
        )  # fmt: skip
    elif run.exit_code != 0:
        yield finding("worker.exit_code", WHERE, f"exit code {run.exit_code}", evidence=outputs)


def _answer(case: Case, run: WorkerRun) -> Iterator[Finding]:
    result = case.result
    outputs = [run.stdout.path] if run.stdout is not None else []
    if run.parse_error is not None:
        yield finding("worker.unparseable", WHERE, quoted(run.parse_error), evidence=outputs)
    elif result is None:
        if run.ending == "exited":
            yield finding("worker.no_answer", WHERE, "no StepResult was found", evidence=outputs)
    elif result.result == "BLOCKED":
        yield finding("worker.says_blocked", WHERE, _own_words(case))
    elif result.result != "PASS":
        yield finding("worker.says_fail", WHERE, f"{result.result}: {_own_words(case)}")
    elif not case.pack.allow_no_change and not _changed_anything(case):
        yield finding("work.nothing_changed", WHERE, "no path of the tree differs from the base")


def _changed_anything(case: Case) -> bool:
    """Whether anything but leavings changed; a tree of equal digest is the same tree."""
    if case.facts.base_tree and case.facts.base_tree == case.facts.tree:
        return False
    return any(not case.is_litter(change) for change in case.in_tree)


def _own_words(case: Case) -> str:
    if case.result is None:
        return ""
    return quoted(f"{case.result.reason_code} {case.result.reason_detail}".strip())
