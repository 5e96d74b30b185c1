"""What passes between the engine and the store: plain values, no behaviour.

Times are milliseconds since the epoch (`*_ms`) where they are compared, RFC 3339 text with
milliseconds and `Z` (`at`) where they are recorded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from orchestrator.kernel.journey import Journey
from orchestrator.kernel.life import Event, State

if TYPE_CHECKING:  # pydantic costs 60 ms, and the quick commands need none
    from orchestrator.protocol.task import Task


@dataclass(frozen=True, slots=True)
class Moment:
    """One instant, in both forms."""

    ms: int
    at: str


@dataclass(frozen=True, slots=True)
class TaskRecord:
    """A task as the store knows it."""

    key: str
    state: State
    spec: Task
    journey: Journey
    reason: str
    revision: int  # R of the current or last attempt
    attempt: int  # S of the current or last attempt; -1 before the first
    attempt_id: str | None
    checkpoint_id: str | None
    thread_id: str | None
    run_id: str | None
    lease_token: int  # fencing token of the last claim
    lease_until_ms: int
    not_before_ms: int
    unmet: int
    updated_at: str


@dataclass(frozen=True, slots=True)
class Effect:
    """Something to do after the decision is durable; repeated after a crash until it is done.

    key: makes the effect unique, so that deciding twice does not do it twice.
    """

    kind: str
    key: str
    payload: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PendingEffect:
    """An effect that is recorded and not yet known to be done."""

    number: int
    kind: str
    key: str
    task_key: str
    payload: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class EntryDraft:
    """A further ledger entry in the same transaction."""

    kind: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Move:
    """One decision about one task: event, record, effects. One transaction."""

    task_key: str
    event: Event
    moment: Moment
    run_id: str | None
    token: int | None  # fencing token; None for a person's move on a task that nobody holds
    reason: str = ""
    kind: str = "decision"  # the entry's kind
    body: Mapping[str, Any] = field(default_factory=dict)
    also: tuple[EntryDraft, ...] = ()
    effects: tuple[Effect, ...] = ()
    journey: Journey | None = None
    revision: int | None = None
    attempt: int | None = None
    attempt_id: str | None = None
    checkpoint_id: str | None = None
    thread_id: str | None = None
    not_before_ms: int | None = None
    lease_until_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Moved:
    """What a decision left behind."""

    state: State
    entry_hash: str
    seq: int


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One process that moved tasks: a campaign, a cycle, a command."""

    run_id: str
    kind: str
    pid: int
    start_ticks: int
    boot_id: str
    host: str
    started_at: str
    ended_at: str | None = None
    outcome: str | None = None
