"""Results of runs as data and as text for a person."""

from __future__ import annotations

from typing import Any

from orchestrator.cli.output import counted
from orchestrator.cli.progress import some_of
from orchestrator.engine.campaign import CampaignReport
from orchestrator.engine.recovery import Recovered
from orchestrator.engine.reports import CycleReport
from orchestrator.protocol.verdict import Severity

_MARKS = {
    "completed": "✓",
    "failed": "✗",
    "quarantined": "?",
    "blocked": "-",
    "awaiting_approval": "…",
    "pending": "↻",
}
_WORDS = {
    "drained": "the queue is drained",
    "max_cycles": "the limit of cycles is reached",
    "stagnant": "stopped: too many cycles in a row completed nothing",
    "identical_failures": "stopped: too many cycles in a row failed in the same way",
    "interrupted": "stopped by a person",
    "worker_unavailable": "stopped: the worker cannot be started",
}
_SHOWN = 40


def cycle_data(report: CycleReport) -> dict[str, Any]:
    """Return a cycle as plain data."""
    return {
        "task": report.task_key,
        "title": report.title,
        "state": report.state.value,
        "reason": report.reason,
        "rolled_back": report.rolled_back,
        "files_changed": report.files_changed,
        "problems": list(report.problems),
        "rounds": [
            {
                "round": item.name,
                "attempt_id": item.attempt_id,
                "verdict": item.colour,
                "reason_code": item.reason_code,
                "evidence": item.evidence_dir,
                "findings": [
                    {
                        "rule": finding.rule,
                        "severity": finding.severity.value,
                        "where": finding.where,
                        "what": finding.what,
                        "mend": finding.mend,
                    }
                    for finding in item.findings
                ],
            }
            for item in report.rounds
        ],
    }


def campaign_data(
    report: CampaignReport, counters: dict[str, Any], recovered: Recovered
) -> dict[str, Any]:
    """Return a campaign as plain data."""
    return {
        "run_id": report.run_id,
        "stop": report.stop.value,
        "cycles_run": report.count,
        "counters": counters,
        "cycles": [cycle_data(item) for item in report.cycles],
        "edits_refused": [*recovered.edit_refused, *report.edits_refused],
        "recovered": {
            "dead_runs": list(recovered.dead_runs),
            "interrupted": list(recovered.interrupted),
            "processes_killed": recovered.processes_killed,
            "effects_done": recovered.effects_done,
        },
    }


def campaign_text(data: dict[str, Any]) -> str:
    """Say how a campaign ended: what happened, what was refused and why, the next command."""
    rows = _table(data["cycles"])
    tasks = data["counters"]["tasks"]
    outcomes = data["counters"]["outcomes"]
    counts = ", ".join(f"{count} {name}" for name, count in tasks.items() if count)
    lines = [
        "",
        *rows,
        "",
        f"{_WORDS[data['stop']]}; {counted(data['cycles_run'], 'cycle')} in this run",
        f"tasks: {counts or 'none'}",
        f"attempts: {outcomes['accepted']} accepted, {outcomes['reworked']} sent back,"
        f" {outcomes['refused']} refused, {outcomes['unknown']} undecided,"
        f" {outcomes['interrupted']} interrupted, {outcomes['rolled_back']} rolled back",
    ]
    lines += [f"queue edit refused: {line}" for line in some_of(data["edits_refused"])]
    if tasks["blocked"]:
        lines.append(
            "blocked tasks: mend what is named, then write status: pending in the queue file"
        )
    if tasks["awaiting_approval"]:
        lines.append(
            "tasks that await approval: write status: pending, or cancelled, in the queue file"
        )
    lines += [
        f"next: python -m orchestrator replay {data['run_id']}   (the story of this run)",
        "      python -m orchestrator verify   (ledger, files and evidence against each other)",
    ]
    return "\n".join(lines)


def _table(cycles: list[dict[str, Any]]) -> list[str]:
    shown = cycles[-_SHOWN:]
    width = max((len(row["task"]) for row in shown), default=4)
    lines = []
    if len(shown) < len(cycles):
        lines.append(f"(the last {len(shown)} of {len(cycles)} cycles)")
    for row in shown:
        mark = _MARKS.get(row["state"], " ")
        rounds = "+".join(item["round"] for item in row["rounds"]) or "-"
        back = ", rolled back" if row["rolled_back"] else ""
        lines.append(
            f"{mark} {row['task']:<{width}}  {row['state']:<11} {rounds:<10} {row['reason']}{back}"
        )
        lines += [f"  {'':<{width}}  {text}" for text in _why(row)]
    return lines


def _why(row: dict[str, Any]) -> list[str]:
    if row["problems"]:
        return list(row["problems"][:3])
    if not row["rounds"]:
        return []
    if row["state"] == "completed":
        return [f"! {line}" for line in _doubts(row)]
    findings = [
        item for item in row["rounds"][-1]["findings"] if item["severity"] != Severity.WARNING
    ]
    return [f"{item['rule']} {item['where']}: {item['what']}"[:160] for item in findings[:2]]


def _doubts(row: dict[str, Any]) -> list[str]:
    """What a person should know about an accepted result: how far its checks prove it."""
    return [
        f"{item['rule']} {item['where']}: {item['what']}"[:160]
        for item in row["rounds"][-1]["findings"]
        if item["rule"].startswith("check.")
    ][:2]


def cycle_text(data: dict[str, Any]) -> str:
    """Say how one cycle ended."""
    lines = _table([data])
    for item in data["rounds"]:
        lines.append(f"{item['round']}: {item['verdict']}, evidence in {item['evidence']}")
        lines += [
            f"  {finding['severity']}: {finding['rule']} {finding['where']}: {finding['what']};"
            f" {finding['mend']}"
            for finding in item["findings"]
        ]
    return "\n".join(lines)
