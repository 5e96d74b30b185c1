"""One task's cycle: claim, prepare, rounds of dispatch and review, finish.

Decide, record, act. Each arrow of the task's life is one `store.move`; what has to happen
afterwards (a rollback, a ref) is an effect in the same transaction, done right after it and done
again by recovery when the controller died in between.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from hashlib import sha256

from orchestrator.engine import entries
from orchestrator.engine.effects import interrupt, look_at_queue, rollback_effect, run_effects
from orchestrator.engine.phases import Preparation, Walk, held_back, walk
from orchestrator.engine.ports import Parts
from orchestrator.engine.record import review_of, save_claim, save_review, unreadable
from orchestrator.engine.reports import CycleOptions, CycleReport, RoundReport
from orchestrator.errors import (
    ContractError,
    OrchestratorError,
    PolicyError,
    WorkerError,
    WorkspaceError,
)
from orchestrator.kernel.decide import NextStep, after_review
from orchestrator.kernel.journey import Journey, Limits
from orchestrator.kernel.life import Event, State
from orchestrator.kernel.records import Effect, EntryDraft, Move, TaskRecord
from orchestrator.kernel.work import (
    AttemptWindow,
    CheckpointTaken,
    LoadedPack,
    Round,
    WorkerAnswer,
    WorkOrder,
)
from orchestrator.protocol.evidence import Evidence, Observations
from orchestrator.protocol.verdict import Severity, Verdict
from orchestrator.qa.reviewer import StepQAReviewer
from orchestrator.qa.rework import ReworkBuilder

_LEASE_MARGIN_MS = 120_000
_PREPARE_LEASE_MS = 300_000


@dataclass(slots=True)
class _Work:
    """What the rounds of one cycle share."""

    task: TaskRecord
    loaded: LoadedPack
    prepared: Preparation
    checkpoint: CheckpointTaken
    run_id: str  # of the evidence folder
    limits: Limits
    revision: int
    attempt: int
    thread_id: str | None = None
    base_tree: str = ""
    walked: Walk = field(default_factory=lambda: Walk(()))
    noted: object = None  # what the workplace compares against after the worker
    # As of the last dispatch. Whoever holds the lease alone changes it, so it is not read again.
    journey: Journey = field(default_factory=Journey)


class Cycle:
    """Runs cycles for one process run."""

    def __init__(self, parts: Parts, options: CycleOptions, run_id: str) -> None:
        self._parts = parts
        self._options = options
        self._run_id = run_id
        self._reviewer = StepQAReviewer()
        self._rework = ReworkBuilder()
        self.edits_refused: list[str] = []  # of the queue, over all cycles

    def run_next(self, key: str | None = None) -> CycleReport | None:
        """Run one cycle for the next eligible task (or `key`); None when there is none."""
        parts = self._parts
        moment = parts.clock.now()
        task = parts.store.claim_next(
            run_id=self._run_id,
            moment=moment,
            lease_until_ms=moment.ms + _PREPARE_LEASE_MS,
            key=key,
        )
        if task is None:
            return None
        parts.listener.tell("claimed", task=task.key, title=task.spec.title)
        work = self._prepare(task)
        if isinstance(work, CycleReport):
            return work
        return self._rounds(work)

    def look_at_queue(self, window: AttemptWindow | None = None) -> None:
        """Read the queue file; `window` as in `effects.look_at_queue`."""
        self.edits_refused += look_at_queue(self._parts, window).refused

    # prepare

    def _prepare(self, task: TaskRecord) -> _Work | CycleReport:
        parts = self._parts
        try:
            loaded = parts.packs.load(task.spec)
            prepared = parts.contracts.prepare(task, loaded, parts.clock.now())
        except (ContractError, PolicyError) as error:
            return self._block(task, error)
        limits = self._limits(task, loaded)
        moment = parts.clock.now()
        evidence_run = loaded.pack.run_id or parts.ids.run_id(task.key, moment)
        checkpoint = parts.workplace.checkpoint(task.key, self._run_id, moment)
        for warning in checkpoint.warnings:
            parts.listener.tell("warning", task=task.key, text=warning)
        parts.store.move(
            Move(
                task_key=task.key,
                event=Event.PREPARE,
                moment=moment,
                run_id=self._run_id,
                token=task.lease_token,
                checkpoint_id=checkpoint.checkpoint_id,
                thread_id="",
                body={
                    "contract_digest": loaded.digest,
                    "contract_source": loaded.source,
                    "checkpoint_id": checkpoint.checkpoint_id,
                    "base_tree": checkpoint.tree,
                    **prepared.body,
                },
            )
        )
        return _Work(
            task=task,
            loaded=loaded,
            prepared=prepared,
            checkpoint=checkpoint,
            run_id=evidence_run,
            limits=limits,
            revision=task.revision,
            attempt=task.attempt + 1,
            thread_id=self._options.rework_thread_id,
            base_tree=checkpoint.tree,
        )

    def _limits(self, task: TaskRecord, loaded: LoadedPack) -> Limits:
        attempts = task.spec.max_attempts or loaded.pack.runtime_policy.retry.max_attempts
        return replace(self._options.limits, max_attempts=attempts)

    def _block(self, task: TaskRecord, error: OrchestratorError) -> CycleReport:
        parts = self._parts
        problems = getattr(error, "problems", ()) or (f"{error.where}: {error.what}",)
        refused = isinstance(error, PolicyError)
        reason = "NOT_READY" if refused else "STEP_PACK_REFUSED"
        parts.store.move(
            Move(
                task_key=task.key,
                event=Event.BLOCK,
                moment=parts.clock.now(),
                run_id=self._run_id,
                token=task.lease_token,
                reason=reason,
                body={
                    "what": error.what[:2000],
                    "where": error.where[:500],
                    "mend": error.mend[:500],
                    "problems": [line[:500] for line in problems[:50]],
                },
            )
        )
        parts.listener.tell("blocked", task=task.key, reason=reason, text=error.what)
        return CycleReport(
            task.key, task.spec.title, State.BLOCKED, reason, problems=tuple(problems)
        )

    # rounds

    def _rounds(self, work: _Work) -> CycleReport:
        rounds: list[RoundReport] = []
        payload = work.loaded.data
        task = work.task
        while True:
            # The queue is read at both borders of a worker's time: when tells who wrote it.
            self.look_at_queue()
            place = self._dispatch(task, work, payload)
            try:
                answer = self._parts.worker.run(self._order(place, work, payload))
            except WorkerError as error:
                self._interrupt(self._parts.store.task(task.key), work, error.what, counted=False)
                raise
            if answer.run.ending == "cancelled":
                self.look_at_queue(AttemptWindow(place.attempt_id))
                return self._stopped(task, work, rounds)
            self._receive(task, answer)
            facts, verdict, saved = self._review(place, work, answer)
            changed = frozenset(change.path for change in facts.changes)
            self.look_at_queue(AttemptWindow(place.attempt_id, changed))
            if verdict is None:
                return self._stopped(task, work, rounds)
            step, state = self._conclude(task, work, place, answer, facts, verdict, saved)
            rounds.append(
                RoundReport(
                    place.name,
                    place.attempt_id,
                    verdict.colour.value,
                    verdict.reason_code,
                    verdict.findings,
                    place.prefix,
                )
            )
            if step.event is not Event.ORDER_REWORK:
                return self._report(task, state, rounds, step, facts, verdict)
            task = self._parts.store.task(task.key)
            payload = self._next_round(work, facts, verdict, saved, step)

    def _dispatch(self, task: TaskRecord, work: _Work, payload: bytes) -> Round:
        parts = self._parts
        moment = parts.clock.now()
        place = parts.evidence.open_round(
            run_id=work.run_id,
            task_key=task.key,
            step_id=work.loaded.pack.step_id,
            attempt_id=parts.ids.attempt_id(moment),
            revision=work.revision,
            attempt=work.attempt,
        )
        parts.evidence.save(
            place,
            "rework_pack.json" if work.thread_id else "step_pack.json",
            payload,
            kind="payload",
        )
        policy = work.loaded.pack.runtime_policy
        checks_sec = 2 * policy.check_timeout_sec * len(work.loaded.pack.commands_to_run)
        work.journey = replace(task.journey, dispatches=task.journey.dispatches + 1)
        parts.store.move(
            Move(
                task_key=task.key,
                event=Event.DISPATCH,
                moment=moment,
                run_id=self._run_id,
                token=task.lease_token,
                attempt_id=place.attempt_id,
                revision=work.revision,
                attempt=work.attempt,
                journey=work.journey,
                lease_until_ms=moment.ms
                + (policy.timeout_sec + checks_sec) * 1000
                + _LEASE_MARGIN_MS,
                body=entries.dispatched(
                    place,
                    work.loaded,
                    payload_digest=sha256(payload).hexdigest(),
                    backend=self._backend(task) or "",
                    base_tree=work.base_tree,
                ),
            )
        )
        parts.listener.tell(
            "dispatched", task=task.key, round=place.name, attempt_id=place.attempt_id
        )
        return place

    def _backend(self, task: TaskRecord) -> str | None:
        by_task = self._options.backend_by_task or {}
        return by_task.get(task.key) or task.spec.worker_backend or self._options.backend

    def _order(self, place: Round, work: _Work, payload: bytes) -> WorkOrder:
        work.noted = self._parts.workplace.before(place, work.loaded.pack, work.checkpoint)
        return WorkOrder(place, payload, work.thread_id, work.loaded.pack, self._backend(work.task))

    def _receive(self, task: TaskRecord, answer: WorkerAnswer) -> None:
        self._parts.store.move(
            Move(
                task_key=task.key,
                event=Event.RECEIVE,
                moment=self._parts.clock.now(),
                run_id=self._run_id,
                token=task.lease_token,
                thread_id=answer.thread_id or "",
                body=entries.received(answer),
            )
        )
        self._parts.listener.tell(
            "received",
            task=task.key,
            ending=answer.run.ending,
            claim=answer.result.result if answer.result else "",
        )

    def _review(
        self, place: Round, work: _Work, answer: WorkerAnswer
    ) -> tuple[Observations, Verdict | None, list[Evidence]]:
        parts = self._parts
        claim = save_claim(parts.evidence, place, answer)
        try:
            facts = parts.workplace.observe(work.noted, place, work.loaded.pack, answer)
        except WorkspaceError as error:
            facts, verdict = unreadable(place, work.base_tree, answer, error, work.loaded.digest)
            return facts, verdict, save_review(parts.evidence, place, claim, facts, verdict)
        if parts.stop.is_forced and any(run.ending == "cancelled" for run in facts.commands):
            return facts, None, []
        verdict = self._reviewer.review(
            work.loaded.pack, answer.result, facts, contract_digest=work.loaded.digest
        )
        work.walked = walk(work.prepared, facts, verdict)
        verdict = held_back(verdict, work.walked)
        saved = save_review(parts.evidence, place, claim, facts, verdict)
        return facts, verdict, saved

    def _conclude(
        self,
        task: TaskRecord,
        work: _Work,
        place: Round,
        answer: WorkerAnswer,
        facts: Observations,
        verdict: Verdict,
        saved: list[Evidence],
    ) -> tuple[NextStep, State]:
        step = after_review(
            verdict,
            work.journey,
            work.limits,
            can_resume=answer.thread_id is not None,
            retry_on=work.loaded.pack.runtime_policy.retry.retry_on,
        )
        moment = self._parts.clock.now()
        moved = self._parts.store.move(
            Move(
                task_key=task.key,
                event=step.event,
                moment=moment,
                run_id=self._run_id,
                token=task.lease_token,
                reason=step.reason,
                kind="attempt",
                journey=step.journey,
                not_before_ms=moment.ms + step.delay_ms if step.delay_ms else None,
                body=entries.attempted(
                    place,
                    work.loaded,
                    facts,
                    verdict,
                    saved,
                    next_action=step.event.value,
                    summary=answer.result.summary if answer.result else "",
                )
                | {"phases": list(work.walked.passed)},
                also=_closing(step, facts),
                effects=self._effects(task, place, work, step, facts),
            )
        )
        self._parts.listener.tell(
            "judged",
            task=task.key,
            round=place.name,
            colour=verdict.colour.value,
            reason=step.reason,
            next=step.event.value,
            findings=[
                f"{item.rule} {item.where}: {item.what}"
                for item in verdict.findings
                if item.severity is not Severity.WARNING
            ],
        )
        run_effects(self._parts)
        return step, moved.state

    def _effects(
        self, task: TaskRecord, place: Round, work: _Work, step: NextStep, facts: Observations
    ) -> tuple[Effect, ...]:
        keep = {
            "task_key": task.key,
            "attempt_id": place.attempt_id,
            "tree": facts.tree,
        }
        if step.event is Event.ACCEPT:
            if facts.tree == facts.base_tree:
                return ()
            kept = {**keep, "kind": "accepted"}
            return (Effect("keep", f"keep:{place.attempt_id}", kept),)
        if not step.roll_back or not self._options.roll_back:
            return ()
        back = rollback_effect(work.checkpoint.checkpoint_id, place.attempt_id)
        if facts.tree == facts.base_tree:
            return (back,)
        kept = {**keep, "kind": "refused"}
        return (Effect("keep", f"keep:{place.attempt_id}", kept), back)

    def _next_round(
        self,
        work: _Work,
        facts: Observations,
        verdict: Verdict,
        saved: list[Evidence],
        step: NextStep,
    ) -> bytes:
        work.thread_id = self._parts.store.task(work.task.key).thread_id
        work.revision, work.attempt = work.revision + 1, 0
        pack = self._rework.build(
            work.loaded.pack,
            verdict,
            facts,
            revision=work.revision,
            rounds_left=max(0, work.limits.max_rework_rounds - step.journey.rework_rounds),
            observations_digest=review_of(saved).sha256,
        )
        return pack.model_dump_json().encode()

    # endings

    def _interrupt(self, task: TaskRecord, work: _Work, why: str, *, counted: bool = True) -> State:
        state = interrupt(
            self._parts,
            task,
            run_id=self._run_id,
            limits=work.limits,
            why=why,
            roll_back=self._options.roll_back,
            counted=counted,
        )
        run_effects(self._parts)
        return state

    def _stopped(self, task: TaskRecord, work: _Work, rounds: list[RoundReport]) -> CycleReport:
        current = self._parts.store.task(task.key)
        state = self._interrupt(current, work, "stopped by a person", counted=False)
        return CycleReport(
            task.key,
            task.spec.title,
            state,
            "INTERRUPTED",
            tuple(rounds),
            rolled_back=self._options.roll_back,
            was_stopped=True,
        )

    def _report(
        self,
        task: TaskRecord,
        state: State,
        rounds: list[RoundReport],
        step: NextStep,
        facts: Observations,
        verdict: Verdict,
    ) -> CycleReport:
        kinds = sorted(
            {item.rule for item in verdict.findings if item.severity is Severity.REFUSAL}
        )
        return CycleReport(
            task.key,
            task.spec.title,
            state,
            step.reason,
            tuple(rounds),
            rolled_back=step.roll_back and self._options.roll_back,
            files_changed=len(facts.changes),
            signature=f"{verdict.reason_code}:{','.join(kinds)}" if kinds else "",
        )


def _closing(step: NextStep, facts: Observations) -> tuple[EntryDraft, ...]:
    if step.event is not Event.ACCEPT:
        return ()
    return (
        EntryDraft(
            "close",
            {"final_status": "accepted", "summary": step.reason, "tree": facts.tree},
        ),
    )
