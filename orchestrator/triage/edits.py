"""What a person's edit of `progress/task_queue.json` means, against what the store knows.

`compare` reads the rows once, in order, and answers with decisions; it changes nothing.

- A row that the store does not know is **added**; a known one is compared field by field and
  **changed**; a known task without a row is **removed**.
- While a task is in flight, and once it is completed, only `FREE_FIELDS` may change: the rest is
  what its contract was frozen from. A task in flight cannot be removed.
- `status`, `reason`, `attempts` and `updated_at` are the view's own columns and are not read
  back, with two exceptions: a person who writes `status: cancelled` on a task that does not run
  **cancels** it, and one who writes `status: pending` on a failed, blocked, cancelled or
  quarantined task **requeues** it. A row whose `updated_at` is older than the store's was written
  before the task moved on: its status is the view's, not the person's, and is ignored.
- An unknown dependency, a task that names itself, a cycle and a key given twice are **refused**.

An edit is taken whole or not at all: with anything in `refused`, apply nothing, so that the last
good state stays and the person mends one file once.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Final, Protocol

from pydantic import JsonValue

from orchestrator.protocol.task import Task
from orchestrator.triage.dependencies import check_graph, spoken_cycle
from orchestrator.triage.policy import CANCELLABLE, COMPLETED, IN_FLIGHT, REVIVABLE, spoken

_VIEW_COLUMNS: Final = frozenset({"status", "reason", "attempts", "updated_at"})
SPEC_FIELDS: Final = tuple(
    name
    for name in Task.model_fields
    if name not in _VIEW_COLUMNS and name not in {"task_key", "extensions"}
)
"""The fields that a person writes, besides the key and `x_` keys."""

FREE_FIELDS: Final = frozenset({"title", "priority", "hold", "max_attempts"})
"""What may change at any time: no contract is frozen from it."""


def spec_of(task: Task) -> dict[str, JsonValue]:
    """Return what a person wrote about a task, ready for JSON: the fields and the `x_` keys."""
    spec: dict[str, JsonValue] = {}
    for name in SPEC_FIELDS:
        value = getattr(task, name)
        spec[name] = list(value) if isinstance(value, tuple) else value
    if task.extensions:
        spec.update(task.extensions)
    return spec


@cache
def _defaults() -> Mapping[str, JsonValue]:
    return spec_of(Task(task_key="any"))


@dataclass(frozen=True, slots=True)
class Known:
    """A task as the store has it: `spec` as `spec_of` gives it, its state, when it last moved."""

    spec: Mapping[str, JsonValue]
    state: str
    updated_at: str | None = None

    @classmethod
    def of(cls, task: Task, state: str, updated_at: str | None = None) -> Known:
        """Return what the store knows when it holds the whole task."""
        return cls(spec_of(task), state, updated_at)


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field with both values."""

    name: str
    before: JsonValue
    after: JsonValue


@dataclass(frozen=True, slots=True)
class Change:
    """A known task whose row differs."""

    task: Task
    fields: tuple[FieldChange, ...]


@dataclass(frozen=True, slots=True)
class Remark:
    """A refusal or a note; `path` points into the file, so that a reader can name the line."""

    rule: str
    task_key: str
    path: tuple[str | int, ...]
    what: str
    mend: str

    @property
    def where(self) -> str:
        """The path as a person reads it: `tasks[3].depends_on`."""
        return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in self.path)[
            1:
        ]


class NewTasks(Protocol):
    """Where new tasks go: a list, or something smaller that gives them back in their order."""

    def append(self, task: Task, /) -> None: ...  # noqa: D102
    def __iter__(self) -> Iterator[Task]: ...
    def __len__(self) -> int: ...


@dataclass(slots=True)
class Edits:
    """The decisions, each list in the order of the file."""

    added: NewTasks = field(default_factory=list[Task])
    changed: list[Change] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    requeued: list[str] = field(default_factory=list)
    refused: list[Remark] = field(default_factory=list)
    notes: list[Remark] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """Whether the file says what the store knows: nothing to apply, nothing to refuse."""
        return not (
            self.added
            or self.changed
            or self.removed
            or self.cancelled
            or self.requeued
            or self.refused
        )

    @property
    def is_applicable(self) -> bool:
        """Whether the edit may be applied."""
        return not self.refused


