"""The master contract of a tier-3 task: what is agreed before any agent starts.

Three texts come out, named as they are stored:

    master_contract.md       the contract
    template_snapshot.md     the template's source as it was used, byte for byte
    conformance_report.json  the contract held against the template, with both digests

Equal input gives equal bytes. What people wrote is data: a criterion that reads `# Acceptance`
stays a criterion.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from orchestrator.contract.conformance import check_conformance, with_findings
from orchestrator.contract.template import default_template, render
from orchestrator.protocol.prose import plain, without_id
from orchestrator.protocol.step_pack import StepPack
from orchestrator.protocol.task import IntakeTask
from orchestrator.protocol.verdict import Finding, Severity

_HAS_ID: Final = re.compile(r"^\s*AC[-_ ]?\d+\s*[:.)-]", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Compiled:
    """The three texts; the report is a value, ready for JSON."""

    master_contract_md: str
    template_snapshot_md: str
    conformance_report: dict[str, Any]

    @property
    def conforms(self) -> bool:
        """Whether the contract may be frozen."""
        return bool(self.conformance_report["conforms"])


def compile_master_contract(
    task: IntakeTask,
    pack: StepPack | None,
    *,
    task_key: str,
    template: str | None = None,
    at: str,
) -> Compiled:
    """Return the contract of `task` and how it conforms.

    Args:
        task: what intake found ready.
        pack: the StepPack, if there is one already; its scope and commands are what holds.
        task_key: the task's key in the queue.
        template: source of a template of the project's own; absent: the one of the package.
        at: the moment of compiling, UTC, ISO 8601.

    Raises:
        ContractError: the template cannot be used.
    """
    source = default_template() if template is None else template
    contract = render(source, contract_values(task, pack, task_key=task_key, at=at))
    report = check_conformance(contract, source)
    if pack is not None:
        report = with_findings(report, tuple(_disagreements(task, pack)))
    return Compiled(contract, source, report)


def contract_values(
    task: IntakeTask, pack: StepPack | None, *, task_key: str, at: str
) -> dict[str, object]:
    """Return what a template can name: texts and lists of texts, nothing else."""
    criteria = task.acceptance_criteria or (pack.acceptance_criteria if pack else ())
    return {
        "task_key": task_key,
        "title": task.task_title,
        "target": task.target,
        "route": "tier3",
        "at": at,
        "objective": (pack.objective if pack else "") or task.description or task.task_title,
        "description": task.description,
        "allowed_paths": _first(pack.allowed_paths if pack else (), task.allowed_paths),
        "forbidden_paths": _union(pack.forbidden_paths if pack else (), task.forbidden_paths),
        "out_of_scope": task.out_of_scope,
        "steps": task.steps,
        "criteria": numbered_criteria(criteria),
        "commands": _first(pack.commands_to_run if pack else (), task.commands_to_run),
        "evidence": _evidence(pack),
        "limits": tuple(_limits(task, pack)),
    }


def numbered_criteria(criteria: Sequence[str]) -> tuple[str, ...]:
    """Give every criterion an id: `AC<n>: `, n its place, unless it brings one."""
    return tuple(
        text if _HAS_ID.match(text) else f"AC{number}: {text}"
        for number, text in enumerate(criteria, start=1)
    )


def _first(pack: Sequence[str], task: Sequence[str]) -> tuple[str, ...]:
    return tuple(pack or task)


def _union(pack: Sequence[str], task: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*pack, *task)))


def _evidence(pack: StepPack | None) -> tuple[str, ...]:
    if pack is None:
        return ()
    return tuple(
        f"{item.id}: {item.path_pattern}"
        + (f" (for {', '.join(item.required_for)})" if item.required_for else "")
        for item in pack.evidence_required
    )


def _limits(task: IntakeTask, pack: StepPack | None) -> Iterator[str]:
    yield f"Risk: {task.risk or 'not stated'}."
    if pack is None:
        return
    policy, dependencies = pack.runtime_policy, pack.dependency_policy
    yield f"At most {policy.timeout_sec} s an attempt, {policy.no_output_timeout_sec} s of silence."
    if policy.max_memory_mb is not None:
        yield f"At most {policy.max_memory_mb} MiB of memory."
    if policy.max_output_mb is not None:
        yield f"At most {policy.max_output_mb} MiB of output."
    yield f"At most {policy.retry.max_attempts} attempts."
    yield f"New dependencies: {_allowed(allowed=dependencies.allow_new_dependencies)}."
    yield f"Changes to lock files: {_allowed(allowed=dependencies.allow_lockfile_changes)}."
    ci = dependencies.allow_ci_changes or dependencies.allow_ci_workflow_changes_in_scope
    yield f"Changes to CI: {_allowed(allowed=ci)}."


def _allowed(*, allowed: bool) -> str:
    return "allowed" if allowed else "not allowed"


def _disagreements(task: IntakeTask, pack: StepPack) -> Iterator[Finding]:
    """Yield where the StepPack promises less, or allows more, than the task asked for."""
    covered = {without_id(text).casefold() for text in pack.acceptance_criteria}
    for index, text in enumerate(task.acceptance_criteria):
        if without_id(text).casefold() not in covered:
            yield Finding(
                rule="contract.criterion_not_in_pack",
                where=f"acceptance_criteria[{index}]",
                what=f"'{plain(text, 80)}' is not among the StepPack's criteria",
                mend="add it to the StepPack, in the same words",
            )
    asked = set(task.allowed_paths)
    for index, path in enumerate(pack.allowed_paths):
        if asked and path not in asked:
            yield Finding(
                rule="contract.pack_allows_more",
                where=f"allowed_paths[{index}]",
                what=f"the StepPack allows '{plain(path, 80)}', which the task does not name",
                mend="remove it from the StepPack, or name it in the task",
                severity=Severity.WARNING,
            )
