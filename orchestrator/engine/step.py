"""One step outside the queue: dispatch, look, review, log. No task is moved."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

from orchestrator.engine import entries
from orchestrator.engine.effects import look_at_queue
from orchestrator.engine.ports import Parts
from orchestrator.engine.record import review_of, save_claim, save_review
from orchestrator.errors import NothingToDo, PolicyError
from orchestrator.kernel.work import (
    AttemptWindow,
    CheckpointTaken,
    LoadedPack,
    Round,
    WorkerAnswer,
    WorkOrder,
)
from orchestrator.protocol.evidence import Evidence, Observations
from orchestrator.protocol.rework_pack import ReworkPack
from orchestrator.protocol.verdict import Colour, Verdict
from orchestrator.qa.reviewer import StepQAReviewer
from orchestrator.qa.rework import ReworkBuilder
from workflow_logger.iteration import allowed_next


@dataclass(frozen=True, slots=True)
class StepReport:
    """How one dispatched step ended."""

    place: Round
    answer: WorkerAnswer
    checkpoint_id: str
    facts: Observations | None = None
    verdict: Verdict | None = None
    rework: ReworkPack | None = None


class StepRun:
    """Dispatches single steps for one process run."""

    def __init__(self, parts: Parts, run_id: str) -> None:
        self._parts = parts
        self._run_id = run_id

    def dispatch(
        self,
        loaded: LoadedPack,
        *,
        backend: str | None = None,
        rework: bytes | None = None,
        thread_id: str | None = None,
        review: bool = False,
        evidence_run: str | None = None,
    ) -> StepReport:
        """Run the step once. The attempt is logged under the next R/S of its task.

        evidence_run: where its evidence goes; None is the pack's run, for a rework the run of
            the attempt before, or else a new one.

        Raises:
            PolicyError: the queue owns this task, or its log is closed.
            WorkerError: the worker could not be started.
        """
        parts = self._parts
        task = loaded.pack.task_id
        self._refuse_queued(task)
        moment = parts.clock.now()
        revision, attempt, last_run = self._next(task, revised=rework is not None)
        run = evidence_run or loaded.pack.run_id or last_run or parts.ids.run_id(task, moment)
        checkpoint = parts.workplace.checkpoint(task, self._run_id, moment)
        place = parts.evidence.open_round(
            run_id=run,
            task_key=task,
            step_id=loaded.pack.step_id,
            attempt_id=parts.ids.attempt_id(moment),
            revision=revision,
            attempt=attempt,
        )
        payload = rework or loaded.data
        parts.evidence.save(place, "payload.json", payload, kind="payload")
        look_at_queue(parts)
        noted = parts.workplace.before(place, loaded.pack, checkpoint)
        self._started(loaded, place, checkpoint, payload, backend)
        try:
            answer = parts.worker.run(WorkOrder(place, payload, thread_id, loaded.pack, backend))
        finally:
            look_at_queue(parts, AttemptWindow(place.attempt_id))
        facts = verdict = pack = None
        saved = save_claim(parts.evidence, place, answer)
        if review:
            facts = parts.workplace.observe(noted, place, loaded.pack, answer)
            verdict = StepQAReviewer().review(
                loaded.pack, answer.result, facts, contract_digest=loaded.digest
            )
            saved = save_review(parts.evidence, place, saved, facts, verdict)
            if verdict.colour is Colour.REFUSED:
                pack = ReworkBuilder().build(
                    loaded.pack,
                    verdict,
                    facts,
                    revision=revision + 1,
                    rounds_left=1,
                    observations_digest=review_of(saved).sha256,
                )
        self._log(loaded, place, answer, facts, verdict, saved, payload)
        return StepReport(place, answer, checkpoint.checkpoint_id, facts, verdict, pack)

    def _started(
        self,
        loaded: LoadedPack,
        place: Round,
        checkpoint: CheckpointTaken,
        payload: bytes,
        backend: str | None,
    ) -> None:
        """Record what starts now, so that a dead controller's worker is found and ended."""
        body = entries.dispatched(
            place,
            loaded,
            payload_digest=sha256(payload).hexdigest(),
            backend=backend or "",
            base_tree=checkpoint.tree,
        )
        self._parts.store.note(
            moment=self._parts.clock.now(),
            run_id=self._run_id,
            kind="step_started",
            task_id=place.task_key,
            body={
                **body,
                "checkpoint_id": checkpoint.checkpoint_id,
                "evidence_run": place.run_id,
            },
        )

    def _refuse_queued(self, task: str) -> None:
        try:
            record = self._parts.store.task(task)
        except NothingToDo:
            return
        raise PolicyError(
            f"task {task} is in the queue ({record.state}), which numbers its attempts",
            where=f"task {task}",
            mend=f"run it from there: run-cycle --task-key {task}",
        )

    def _next(self, task: str, *, revised: bool) -> tuple[int, int, str]:
        """Return R, S, and for a rework the run of the attempt before."""
        last: tuple[int, int] | None = None
        run = ""
        for entry in self._parts.store.entries(task_id=task):
            if entry["kind"] == "close":
                raise PolicyError(
                    f"the log of {task} is closed", where=f"task {task}", mend="use a new task id"
                )
            if entry["kind"] == "step_started" and revised:
                run = entry["body"]["evidence_run"]
            if entry["kind"] == "attempt":
                last = (entry["body"]["r"], entry["body"]["s"])
        r, s = allowed_next(last)[-1 if revised else 0]
        return r, s, run

    def _log(
        self,
        loaded: LoadedPack,
        place: Round,
        answer: WorkerAnswer,
        facts: Observations | None,
        verdict: Verdict | None,
        saved: list[Evidence],
        payload: bytes,
    ) -> None:
        body = {
            **entries.received(answer),
            "r": place.revision,
            "s": place.attempt,
            "attempt_id": place.attempt_id,
            "acceptance_snapshot": list(loaded.pack.acceptance_criteria),
            "contract_digest": loaded.digest,
            "payload_digest": sha256(payload).hexdigest(),
            "result": f"claimed {answer.result.result}" if answer.result else "no claim",
            "reason_code": answer.result.reason_code if answer.result else "UNPARSEABLE_RESULT",
            "next_action": "review",
        }
        if facts is not None and verdict is not None:
            body |= entries.attempted(
                place,
                loaded,
                facts,
                verdict,
                saved,
                next_action="a person decides",
                summary=answer.result.summary if answer.result else "",
            )
        self._parts.store.note(
            moment=self._parts.clock.now(),
            run_id=self._run_id,
            kind="attempt",
            task_id=loaded.pack.task_id,
            body=body,
        )
