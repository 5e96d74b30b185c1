"""StepResult: what a worker says about its attempt. A claim, never evidence.

Seed 004 names two fields in two ways; both are accepted on input and one is emitted:
`result` (also `verdict`) and `files_changed` (also `changed_files`).
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from orchestrator.protocol.base import Many, Wire
from orchestrator.vocabulary import ID_PATTERN

ALIASES = {"verdict": "result", "changed_files": "files_changed"}


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

    @model_validator(mode="before")
    @classmethod
    def _one_name_each(cls, data: Any) -> Any:  # noqa: ANN401  raw input, by definition
        if not isinstance(data, dict):
            return data
        for other, name in ALIASES.items():
            if other not in data:
                continue
            if name in data and data[name] != data[other]:
                raise PydanticCustomError(
                    "names_disagree",
                    "'{name}' and '{other}' mean the same and hold different values",
                    {"name": name, "other": other},
                )
            data = {key: value for key, value in data.items() if key != other} | {name: data[other]}
        return data
