"""A run's story in order, and the state rebuilt from the entries alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.errors import TransitionError
from orchestrator.kernel.life import Event, State, TaskLife


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the story."""

    at: str
    task_id: str
    kind: str
    what: str
    seq: int


@dataclass(frozen=True, slots=True)
class Difference:
    """Where entries and store disagree."""

    task_id: str
    entries_say: str
    store_says: str


def story(entries: Iterable[Mapping[str, Any]]) -> list[Step]:
    """Tell entries as lines."""
    return [
        Step(entry["at"], entry["task_id"], entry["kind"], _line(entry), entry["seq"])
        for entry in entries
    ]


def _line(entry: Mapping[str, Any]) -> str:
    body = entry["body"]
    if "event" not in body:
        return ", ".join(f"{key} {_short(value)}" for key, value in sorted(body.items()) if value)
    parts = [f"{body['from']} -> {body['to']}"]
    if entry["kind"] == "attempt" and "r" in body:
        parts.append(f"R{body['r']}S{body['s']} {body.get('result', '')}")
    if body.get("reason"):
        parts.append(str(body["reason"]))
    if body.get("reason_detail"):
        parts.append(str(body["reason_detail"])[:300])
    if body.get("ending"):
        parts.append(f"worker {body['ending']}, exit {body['exit_code']}")
    if body.get("problems"):
        parts.append("; ".join(body["problems"])[:300])
    return ", ".join(parts)


def _short(value: object) -> str:
    if isinstance(value, list):
        shown = " ".join(str(item) for item in value[:5])
        return shown if len(value) <= 5 else f"{shown} ... ({len(value)})"  # noqa: PLR2004
    return str(value)[:120]


def fold(entries: Iterable[Mapping[str, Any]]) -> dict[str, State]:
    """Rebuild each task's state from its entries, through the kernel's own table.

    Raises:
        TransitionError: an entry tells a move that the table does not allow, or one that does
            not start where the task was.
    """
    life = TaskLife()
    states: dict[str, State] = {}
    for entry in entries:
        body = entry["body"]
        if "event" not in body or not entry["task_id"]:
            continue
        task = entry["task_id"]
        before = states.get(task, State.PENDING)
        if body["from"] != before:
            raise TransitionError(
                f"the entry starts from {body['from']}, the entries before it end in {before}",
                where=f"entry {entry['seq']}, task {task}",
                mend="verify the ledger: python -m orchestrator verify",
            )
        after = life.advance(before, Event(body["event"]), task_key=task)
        if body["to"] != after:
            raise TransitionError(
                f"the entry says {body['to']}, the table says {after}",
                where=f"entry {entry['seq']}, task {task}",
                mend="verify the ledger: python -m orchestrator verify",
            )
        states[task] = after
    return states


def journeys(entries: Iterable[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Return what each task has used up, as its last entry that says so has it."""
    return {
        entry["task_id"]: entry["body"]["journey"]
        for entry in entries
        if entry["task_id"] and "journey" in entry["body"]
    }


def compare(rebuilt: Mapping[str, State], stored: Mapping[str, State]) -> list[Difference]:
    """List the tasks where the store is not what the entries say. Tasks without entries wait."""
    different = []
    for task, state in stored.items():
        expected = rebuilt.get(task, State.PENDING)
        if expected != state:
            different.append(Difference(task, expected.value, state.value))
    different += [
        Difference(task, state.value, "no such task")
        for task, state in rebuilt.items()
        if task not in stored
    ]
    return different
