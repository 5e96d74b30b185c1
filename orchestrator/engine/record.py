"""Writes a review down: the claim, the facts and the verdict, each named by its digest."""

from __future__ import annotations

import json

from orchestrator.engine.ports import EvidenceStore
from orchestrator.kernel.work import Round, WorkerAnswer
from orchestrator.protocol.evidence import Evidence, Observations
from orchestrator.protocol.verdict import Verdict


def save_review(
    store: EvidenceStore,
    place: Round,
    answer: WorkerAnswer,
    facts: Observations,
    verdict: Verdict,
) -> list[Evidence]:
    """Save `step_result.json` (the claim) and `review.json` (facts and verdict, durable).

    Returns:
        All evidence of the attempt: these files, and the outputs of the checks.
    """
    saved = []
    if answer.result is not None:
        claim = answer.result.model_dump_json(indent=1).encode()
        saved.append(store.save(place, "step_result.json", claim, kind="step_result"))
    record = json.dumps(
        {"observations": facts.model_dump(mode="json"), "verdict": verdict.model_dump(mode="json")},
        ensure_ascii=False,
        separators=(",", ":"),
    )
    saved.append(store.save(place, "review.json", record.encode(), kind="review", durable=True))
    for run in (*facts.commands, *facts.base_commands):
        saved += [item for item in (run.stdout, run.stderr) if item is not None]
    return saved


def review_of(saved: list[Evidence]) -> Evidence:
    """Return the review among the saved evidence."""
    return next(item for item in saved if item.kind == "review")
