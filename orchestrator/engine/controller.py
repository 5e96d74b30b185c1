"""ControllerEngine: the face of the engine, with the methods that seed 004 names."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from orchestrator.engine.campaign import CampaignReport, run_campaign
from orchestrator.engine.cycle import Cycle
from orchestrator.engine.effects import look_at_queue
from orchestrator.engine.ports import Parts
from orchestrator.engine.recovery import Recovered, recover
from orchestrator.engine.reports import CycleOptions, CycleReport
from orchestrator.engine.step import StepReport, StepRun
from orchestrator.errors import ContractError
from orchestrator.kernel.campaign import CampaignLimits, Stop
from orchestrator.kernel.records import TaskRecord
from orchestrator.kernel.work import LoadedPack
from orchestrator.protocol.evidence import Observations
from orchestrator.protocol.rework_pack import ReworkPack
from orchestrator.protocol.step_pack import StepPack
from orchestrator.protocol.step_result import StepResult
from orchestrator.protocol.verdict import Colour, Verdict
from orchestrator.qa.reviewer import StepQAReviewer
from orchestrator.qa.rework import ReworkBuilder
from orchestrator.vocabulary import ID_PATTERN

T = TypeVar("T")


class ControllerEngine:
    """Drives tasks; every method leaves the store consistent, whatever stops it."""

    def __init__(self, parts: Parts, options: CycleOptions | None = None) -> None:
        self.parts = parts
        self.options = options or CycleOptions()
        self.recovered = Recovered()

    # the queue

    def run_campaign(
        self,
        *,
        max_cycles: int | None = None,
        max_stagnant_cycles: int | None = None,
        max_identical_failures: int | None = 5,
        worker_backend_by_task: Mapping[str, str] | None = None,
        run_id: str | None = None,
    ) -> CampaignReport:
        """Run cycles until the queue is drained or a limit stops it."""
        options = self.options
        if worker_backend_by_task is not None:
            options = replace(options, backend_by_task=dict(worker_backend_by_task))
        limits = CampaignLimits(max_cycles, max_stagnant_cycles, max_identical_failures)
        return self._as_run(
            "campaign",
            run_id,
            lambda run: run_campaign(self.parts, Cycle(self.parts, options, run), limits, run),
            lambda report: report.stop.value,
        )

    def run_next_cycle(
        self, *, key: str | None = None, run_id: str | None = None
    ) -> CycleReport | None:
        """Run one cycle for the next eligible task, or for `key`; None when there is none."""

        def once(run: str) -> CycleReport | None:
            look_at_queue(self.parts)
            return Cycle(self.parts, self.options, run).run_next(key)

        def outcome(report: CycleReport | None) -> str:
            return Stop.DRAINED.value if report is None else report.state.value

        return self._as_run("cycle", run_id, once, outcome)

    def prepare_next_task(self) -> tuple[TaskRecord, LoadedPack | None] | None:
        """Say which task would be next, with its pack; claims nothing."""
        moment = self.parts.clock.now()
        look_at_queue(self.parts)
        self.parts.views.publish(moment, now=True)
        task = self.parts.store.peek(moment)
        if task is None:
            return None
        return task, self.parts.packs.load(task.spec) if task.spec.step_pack else None

    # one step, outside the queue

    def dispatch_step_with_logging(
        self, loaded: LoadedPack, *, backend: str | None = None, run_id: str | None = None
    ) -> StepReport:
        """Run one step and log the attempt; no review, nothing is accepted or rolled back.

        run_id: the run that the evidence belongs to; None is the pack's, or a new one.
        """
        return self._as_run(
            "step",
            None,
            lambda run: StepRun(self.parts, run).dispatch(
                loaded, backend=backend, evidence_run=run_id
            ),
            lambda report: report.answer.run.ending,
        )

    def dispatch_step_with_review(
        self,
        loaded: LoadedPack,
        *,
        backend: str | None = None,
        rework: bytes | None = None,
        thread_id: str | None = None,
        run_id: str | None = None,
    ) -> StepReport:
        """Run one step (or, with `rework` and `thread_id`, one more round of it) and review it.

        run_id: as in `dispatch_step_with_logging`; a round without it belongs to the last run.
        """
        return self._as_run(
            "step",
            None,
            lambda run: StepRun(self.parts, run).dispatch(
                loaded,
                backend=backend,
                rework=rework,
                thread_id=thread_id,
                review=True,
                evidence_run=run_id,
            ),
            lambda report: report.verdict.colour.value if report.verdict else "unknown",
        )

    def review_step_result(
        self,
        loaded: LoadedPack,
        result: StepResult | None,
        facts: Observations,
        *,
        rounds_left: int = 1,
    ) -> tuple[Verdict, ReworkPack | None]:
        """Review a result against facts that were observed before; compile the rework."""
        return review_offline(loaded.pack, loaded.digest, result, facts, rounds_left=rounds_left)

    # every run

    def _as_run(
        self, kind: str, run_id: str | None, work: Callable[[str], T], outcome: Callable[[T], str]
    ) -> T:
        parts = self.parts
        moment = parts.clock.now()
        run = _checked(run_id) or parts.ids.run_id(kind, moment)
        parts.store.start_run(parts.processes.this_run(run, kind, moment))
        ended = "failed"
        try:
            self._note(run, "run_started", {"run_kind": kind})
            self.recovered = recover(
                parts, run_id=run, limits=self.options.limits, roll_back=self.options.roll_back
            )
            result = work(run)
            ended = outcome(result)
            return result
        finally:
            self._note(run, "run_ended", {"outcome": ended})
            parts.store.end_run(run, at=parts.clock.now().at, outcome=ended)
            parts.sessions.write(run)
            parts.views.publish(parts.clock.now(), now=True)

    def _note(self, run: str, kind: str, body: Mapping[str, Any]) -> None:
        self.parts.store.note(
            moment=self.parts.clock.now(), run_id=run, kind=kind, body={"run_id": run, **body}
        )


def _checked(run_id: str | None) -> str | None:
    """Return the id as it is. Raises ContractError when it could not name a file."""
    if run_id is not None and not re.fullmatch(ID_PATTERN, run_id):
        raise ContractError(
            f"{run_id!r} cannot name a run",
            where="--run-id",
            mend="use letters, digits, dots inside, - and _, at most 128 signs",
        )
    return run_id


def review_offline(
    pack: StepPack,
    digest: str,
    result: StepResult | None,
    facts: Observations,
    *,
    rounds_left: int,
) -> tuple[Verdict, ReworkPack | None]:
    """Review without a store: the same rules, the same bytes."""
    verdict = StepQAReviewer().review(pack, result, facts, contract_digest=digest)
    if verdict.colour is not Colour.REFUSED:
        return verdict, None
    rework = ReworkBuilder().build(
        pack, verdict, facts, revision=1, rounds_left=rounds_left, observations_digest=""
    )
    return verdict, rework
