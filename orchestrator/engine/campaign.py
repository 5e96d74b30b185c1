"""Cycles until the queue is drained or a limit stops it."""

from __future__ import annotations

from dataclasses import dataclass, field

from orchestrator.engine.cycle import Cycle
from orchestrator.engine.ports import Parts
from orchestrator.engine.reports import CycleReport
from orchestrator.errors import WorkerError
from orchestrator.kernel.campaign import (
    CampaignLimits,
    CampaignState,
    Stop,
    after_cycle,
    why_stop,
)
from orchestrator.kernel.life import State

_LONGEST_WAIT_MS = 500  # so that an edit of the queue or a stop is noticed soon
_KEPT_REPORTS = 2000  # what the summary holds; the ledger has all


@dataclass(slots=True)
class CampaignReport:
    """How a campaign ended, for people.

    cycles: the newest reports.
    not_accepted, awaiting: tasks whose last cycle here ended refused, undecided or put back, or
        waits for a person.
    """

    run_id: str
    stop: Stop = Stop.DRAINED
    count: int = 0
    cycles: list[CycleReport] = field(default_factory=list)
    not_accepted: set[str] = field(default_factory=set)
    awaiting: set[str] = field(default_factory=set)
    edits_refused: list[str] = field(default_factory=list)
    worker_error: WorkerError | None = None


def run_campaign(parts: Parts, cycle: Cycle, limits: CampaignLimits, run_id: str) -> CampaignReport:
    """Run cycles one after the other. Recovery has been done, the run is recorded."""
    report = CampaignReport(run_id, edits_refused=cycle.edits_refused)
    state = CampaignState()
    while True:
        cycle.look_at_queue()
        if parts.stop.is_asked:
            report.stop = Stop.INTERRUPTED
            break
        reason = why_stop(state, limits)
        if reason is not None:
            report.stop = reason
            break
        try:
            done = cycle.run_next()
        except WorkerError as error:
            report.stop, report.worker_error = Stop.WORKER_UNAVAILABLE, error
            break
        if done is None:
            if _wait_for_work(parts):
                continue
            report.stop = Stop.DRAINED
            break
        _count(report, done)
        state = after_cycle(state, ended_in=done.state, signature=done.signature)
        parts.views.publish(parts.clock.now())
    return report


def _count(report: CampaignReport, done: CycleReport) -> None:
    report.count += 1
    report.cycles.append(done)
    del report.cycles[:-_KEPT_REPORTS]
    report.not_accepted.discard(done.task_key)
    report.awaiting.discard(done.task_key)
    if done.state is State.AWAITING_APPROVAL:
        report.awaiting.add(done.task_key)
    elif done.state is not State.COMPLETED:
        report.not_accepted.add(done.task_key)


def _wait_for_work(parts: Parts) -> bool:
    """Wait a little when a task is in its backoff; False when nothing will become eligible."""
    wake = parts.store.next_wake_ms()
    if wake is None:
        return False
    parts.views.publish(parts.clock.now())
    now = parts.clock.now().ms
    if wake > now:
        parts.listener.tell("waiting", milliseconds=wake - now)
        parts.clock.wait(min(wake - now, _LONGEST_WAIT_MS))
    return True