def compare(
    tasks: Iterable[Task],
    known: Mapping[str, Known],
    *,
    shown: Container[str] | None = None,
    added: NewTasks | None = None,
) -> Edits:
    """Return what the rows `tasks` ask for.

    Args:
        tasks: the rows of the file, read once; not kept beyond the ones that differ.
        known: every task of the store. May load a value when it is asked for.
        shown: the keys that the last written view held. A known task outside it is new to the
            person, and its absence removes nothing. Absent: the view held all.
        added: where new tasks are collected; absent: a list.

    Cost: one look-up a row; O(V + E) over the dependencies where those changed.
    """
    return _Comparison(known, Edits() if added is None else Edits(added)).run(tasks, shown)


WIDENING_FIELDS: Final = frozenset(SPEC_FIELDS) - {"title", "priority", "hold", "depends_on"}
"""What gives a task more: other bounds, other attempts, another worker."""


def doubtful(edits: Edits, *, known_pack: Callable[[str], bool]) -> list[Remark]:
    """Name what nobody can attribute in an edit that was made while a worker ran in the tree.

    The worker could have written it. What only reorders, holds or takes away is let through; what
    gives a task more is named: a task whose StepPack the worker could have written too, a changed
    bound, one more journey.

    Args:
        edits: what the file asks for.
        known_pack: whether the StepPack at this path is as it was before the worker started.
    """
    found = [
        _doubt(task.task_key, "was added with a StepPack that is new or changed")
        for task in edits.added
        if task.step_pack is None or not known_pack(task.step_pack)
    ]
    for change in edits.changed:
        wider = [one.name for one in change.fields if one.name in WIDENING_FIELDS]
        if wider:
            found.append(_doubt(change.task.task_key, f"has another {', '.join(wider)}"))
    found += [_doubt(key, "was put back into the queue") for key in edits.requeued]
    return found


def _doubt(key: str, what: str) -> Remark:
    return Remark(
        "queue.unattributed",
        key,
        (),
        f"{key} {what} while a worker ran in this tree, so nobody can tell who wrote it",
        "take the edit over: python -m orchestrator queue-take FILE",
    )


