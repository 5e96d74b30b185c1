"""Task and queue: what a person (or a tracker) puts in.

`progress/task_queue.json` is input and view. A person may add, change or remove tasks there; the
fields under "written by the controller" are shown in the view and ignored on input.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Field, ValidationInfo, WithJsonSchema, model_validator

from orchestrator.protocol.base import (
    Many,
    Wire,
    name_faults,
    one_name_each,
    refuse_faults,
)
from orchestrator.protocol.faults import Fault, KeyPath, one_line
from orchestrator.vocabulary import ID_PATTERN

PRIORITY_NAMES: Final[Mapping[str, int]] = {
    "critical": 0,
    "high": 1,
    "normal": 2,
    "medium": 2,
    "low": 3,
}
_LAST_PRIORITY = 9

Priority = Annotated[
    int,
    Field(ge=0, le=_LAST_PRIORITY),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 0, "maximum": _LAST_PRIORITY},
                {"enum": [*PRIORITY_NAMES]},
            ],
            "description": "0 comes first",
        }
    ),
]


class ExecutionRoute(StrEnum):
    """The two routes of seed 004."""

    TIER2 = "tier2"
    TIER3 = "tier3"


class Task(Wire):
    """One unit of work in the queue."""

    task_key: str = Field(pattern=ID_PATTERN)
    title: str = Field(default="", max_length=500)
    priority: Priority = 2  # 0 first; the names of seed 004 are read too
    depends_on: Many[str] = ()
    step_pack: str | None = None  # path of the StepPack, relative to the project root
    max_attempts: int | None = Field(default=None, ge=1, le=100)
    worker_backend: str | None = None
    hold: bool = False  # stays in the queue, is not picked

    # intake (what tier routing and readiness look at)
    target: str = ""
    execution_route: str | None = None
    acceptance_criteria: Many[str] = ()
    risk: Literal["low", "medium", "high"] | None = None
    description: str = ""

    # written by the controller, ignored on input
    status: str | None = None
    reason: str | None = None
    attempts: int | None = None
    updated_at: str | None = None

    other_names: ClassVar[Mapping[str, str]] = {"task_id": "task_key", "task_title": "title"}

    @classmethod
    def faults(cls, data: Mapping[str, Any]) -> Iterator[Fault]:
        """Name a task that waits for itself, and a priority that is no known word."""
        yield from name_faults(data, cls.other_names)
        key = data.get("task_key", data.get("task_id"))
        waits_for = data.get("depends_on")
        if isinstance(key, str) and isinstance(waits_for, list) and key in waits_for:
            yield Fault(("depends_on", waits_for.index(key)), "the task depends on itself")

    @model_validator(mode="before")
    @classmethod
    def _accept_seed_names(cls, data: Any, info: ValidationInfo) -> Any:  # noqa: ANN401  raw
        if not isinstance(data, dict):
            return data
        refuse_faults(cls.faults(data), info)
        data = one_name_each(data, cls.other_names)
        priority = data.get("priority")
        if isinstance(priority, str) and priority.lower() in PRIORITY_NAMES:
            return {**data, "priority": PRIORITY_NAMES[priority.lower()]}
        return data


class TaskQueue(Wire):
    """The file `progress/task_queue.json`."""

    schema_version: Literal[1] = 1
    kind: Literal["task_queue"] = "task_queue"
    tasks: Many[Task] = ()

    @classmethod
    def faults(cls, data: Mapping[str, Any]) -> Iterator[Fault]:
        """Name keys that are there twice, and the faults of each task."""
        tasks = data.get("tasks")
        first: dict[str, KeyPath] = {}
        for i, task in enumerate(tasks if isinstance(tasks, list) else ()):
            if not isinstance(task, dict):
                continue
            at: KeyPath = ("tasks", i)
            for fault in Task.faults(task):
                other = (*at, *fault.other) if fault.other is not None else None
                yield Fault((*at, *fault.path), fault.what, other)
            name = "task_key" if "task_key" in task else "task_id"
            key = task.get(name)
            if isinstance(key, str) and key in first:
                yield Fault((*at, name), twice(key), other=first[key])
            elif isinstance(key, str):
                first[key] = (*at, name)

    @model_validator(mode="before")
    @classmethod
    def _no_key_twice(cls, data: Any, info: ValidationInfo) -> Any:  # noqa: ANN401  raw input
        if isinstance(data, dict) and isinstance(data.get("tasks"), list):
            refuse_faults(cls.faults(data), info)
        return data


def twice(key: str) -> str:
    """Say that a task_key is taken."""
    return f"the task_key {one_line(key, 128, quote=chr(39))} is there twice"


class IntakeTask(Wire):
    """`task.json` of `prepare`: what intake needs to know before a task is dispatched."""

    task_title: str = ""
    target: str = ""
    execution_route: str = ""
    acceptance_criteria: Many[str] = ()
    description: str = ""
    steps: Many[str] = ()
    risk: Literal["low", "medium", "high"] | None = None
    allowed_paths: Many[str] = ()
    forbidden_paths: Many[str] = ()
    commands_to_run: Many[str] = ()
    out_of_scope: Many[str] = ()
