"""`summary.md`: what a person reads first in the morning.

The order is that of their questions: what landed, what was refused and why, what waits and for
what, what to do next. Titles and reasons are data: they cannot become headings, rows or links.
A table shows at most `MAX_ROWS` rows and says how many more there are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from orchestrator.protocol.prose import code, inline
from orchestrator.scoreboard.counters import Counters

MAX_ROWS: Final = 20
_TITLE: Final = 80
_WHY: Final = 160


@dataclass(frozen=True, slots=True)
class Row:
    """One task in a table: its key, its title, and why it stands there (may be empty)."""

    task_key: str
    title: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """Tasks of one kind. `total` counts them all; `rows` may hold only the first of them."""

    rows: Sequence[Row] = ()
    total: int | None = None

    @property
    def count(self) -> int:
        """How many tasks the section stands for."""
        return len(self.rows) if self.total is None else self.total


@dataclass(frozen=True, slots=True)
class Report:
    """Everything the summary says. `at` is UTC, ISO 8601; texts may hold anything.

    running, accepted, refused (failed), undecided (quarantined, or waiting for an answer),
    waiting (pending and not eligible, or blocked), ready (pending and eligible).
    """

    project: str
    at: str
    counters: Counters
    accepted: Section = Section()
    refused: Section = Section()
    undecided: Section = Section()
    waiting: Section = Section()
    ready: Section = Section()
    running: Section = Section()
    cancelled: Section = Section()
    last_selected: Row | None = None
    record: str = ""  # what `verify` said, and when
    next_command: str = ""
    notes: Sequence[str] = ()


def render_summary(report: Report) -> str:
    """Return the whole file, ending with a newline."""
    return "\n".join(_lines(report)) + "\n"


def headline(report: Report) -> str:
    """Return one sentence that says how it stands: counts, gravest first to follow."""
    counts = [
        (report.accepted.count, "accepted"),
        (report.refused.count, "refused"),
        (report.undecided.count, "undecided"),
        (report.running.count, "running"),
        (report.waiting.count, "waiting"),
        (report.ready.count, "ready"),
        (report.cancelled.count, "cancelled"),
    ]
    said = [f"{count} {word}" for count, word in counts if count]
    total = report.counters.total
    tasks = "1 task" if total == 1 else f"{total} tasks"
    return f"{tasks}: {', '.join(said)}." if said else f"{tasks}."


def _lines(report: Report) -> Iterator[str]:
    yield f"# {inline(report.project, _TITLE) or 'Project'}"
    yield ""
    yield f"**{headline(report)}**"
    yield ""
    yield f"As of {inline(report.at)}, after {_cycles(report.counters.cycles)}."
    if report.last_selected is not None:
        row = report.last_selected
        title = f" {inline(row.title, _TITLE)}" if row.title else ""
        yield f"Last selected: {code(row.task_key)}{title}."
    for note in report.notes:
        yield ""
        yield f"> {inline(note, _WHY * 2)}"
    yield from _table("Accepted", report.accepted, "What shows it")
    yield from _table("Refused", report.refused, "Why")
    yield from _table("Undecided: a person has to look", report.undecided, "Why")
    yield from _table("Running", report.running, "Since")
    yield from _table("Waiting", report.waiting, "For what")
    yield from _table("Ready", report.ready, "")
    yield from _table("Cancelled", report.cancelled, "Why")
    yield from _attempts(report.counters)
    if report.record:
        yield from ("", "## Record", "", inline(report.record, _WHY * 2))
    if report.next_command:
        yield from ("", "## Next", "", f"    {' '.join(report.next_command.split())}")


def _table(title: str, section: Section, why: str) -> Iterator[str]:
    if not section.count:
        return
    yield from ("", f"## {title} ({section.count})", "")
    if section.rows:
        yield f"| Task | Title | {why} |" if why else "| Task | Title |"
        yield "| --- | --- | --- |" if why else "| --- | --- |"
    shown = section.rows[:MAX_ROWS]
    for row in shown:
        cells = [inline(row.task_key, _TITLE), inline(row.title, _TITLE)]
        if why:
            cells.append(inline(row.why, _WHY))
        yield f"| {' | '.join(cells)} |"
    if section.count > len(shown):
        if shown:
            yield ""
        yield f"and {section.count - len(shown)} more"


def _attempts(counters: Counters) -> Iterator[str]:
    said = [
        f"{count} {name.replace('_', ' ')}" for name, count in counters.outcomes.items() if count
    ]
    if said:
        yield from ("", "## Attempts", "", ", ".join(said) + ".")


def _cycles(count: int) -> str:
    return "1 cycle" if count == 1 else f"{count} cycles"