class _Comparison:
    def __init__(self, known: Mapping[str, Known], edits: Edits) -> None:
        self.known = known
        self.edits = edits
        self.keys: list[str] = []  # by row, so that a fault found later can name its row
        self.needs: dict[str, tuple[str, ...]] = {}
        self.rewired: list[str] = []  # new tasks, and known ones with other dependencies

    def run(self, tasks: Iterable[Task], shown: Container[str] | None) -> Edits:
        for row, task in enumerate(tasks):
            self.keys.append(task.task_key)
            self._row(row, task)
        self._missing(shown)
        self._dependencies()
        return self.edits

    def _row(self, row: int, task: Task) -> None:
        key = task.task_key
        if key in self.needs:
            what = f"{key} stands in the file twice"
            self._refuse("duplicate_key", key, (row, "task_key"), what, "remove or rename one row")
            return
        known = self.known.get(key)
        self.needs[key] = () if known and known.state == COMPLETED else task.depends_on
        if known is None:
            self._new(row, task)
            return
        fields = _differences(task, known.spec)
        if fields:
            self._changed(row, task, known, fields)
        if task.status is not None and task.status != known.state:
            self._status(row, task, known)

    def _new(self, row: int, task: Task) -> None:
        self.edits.added.append(task)
        self.rewired.append(task.task_key)
        if task.status == "cancelled":
            self.edits.cancelled.append(task.task_key)
        elif task.status not in {None, "pending"}:
            what = f"says {task.status}, but this project has no record of it: added as pending"
            mend = "remove the row if the work is done"
            self._note("status_without_record", task.task_key, (row, "status"), what, mend)

    def _changed(self, row: int, task: Task, known: Known, fields: tuple[FieldChange, ...]) -> None:
        frozen = known.state in IN_FLIGHT or known.state in {COMPLETED, "awaiting_approval"}
        refused = False
        for change in fields:
            if frozen and change.name not in FREE_FIELDS and not change.name.startswith("x_"):
                refused = True
                what = f"{change.name} of {task.task_key} changed, which is {spoken(known.state)}"
                self._refuse(
                    "frozen_field",
                    task.task_key,
                    (row, change.name),
                    what,
                    _mend_frozen(known.state),
                )
            elif change.name == "depends_on":
                self.rewired.append(task.task_key)
        if not refused:
            self.edits.changed.append(Change(task, fields))

    def _status(self, row: int, task: Task, known: Known) -> None:
        key, wish = task.task_key, task.status
        if wish not in {"cancelled", "pending"}:
            return
        stale = None not in {task.updated_at, known.updated_at} and (
            task.updated_at != known.updated_at
        )
        if stale and wish == "pending" and known.state not in REVIVABLE:
            return  # the old view's own word: nobody wished anything
        if stale:
            what = f"says {wish} as of {task.updated_at}, but {key} is {spoken(known.state)} since"
            mend = "write the status again into the present file if it is meant"
            self._note("status_is_old", key, (row, "status"), what, mend)
        elif wish == "cancelled" and known.state in CANCELLABLE:
            self.edits.cancelled.append(key)
        elif wish == "pending" and known.state in REVIVABLE:
            self.edits.requeued.append(key)
        elif wish == "cancelled":
            what = f"{key} is {spoken(known.state)} and cannot be cancelled"
            mend = _mend_frozen(known.state)
            self._refuse("cannot_cancel", key, (row, "status"), what, mend)

    def _missing(self, shown: Container[str] | None) -> None:
        for key in self.known:
            if key in self.needs:
                continue
            known = self.known[key]
            if shown is not None and key not in shown:
                needs = known.spec.get("depends_on") or ()
                kept = () if known.state == COMPLETED or not isinstance(needs, list) else needs
                self.needs[key] = tuple(str(name) for name in kept)
            elif known.state in IN_FLIGHT:
                what = f"{key} has no row any more, but it is {spoken(known.state)}"
                mend = "put the row back; remove it when the task has ended"
                self._refuse("removed_in_flight", key, (), what, mend)
            else:
                self.edits.removed.append(key)

    def _dependencies(self) -> None:
        changed = self.needs if self.edits.removed else dict.fromkeys(self.rewired)
        if not changed:
            return
        faults = check_graph(self.needs, changed=changed)
        if not faults:
            return
        rows = {key: row for row, key in reversed(list(enumerate(self.keys)))}
        removed = set(self.edits.removed)
        for key, name in faults.unknown:
            what = f"{key} depends on {name}, which " + (
                "the same edit removes" if name in removed else "is not in the queue"
            )
            mend = f"add {name}, or take it out of depends_on"
            self._refuse("unknown_dependency", key, _at(rows, key), what, mend)
        for key in faults.on_itself:
            what = f"{key} depends on itself"
            self._refuse("own_dependency", key, _at(rows, key), what, "take it out of depends_on")
        for cycle in faults.cycles:
            what = f"the tasks wait for each other: {spoken_cycle(cycle)}"
            mend = "take one of these out of the depends_on of another"
            self._refuse("cycle", cycle[0], _at(rows, cycle[0]), what, mend)

    def _refuse(
        self, rule: str, key: str, place: tuple[int | str, ...], what: str, mend: str
    ) -> None:
        self.edits.refused.append(Remark(f"queue.{rule}", key, ("tasks", *place), what, mend))

    def _note(
        self, rule: str, key: str, place: tuple[int | str, ...], what: str, mend: str
    ) -> None:
        self.edits.notes.append(Remark(f"queue.{rule}", key, ("tasks", *place), what, mend))


def _at(rows: Mapping[str, int], key: str) -> tuple[int | str, ...]:
    return (rows[key], "depends_on") if key in rows else ()


def _differences(task: Task, spec: Mapping[str, JsonValue]) -> tuple[FieldChange, ...]:
    mine = spec_of(task)
    if mine == spec:
        return ()
    names = [*SPEC_FIELDS, *sorted(name for name in {*mine, *spec} if name.startswith("x_"))]
    changes = []
    for name in names:
        before, after = spec.get(name, _defaults().get(name)), mine.get(name)
        if before != after:
            changes.append(FieldChange(name, before, after))
    return tuple(changes)


def _mend_frozen(state: str) -> str:
    if state == COMPLETED:
        return "put the old value back, and add a new task for new work"
    if state == "awaiting_approval":
        return "put the old value back; first answer with status: pending, or cancelled"
    return "put the old value back; change it when the attempt has ended"
