"""Shows what happens while it happens: a live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Sequence
from typing import Any

import click

from orchestrator.cli.output import counted

_LINES = 5  # of an edit that was refused

_MARKS = {
    "accepted": ("✓", "green"),
    "refused": ("✗", "red"),
    "unknown": ("?", "yellow"),
}


class PlainListener:
    """One line an event on stderr."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet

    def tell(self, event: str, /, **facts: object) -> None:
        """Print the event when a person wants to see it."""
        line = describe(event, facts)
        if line is not None and not self._quiet:
            click.echo(f"{time.strftime('%H:%M:%S')} {line}", err=True)

    def close(self) -> None:
        """Nothing is open."""


class LiveListener:
    """The same lines in colour, and below them a line that says what runs now."""

    def __init__(self) -> None:
        from rich.console import Console

        self._console = Console(stderr=True, highlight=False)
        self._status = self._console.status("starting", spinner="dots")
        self._status.start()

    def tell(self, event: str, /, **facts: object) -> None:
        """Print finished things, show running ones in the status line."""
        from rich.text import Text

        now = _present(event, facts)
        if now is not None:
            self._status.update(Text(now))
            return
        line = describe(event, facts)
        if line is not None:
            self._console.print(Text(line, style=_style(event, facts)))
            if event in {"judged", "blocked"}:
                self._status.update("choosing the next task")

    def close(self) -> None:
        """Take the live line away."""
        self._status.stop()


def _present(event: str, facts: dict[str, Any]) -> str | None:
    task = facts.get("task", "")
    if event == "claimed":
        return f"{task} {facts.get('title', '')}: preparing"
    if event == "dispatched":
        return f"{task} {facts.get('round', '')}: the worker runs"
    if event == "received":
        return f"{task}: the worker {facts.get('ending')}; checking for ourselves"
    if event == "waiting":
        return f"waiting {int(facts.get('milliseconds', 0)) / 1000:.0f} s for a backoff"
    return None


def _style(event: str, facts: dict[str, Any]) -> str:
    if event == "judged":
        return _MARKS[str(facts["colour"])][1]
    return {"blocked": "yellow", "warning": "yellow", "interrupted": "yellow"}.get(event, "")


def describe(event: str, facts: dict[str, Any]) -> str | None:
    """Say an event in one line; None for what only a live line shows."""
    task = facts.get("task", "")
    match event:
        case "claimed":
            return f"  {task} claimed: {facts.get('title', '')}".rstrip(": ")
        case "judged":
            mark = _MARKS[str(facts["colour"])][0]
            findings: Any = facts.get("findings") or []
            why = "" if facts["colour"] == "accepted" else f" ({_first(findings)})"
            return f"{mark} {task} {facts['round']} {facts['colour']}: {facts['reason']}{why}"
        case "blocked":
            return f"- {task} blocked: {facts.get('reason')}: {facts.get('text')}"
        case "rolled_back":
            return f"  {task} rolled back, {counted(int(facts['paths']), 'path')}"
        case "interrupted":
            return f"- {task} interrupted: {facts.get('why')}"
        case "warning":
            return f"! {task} {facts.get('text')}".replace("  ", " ")
        case "recovered":
            return _recovered(facts)
        case "queue_read":
            return _queue(facts)
        case _:
            return None


def _first(findings: list[str]) -> str:
    more = f" and {len(findings) - 1} more" if len(findings) > 1 else ""
    return (findings[0][:160] if findings else "no finding") + more


def _recovered(facts: dict[str, Any]) -> str:
    tasks = ", ".join(facts.get("interrupted") or ()) or "none"
    return (
        f"! a run had died ({', '.join(facts.get('dead_runs') or ()) or 'unknown'}):"
        f" tasks put back: {tasks}; processes ended: {facts.get('processes_killed')};"
        f" effects finished: {facts.get('effects_done')}"
    )


def some_of(lines: Sequence[str]) -> list[str]:
    """The first lines, how many more there are, and the last, which says what to do."""
    if len(lines) <= _LINES:
        return list(lines)
    return [*lines[: _LINES - 1], f"... and {len(lines) - _LINES} more", lines[-1]]


def _queue(facts: dict[str, Any]) -> str:
    refused: Any = facts.get("refused")
    if refused:
        lines = "\n".join(f"    {line}" for line in some_of(refused))
        if facts.get("held_as"):
            return f"! an edit of the queue is held, because a worker could have made it:\n{lines}"
        return f"! the queue file was not taken over, the last good state stays:\n{lines}"
    said = [f"{facts[name]} {name}" for name in ("added", "changed", "removed", "moved")
            if facts.get(name)]  # fmt: skip
    notes: Any = facts.get("notes") or ()
    told = "".join(f"\n    {line}" for line in some_of(notes))
    return f"  queue read: {', '.join(said) or 'nothing to do'}{told}"


def tell_at_once(text: str) -> None:
    """Say something from inside a signal handler: past the buffer that may be in use just then."""
    with contextlib.suppress(OSError):
        os.write(2, f"{time.strftime('%H:%M:%S')} {text}\n".encode())


def make_listener(*, as_json: bool, plain: bool) -> PlainListener | LiveListener:
    """Choose by where stderr goes."""
    if as_json or plain or not sys.stderr.isatty():
        return PlainListener()
    return LiveListener()
