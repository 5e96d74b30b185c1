"""The bodies of ledger entries: flat, integers and strings, named as seed 004 names them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from orchestrator.kernel.work import LoadedPack, Round, WorkerAnswer
from orchestrator.protocol.evidence import Evidence, Observations
from orchestrator.protocol.verdict import Severity, Verdict

_MAX_LISTED = 500  # longer lists are cut in the entry; the evidence file holds them whole


def named(evidence: Sequence[Evidence]) -> list[dict[str, Any]]:
    """Name files of evidence by path, SHA-256 and size."""
    return [
        {"path": item.path, "sha256": item.sha256, "size_bytes": item.size_bytes}
        for item in evidence
    ]


def dispatched(
    place: Round, loaded: LoadedPack, *, payload_digest: str, backend: str, base_tree: str
) -> dict[str, Any]:
    """Say what is about to be started, under which bounds."""
    return {
        "attempt_id": place.attempt_id,
        "r": place.revision,
        "s": place.attempt,
        "step_id": place.step_id,
        "evidence_dir": place.prefix,
        "backend": backend,
        "contract_digest": loaded.digest,
        "payload_digest": payload_digest,
        "base_tree": base_tree,
    }


def received(answer: WorkerAnswer) -> dict[str, Any]:
    """Say how the worker's process ended, with its resource receipt."""
    run = answer.run
    return {
        "ending": run.ending,
        "exit_code": -1 if run.exit_code is None else run.exit_code,
        "signal": run.signal or 0,
        "wall_ms": run.wall_ms,
        "cpu_ms": run.cpu_ms,
        "peak_rss_kb": run.peak_rss_kb,
        "peak_processes": run.peak_processes,
        "stragglers_killed": run.stragglers_killed,
        "claim": answer.result.result if answer.result else "",
        "parse_error": (run.parse_error or "")[:2000],
        "evidence": named([item for item in (run.stdout, run.stderr) if item is not None]),
    }


def attempted(
    place: Round,
    loaded: LoadedPack,
    facts: Observations,
    verdict: Verdict,
    evidence: Sequence[Evidence],
    *,
    next_action: str,
    summary: str,
) -> dict[str, Any]:
    """One finished attempt, with the fields of seed 004's attempt event."""
    refusals = [item for item in verdict.findings if item.severity is not Severity.WARNING]
    return {
        "r": place.revision,
        "s": place.attempt,
        "attempt_id": place.attempt_id,
        "acceptance_snapshot": list(loaded.pack.acceptance_criteria),
        "code_change_summary": summary[:2000],
        "code_artifact_ref": facts.tree,
        "executed_files": _cut([change.path for change in facts.changes]),
        "executed_commands": [run.command for run in facts.commands],
        "test_results": "; ".join(
            f"[{run.index}] exit {run.exit_code if run.exit_code is not None else run.ending}"
            for run in facts.commands
        ),
        "result": verdict.colour.value,
        "reason_code": verdict.reason_code,
        "reason_detail": "; ".join(f"{item.rule} {item.where}" for item in refusals)[:4000],
        "next_action": next_action,
        "contract_digest": loaded.digest,
        "base_tree": facts.base_tree,
        "tree": facts.tree,
        "confinement": facts.confinement,
        "signature": verdict.signature,
        "rules": sorted({item.rule for item in refusals}),
        "warnings": sorted(
            {item.rule for item in verdict.findings if item.severity is Severity.WARNING}
        ),
        "evidence": named(evidence),
    }


def interrupted(place_r: int, place_s: int, attempt_id: str, why: str) -> dict[str, Any]:
    """An attempt that nobody can finish: the controller or the machine stopped."""
    return {
        "r": place_r,
        "s": place_s,
        "attempt_id": attempt_id,
        "result": "interrupted",
        "reason_code": "INTERRUPTED",
        "reason_detail": why,
        "next_action": "roll back, then start afresh",
    }


def _cut(items: list[str]) -> list[str]:
    if len(items) <= _MAX_LISTED:
        return items
    return [*items[:_MAX_LISTED], f"... and {len(items) - _MAX_LISTED} more"]
