"""A task's entries as Markdown for people. A view: nothing reads it back. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from workflow_logger.entry import Entry

_LISTS = (
    ("Acceptance", "acceptance_snapshot"),
    ("Executed files", "executed_files"),
    ("Executed commands", "executed_commands"),
)
_TEXTS = (
    ("Change", "code_change_summary"),
    ("Artifact", "code_artifact_ref"),
    ("Tests", "test_results"),
    ("Reason", "reason_detail"),
    ("Next", "next_action"),
)


def render_task_log(task_id: str, entries: Sequence[Entry]) -> str:
    """Return the whole page for one task."""
    parts = [f"# {task_id}\n\nA view of `events.jsonl`; edits here change nothing.\n"]
    parts.extend(_render(entry) for entry in entries)
    return "\n".join(parts)


def _render(entry: Entry) -> str:
    if entry.kind == "attempt":
        return _render_attempt(entry)
    if entry.kind == "close":
        status, summary = entry.body.get("final_status", ""), entry.body.get("summary", "")
        lines = [f"## Closed: {_inline(status)}", "", _quoted(summary)]
    else:
        text = json.dumps(entry.body, ensure_ascii=False, sort_keys=True, indent=2)
        lines = [f"## {entry.kind}", "", _fenced(text, "json")]
    return "\n".join([*lines, "", _footer(entry), ""])


def _render_attempt(entry: Entry) -> str:
    body = entry.body
    title = f"## R{body.get('r')}/S{body.get('s')}: {_inline(body.get('result', ''))}"
    lines = [f"{title} ({_inline(body.get('reason_code', ''))})", ""]
    for name, key in _LISTS:
        if items := body.get(key):
            lines.append(f"**{name}**\n")
            lines.extend(f"- {_inline(item)}" for item in items)
            lines.append("")
    for name, key in _TEXTS:
        if text := body.get(key):
            lines.extend([f"**{name}**\n", _quoted(text), ""])
    lines.extend(_code(body.get("code_content")))
    return "\n".join([*lines, _footer(entry), ""])


def _code(content: Any) -> list[str]:  # noqa: ANN401  a JSON value
    if isinstance(content, dict):
        where, size = content.get("artifact"), content.get("size_bytes")
        return [f"**Code**: `{where}` ({size} bytes)", ""]
    return ["**Code**\n", _fenced(content), ""] if content else []


def _footer(entry: Entry) -> str:
    return f"<sub>entry {entry.seq}, {entry.at}, `{entry.hash}`</sub>"


def _inline(value: object) -> str:
    return " ".join(str(value).split())


def _quoted(value: object) -> str:
    return "\n".join(f"> {line}" for line in str(value).splitlines() or [""])


def _fenced(text: str, language: str = "") -> str:
    """Fence `text` with more backticks than it holds in a row, so that it cannot end the fence."""
    ticks = 3
    while "`" * ticks in text:
        ticks += 1
    return f"{'`' * ticks}{language}\n{text}\n{'`' * ticks}"
