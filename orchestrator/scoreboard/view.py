"""`scoreboard.json` and `trends.json` as values, and their exact text."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from orchestrator.scoreboard.counters import Counters
from orchestrator.scoreboard.trends import KEEP_FULL, KEEP_OLDER, Snapshot, stride
from orchestrator.vocabulary import SCHEMA_VERSION


def scoreboard(
    counters: Counters,
    *,
    updated_at: datetime,
    project: str = "",
    last_selected: Mapping[str, str] | None = None,
    run_id: str | None = None,
) -> dict[str, object]:
    """Return the content of `scoreboard.json`.

    Args:
        counters: as the store keeps them.
        updated_at: aware; written in UTC, to the second.
        project: the project's id.
        last_selected: what was picked last: `task_key`, `title`, `at`.
        run_id: the run that wrote it.
    """
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": "scoreboard",
        "project": project,
        "run_id": run_id,
        "updated_at": utc(updated_at),
        "counters": counters.as_dict(),
        "last_selected": dict(last_selected) if last_selected is not None else None,
    }


def trends(snapshots: Sequence[Snapshot], *, updated_at: datetime) -> dict[str, object]:
    """Return the content of `trends.json`: the snapshots, and by which rule they were thinned."""
    newest = snapshots[-1].number if snapshots else -1
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": "trends",
        "updated_at": utc(updated_at),
        "taken": newest + 1,
        "thinning": {
            "keep_full": KEEP_FULL,
            "keep_older": KEEP_OLDER,
            "stride_of_older": stride(newest),
        },
        "snapshots": [snapshot.as_dict() for snapshot in snapshots],
    }


def render_json(content: Mapping[str, object]) -> str:
    """Return `content` as text: keys sorted, two spaces, one newline at the end.

    Every sign stands as it is, except half a surrogate pair, which no UTF-8 file can hold: `?`.
    """
    text = json.dumps(content, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "replace").decode("utf-8") + "\n"


def utc(moment: datetime) -> str:
    """Return `2026-11-20T10:00:00Z`. Raises ValueError for a naive `moment`."""
    if moment.tzinfo is None:
        msg = "expected an aware datetime, got a naive one"
        raise ValueError(msg)
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
