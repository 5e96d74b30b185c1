"""StepResult: what a worker says about its attempt. A claim, never evidence.

Seed 004 names two fields in two ways; both are accepted on input and one is emitted:
`result` (also `verdict`) and `files_changed` (also `changed_files`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field, ValidationInfo, model_validator

from orchestrator.protocol.base import (
    Many,
    Wire,
    name_faults,
    one_name_each,
    refuse_faults,
)
from orchestrator.protocol.faults import Fault
from orchestrator.vocabulary import ID_PATTERN


class CommandClaim(Wire):
    """A command that the worker says it ran."""

    command: str
    exit_code: int
    evidence_path: str = ""


class CriterionClaim(Wire):
    """Whether the worker says that a criterion is met; `criteria` repeats its exact text."""

    criteria: str
    met: bool
    evidence_path: str = ""


class SelfCheck(Wire):
    """The worker's own look at its scope; None where it says nothing."""

    all_changed_files_within_allowed: bool | None = None
    any_changed_files_in_forbidden: bool | None = None
    note: str = ""


class ScopeClaim(Wire):
    """Wrapper of seed 004 around the self-check."""

    self_check: SelfCheck = SelfCheck()


class StepResult(Wire):
    """The worker's answer to one StepPack or ReworkPack."""

    task_id: str = Field(pattern=ID_PATTERN)
    run_id: str | None = None
    step_id: str = Field(default="S1", pattern=ID_PATTERN)
    attempt_id: str | None = None
    result: Literal["PASS", "FAIL", "REWORK", "BLOCKED"]
    reason_code: str = ""
    reason_detail: str = ""
    summary: str = ""
    files_changed: Many[str] = ()
    commands_executed: Many[CommandClaim] = ()
    verification_results: Many[CriterionClaim] = ()
    evidence_map: dict[str, Many[str]] = Field(default_factory=dict)
    scope_guard: ScopeClaim = ScopeClaim()
    risks: Many[str] = ()
    thread_id: str | None = None

    other_names: ClassVar[Mapping[str, str]] = {
        "verdict": "result",
        "changed_files": "files_changed",
    }

    @classmethod
    def faults(cls, data: Mapping[str, Any]) -> Iterable[Fault]:
        """Name the two names of one thing that hold different values."""
        return name_faults(data, cls.other_names)

    @model_validator(mode="before")
    @classmethod
    def _one_name_each(cls, data: Any, info: ValidationInfo) -> Any:  # noqa: ANN401  raw input
        if not isinstance(data, dict):
            return data
        refuse_faults(cls.faults(data), info)
        return one_name_each(data, cls.other_names)
