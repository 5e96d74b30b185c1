"""Rules about CI workflows: little power, nothing that moves under us, no injected text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

_PINNED = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}")
_MAX_MINUTES = 60


def load(text: str) -> dict[Any, Any]:
    """Parse a workflow. YAML 1.1 reads the key `on` as true; it is put right here."""
    parsed = yaml.safe_load(text)
    if not isinstance(parsed, dict):
        raise TypeError("a workflow is a mapping")
    if True in parsed:
        parsed["on"] = parsed.pop(True)
    return parsed


def faults(workflow: dict[Any, Any]) -> list[str]:
    return [
        *_trigger_faults(workflow),
        *_permission_faults(workflow),
        *_step_faults(workflow),
        *_limit_faults(workflow),
    ]


def run_lines(workflow: dict[Any, Any]) -> list[str]:
    return [line for _, step in _steps(workflow) for line in str(step.get("run", "")).splitlines()]


def _jobs(workflow: dict[Any, Any]) -> dict[str, dict[str, Any]]:
    return workflow.get("jobs") or {}


def _steps(workflow: dict[Any, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, job in _jobs(workflow).items():
        for number, step in enumerate(job.get("steps") or (), 1):
            yield f"{name}, step {number}", step


def _trigger_faults(workflow: dict[Any, Any]) -> list[str]:
    triggers = workflow.get("on")
    names = {triggers} if isinstance(triggers, str) else set(triggers or ())
    found = sorted(names & {"pull_request_target", "workflow_run", "issue_comment"})
    return [f"on: {name} gives a stranger's change our rights" for name in found]


def _permission_faults(workflow: dict[Any, Any]) -> list[str]:
    found = []
    if workflow.get("permissions") != {"contents": "read"}:
        found.append(f"permissions: {workflow.get('permissions')!r}, expected contents: read only")
    for name, job in _jobs(workflow).items():
        if "permissions" in job and job["permissions"] not in ({}, {"contents": "read"}):
            found.append(f"{name}: asks for more than contents: read")
    return found


def _step_faults(workflow: dict[Any, Any]) -> list[str]:
    found = []
    for where, step in _steps(workflow):
        uses = str(step.get("uses", ""))
        if uses and not uses.startswith("./") and not _PINNED.fullmatch(uses):
            found.append(f"{where}: {uses} is not pinned by a full SHA")
        keeps_token = (step.get("with") or {}).get("persist-credentials") is not False
        if uses.startswith("actions/checkout@") and keeps_token:
            found.append(f"{where}: checkout leaves the job's token in .git/config")
        if "${{" in str(step.get("run", "")):
            found.append(f"{where}: an expression inside a run block; hand it in through env")
        if "secrets." in str(step):
            found.append(f"{where}: uses a secret")
        if step.get("continue-on-error"):
            found.append(f"{where}: a failure would be ignored")
    return found


def _limit_faults(workflow: dict[Any, Any]) -> list[str]:
    found = []
    if not (workflow.get("concurrency") or {}).get("group"):
        found.append("concurrency: no group")
    for name, job in _jobs(workflow).items():
        minutes = job.get("timeout-minutes")
        if not isinstance(minutes, int) or not 0 < minutes <= _MAX_MINUTES:
            found.append(f"{name}: timeout-minutes is {minutes!r}, expected 1 to {_MAX_MINUTES}")
        if job.get("continue-on-error"):
            found.append(f"{name}: a failure would be ignored")
    return found
