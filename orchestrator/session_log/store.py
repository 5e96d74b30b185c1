"""The session log: what one run decided, in order, for programs that follow it.

A view of the ledger, never read back as truth. `progress/sessions/<run_id>.jsonl` is written when
the run ends, or by the next start when it died. One object a line, always with these keys:

    at          when, RFC 3339 in UTC with milliseconds
    seq         number of the entry in the ledger; rises, with gaps where others wrote
    run_id      the run
    task_id     the task; empty for what concerns the run
    kind        the entry's kind: decision, attempt, close, recovery, run_started, ...
    event       what happened: claim, dispatch, accept, ...; the kind where no task moved
    from, to    the task's states; empty where no task moved
    attempt     R<r>S<s>; empty before the first
    attempt_id  the attempt; empty where there is none
    reason      why, a reason code where there is one
    detail      the rest of the entry's body, as an object
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from orchestrator.store.files import replace_file
from orchestrator.store.ledger import StoredLedger

KEYS: Final = (
    "at", "seq", "run_id", "task_id", "kind", "event", "from", "to", "attempt", "attempt_id",
    "reason", "detail",
)  # fmt: skip
_TOLD: Final = frozenset({"run_id", "event", "from", "to", "r", "s", "attempt_id", "reason"})


class SessionLog:
    """The events of runs, one file a run in `folder`."""

    def __init__(self, ledger: StoredLedger, folder: Path) -> None:
        self._ledger = ledger
        self._folder = folder

    def events(self, run_id: str) -> Iterator[dict[str, Any]]:
        """Iterate over a run's events in order; none for a run that nobody made."""
        for entry in self._ledger.entries(run_id=run_id):
            yield event_of(entry, run_id=run_id)

    def write(self, run_id: str, path: Path | None = None) -> Path:
        """Write a run's events, and return where they are.

        Args:
            run_id: a plain name.
            path: the file; None is `<folder>/<run_id>.jsonl`.

        Raises:
            StoreError: the disk refuses.
        """
        path = path or self._folder / f"{run_id}.jsonl"
        replace_file(path, (render_event(event) for event in self.events(run_id)))
        return path


def event_of(entry: Mapping[str, Any], *, run_id: str = "") -> dict[str, Any]:
    """Turn a ledger entry into an event, with the keys of the module's docstring."""
    body = entry["body"]
    return {
        "at": entry["at"],
        "seq": entry["seq"],
        "run_id": body.get("run_id") or run_id,
        "task_id": entry["task_id"],
        "kind": entry["kind"],
        "event": body.get("event") or entry["kind"],
        "from": body.get("from", ""),
        "to": body.get("to", ""),
        "attempt": f"R{body['r']}S{body['s']}" if "r" in body and "s" in body else "",
        "attempt_id": body.get("attempt_id", ""),
        "reason": body.get("reason") or body.get("reason_code", ""),
        "detail": {name: value for name, value in body.items() if name not in _TOLD},
    }


def render_event(event: Mapping[str, Any]) -> bytes:
    """Write an event as one line, the newline included."""
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
