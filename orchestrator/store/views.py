"""What people and tools read: queue, scoreboard, trends, summary, and the ledger's files.

Written from the store, never read back as truth. A view is written at once while that is cheap;
when writing takes longer, it is written less often, so that it never costs more than about a
fiftieth of the time, however long the queue is, and never twice within a tenth of a second.
At the end of a run everything is written.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from orchestrator.kernel.records import Moment
from orchestrator.scoreboard import trends as trend_rules
from orchestrator.scoreboard.counters import OUTCOMES, STATES, Counters
from orchestrator.scoreboard.summary import Report, Row, Section, render_summary
from orchestrator.scoreboard.view import render_json, scoreboard, trends
from orchestrator.store.conditions import READY, WAITING
from orchestrator.store.files import read_regular, replace_file
from orchestrator.store.projection import LedgerFiles
from orchestrator.store.queuefile import QueueFile
from orchestrator.store.store import SqlStore

_SHARE = 50  # a view may cost one part in this many of the time
_GAP_SEC = 0.1  # nobody reads faster; cycles of workers that answer at once would write each time
_SIGNED_EVERY_SEC = 1.0
_ROWS = 21  # what a section of the summary needs to know
_OUTCOME_EVENTS = {
    "accepted": ("event.accept",),
    "reworked": ("event.order_rework",),
    "refused": ("event.requeue", "event.fail"),
    "unknown": ("event.quarantine",),
    "interrupted": ("event.interrupt",),
    "rolled_back": ("effect.rollback",),
}
_SECTIONS = {
    "accepted": ("completed",),
    "refused": ("failed",),
    "undecided": ("quarantined", "awaiting_approval"),
    "running": ("claimed", "prepared", "dispatched", "in_review", "rework"),
    "cancelled": ("cancelled",),
}


@dataclass(slots=True)
class _Pace:
    """When something may be written again."""

    next_at: float = 0.0

    def is_due(self, now: float) -> bool:
        return now >= self.next_at

    def took(self, start: float, end: float) -> None:
        self.next_at = end + max(_GAP_SEC, (end - start) * _SHARE)


class FileViews:
    """The files of one project's progress folder."""

    def __init__(
        self,
        store: SqlStore,
        queue: QueueFile,
        ledger: LedgerFiles,
        folder: Path,
        *,
        project: str,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._queue = queue
        self._ledger = ledger
        self._folder = folder
        self._project = project
        self._monotonic = monotonic
        self._queue_pace, self._board_pace = _Pace(), _Pace()
        self._ledger_pace, self._sign_pace = _Pace(), _Pace()
        self._trends: tuple[trend_rules.Snapshot, ...] | None = None

    def publish(self, moment: Moment, *, now: bool = False) -> None:
        """Bring the files up to date; without `now`, only as often as it stays cheap."""
        self._paced(self._ledger_pace, now, lambda: self._bring_up(now=now))
        self._paced(self._board_pace, now, lambda: self._boards(moment))
        self._paced(self._queue_pace, now, lambda: self._queue.write(moment))

    def _bring_up(self, *, now: bool) -> None:
        start = self._monotonic()
        sign = now or self._sign_pace.is_due(start)
        self._ledger.bring_up(checkpoint=sign, durable=now)
        if sign:
            self._sign_pace.next_at = start + _SIGNED_EVERY_SEC

    def _paced(self, pace: _Pace, now: bool, write: Callable[[], None]) -> None:  # noqa: FBT001
        start = self._monotonic()
        if now or pace.is_due(start):
            write()
            pace.took(start, self._monotonic())

    def counters(self) -> Counters:
        """Return the counters as the store keeps them."""
        return counters_of(self._store.counters())

    def _snapshot(self, moment: Moment, counters: Counters) -> None:
        if self._trends is None:
            self._trends = self._load_trends()
        if self._trends and self._trends[-1].counters == counters:
            return
        number = self._trends[-1].number + 1 if self._trends else 0
        snapshot = trend_rules.Snapshot(number, moment.at, counters)
        self._trends = trend_rules.append(self._trends, snapshot)

    def _load_trends(self) -> tuple[trend_rules.Snapshot, ...]:
        """Read the old snapshots back: the only past that the store does not keep."""
        try:
            data = json.loads(read_regular(self._folder / "trends.json"))
            return tuple(
                trend_rules.Snapshot(
                    int(row["number"]),
                    str(row["at"]),
                    Counters(dict(row["tasks"]), dict(row["outcomes"]), int(row["cycles"])),
                )
                for row in data["snapshots"]
            )
        except (OSError, ValueError, KeyError, TypeError):
            return ()  # a view that is gone or damaged starts again

    def _boards(self, moment: Moment) -> None:
        at = datetime.fromisoformat(moment.at)
        counters = self.counters()
        self._snapshot(moment, counters)
        last = self._last_selected()
        board = scoreboard(counters, updated_at=at, project=self._project, last_selected=last)
        replace_file(self._folder / "scoreboard.json", [render_json(board).encode()])
        trend = json.dumps(trends(self._trends or (), updated_at=at), sort_keys=True)
        replace_file(self._folder / "trends.json", [trend.encode() + b"\n"])
        summary = render_summary(self._report(moment, counters, last))
        replace_file(self._folder / "summary.md", [summary.encode()])

    def _last_selected(self) -> dict[str, str] | None:
        row = self._store.database.one(
            "SELECT line FROM ledger WHERE kind = 'decision' AND line LIKE '%\"event\":\"claim\"%'"
            " ORDER BY seq DESC LIMIT 1"
        )
        if row is None:
            return None
        entry = json.loads(row[0])
        return {"task_key": entry["task_id"], "at": entry["at"]}

    def _report(self, moment: Moment, counters: Counters, last: dict[str, str] | None) -> Report:
        sections = {name: self._section(states, counters) for name, states in _SECTIONS.items()}
        waiting, ready = self._pending(counters)
        return Report(
            project=self._project,
            at=moment.at,
            counters=counters,
            accepted=sections["accepted"],
            refused=sections["refused"],
            undecided=sections["undecided"],
            running=sections["running"],
            cancelled=sections["cancelled"],
            waiting=waiting,
            ready=ready,
            last_selected=Row(last["task_key"]) if last else None,
            record="python -m orchestrator verify",
            next_command="python -m orchestrator status",
        )

    def _section(self, states: tuple[str, ...], counters: Counters) -> Section:
        rows = [
            row
            for state in states
            for row in self._store.database.all(
                "SELECT updated_at, task_key, spec, reason FROM task WHERE state = ?"
                " AND state <> 'pending' ORDER BY updated_at DESC LIMIT ?",
                (state, _ROWS),
            )
        ]
        rows.sort(reverse=True)
        total = sum(counters.tasks.get(state, 0) for state in states)
        return Section([_row(*row[1:]) for row in rows[:_ROWS]], total)

    def _pending(self, counters: Counters) -> tuple[Section, Section]:
        """Return what waits and what is ready; each answered by its own index."""
        pending, blocked = (counters.tasks.get(state, 0) for state in ("pending", "blocked"))
        ready = self._store.database.all(
            f"SELECT task_key, spec, reason FROM task WHERE {READY}"  # noqa: S608
            " ORDER BY sort_key, seq LIMIT ?",
            (_ROWS,),
        )
        columns = "task_key, spec, reason, unmet, hold, parked"
        stuck = [
            row
            for where in (
                "state = 'blocked' AND state <> 'pending' ORDER BY updated_at DESC",
                f"{WAITING} ORDER BY seq",
            )
            for row in self._store.database.all(
                f"SELECT {columns} FROM task WHERE {where} LIMIT ?",  # noqa: S608
                (_ROWS,),
            )
        ]
        waiting = [
            Row(key, _title(spec), reason or _why(unmet, hold, parked))
            for key, spec, reason, unmet, hold, parked in stuck[:_ROWS]
        ]
        row = self._store.database.one(f"SELECT COUNT(*) FROM task WHERE {WAITING}")  # noqa: S608
        count = int(row[0]) if row else 0
        return (
            Section(waiting, count + blocked),
            Section([_row(*item) for item in ready], pending - count),
        )


def counters_of(values: dict[str, int]) -> Counters:
    """Turn the store's counter table into the scoreboard's counters."""
    return Counters(
        tasks={state: values.get(f"state.{state}", 0) for state in STATES},
        outcomes={
            name: sum(values.get(event, 0) for event in _OUTCOME_EVENTS[name]) for name in OUTCOMES
        },
        cycles=values.get("event.claim", 0),
    )


def _row(key: str, spec: str, reason: str) -> Row:
    return Row(key, _title(spec), reason)


def _title(spec: str) -> str:
    return str(json.loads(spec).get("title", ""))


def _why(unmet: int, hold: int, parked: int) -> str:
    if hold:
        return "held: a person set hold"
    if unmet:
        return f"waits for {unmet} other {'task' if unmet == 1 else 'tasks'}"
    return "waits for its backoff" if parked else ""
