"""Writes a review down: the claim, the facts and the verdict, each named by its digest."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.engine.ports import EvidenceStore
from orchestrator.errors import WorkspaceError
from orchestrator.kernel.work import Round, WorkerAnswer
from orchestrator.protocol.evidence import Evidence, Observations
from orchestrator.protocol.verdict import Colour, Finding, Severity, Verdict


def save_claim(store: EvidenceStore, place: Round, answer: WorkerAnswer) -> list[Evidence]:
    """Save `step_result.json`, the claim as it was understood, before anybody looks for it."""
    if answer.result is None:
        return []
    claim = answer.result.model_dump_json(indent=1).encode()
    return [store.save(place, "step_result.json", claim, kind="step_result")]


def save_review(
    store: EvidenceStore,
    place: Round,
    claim: Sequence[Evidence],
    facts: Observations,
    verdict: Verdict,
) -> list[Evidence]:
    """Save `review.json` (facts and verdict, durable).

    Returns:
        All evidence of the attempt: the claim, this file, and the outputs of the checks.
    """
    saved = list(claim)
    record = f'{{"observations":{facts.model_dump_json()},"verdict":{verdict.model_dump_json()}}}'
    saved.append(store.save(place, "review.json", record.encode(), kind="review", durable=True))
    for run in (*facts.commands, *facts.base_commands):
        saved += [item for item in (run.stdout, run.stderr) if item is not None]
    return saved


def review_of(saved: list[Evidence]) -> Evidence:
    """Return the review among the saved evidence."""
    return next(item for item in saved if item.kind == "review")


def unreadable(
    place: Round, base_tree: str, answer: WorkerAnswer, error: WorkspaceError, contract_digest: str
) -> tuple[Observations, Verdict]:
    """Facts and verdict where the tree could not be looked at: nothing is proved.

    A worker can do that (a FIFO in git's way) and so can the machine; either way the tree is put
    back and a person looks.
    """
    facts = Observations(
        attempt_id=place.attempt_id,
        base_tree=base_tree,
        tree=base_tree,
        worker=answer.run,
        warnings=(f"{error.where}: {error.what}",),
    )
    finding = Finding(
        rule="work.tree_unreadable",
        where=error.where,
        what=error.what,
        mend=error.mend,
        severity=Severity.UNKNOWN,
    )
    verdict = Verdict(
        colour=Colour.UNKNOWN,
        reason_code="TREE_UNREADABLE",
        findings=(finding,),
        worker_result=answer.result.result if answer.result else None,
        contract_digest=contract_digest,
        signature=finding.rule,
    )
    return facts, verdict
