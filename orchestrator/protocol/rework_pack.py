"""ReworkPack: what fell short, sent back to the same worker.

The same StepResult and the same observations give the byte-identical pack: it holds no clock, no
random id and no path that differs between runs of the same attempt.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from orchestrator.protocol.base import Many, Wire
from orchestrator.vocabulary import ID_PATTERN


class Problem(Wire):
    """One failing criterion or gate; `criteria` is the criterion's exact text."""

    criteria: str
    issue: str
    evidence: str = ""
    impact: str = ""
    rule: str = ""
    gate_id: str | None = None
    reproduce: str = ""  # the command that shows it


class ReworkPolicy(Wire):
    """The two promises of a rework."""

    must_reduce_open_issues: bool = True
    no_new_scope: bool = True


class ReworkPack(Wire):
    """The feedback for one more round on the same step."""

    feedback_kind: Literal["rework"] = "rework"
    task_id: str = Field(pattern=ID_PATTERN)
    run_id: str | None = None
    step_id: str = Field(pattern=ID_PATTERN)
    revision: int = Field(default=1, ge=0)  # R of the round that this pack starts
    overall_assessment: str = "partial_failure"
    reason_code: str = ""
    problems: Many[Problem] = ()
    required_changes: Many[str] = ()
    next_actions: Many[str] = ()
    allowed_paths: Many[str] = ()
    forbidden_paths: Many[str] = ()
    rework_policy: ReworkPolicy = ReworkPolicy()
    rounds_left: int = Field(default=0, ge=0)
    contract_digest: str = ""
    observations_digest: str = ""
