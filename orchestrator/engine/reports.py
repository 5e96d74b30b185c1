"""How cycles run, and how they ended, for people."""

from __future__ import annotations

from dataclasses import dataclass, field

from orchestrator.kernel.journey import Limits
from orchestrator.kernel.life import State
from orchestrator.protocol.verdict import Finding


@dataclass(frozen=True, slots=True)
class CycleOptions:
    """How cycles run."""

    limits: Limits = field(default_factory=Limits)
    roll_back: bool = True
    backend: str | None = None
    backend_by_task: dict[str, str] | None = None
    rework_thread_id: str | None = None


@dataclass(frozen=True, slots=True)
class RoundReport:
    """How one round ended, for people."""

    name: str
    attempt_id: str
    colour: str
    reason_code: str
    findings: tuple[Finding, ...]
    evidence_dir: str


@dataclass(frozen=True, slots=True)
class CycleReport:
    """How one cycle ended, for people."""

    task_key: str
    title: str
    state: State
    reason: str
    rounds: tuple[RoundReport, ...] = ()
    rolled_back: bool = False
    files_changed: int = 0
    signature: str = ""
    problems: tuple[str, ...] = ()
    was_stopped: bool = False  # a person ended it in the middle
