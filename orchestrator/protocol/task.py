"""Task and queue: what a person (or a tracker) puts in.

`progress/task_queue.json` is input and view. A person may add, change or remove tasks there; the
fields under "written by the controller" are shown in the view and ignored on input.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal

from pydantic import Field, model_validator

from orchestrator.protocol.base import Many, Wire
from orchestrator.vocabulary import ID_PATTERN

_PRIORITY_NAMES = {"critical": 0, "high": 1, "normal": 2, "medium": 2, "low": 3}


class ExecutionRoute(StrEnum):
    """The two routes of seed 004."""

    TIER2 = "tier2"
    TIER3 = "tier3"


class Task(Wire):
    """One unit of work in the queue."""

    task_key: str = Field(pattern=ID_PATTERN)
    title: str = Field(default="", max_length=500)
    priority: int = Field(default=2, ge=0, le=9)  # 0 first
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

    @model_validator(mode="before")
    @classmethod
    def _accept_seed_names(cls, data: Any) -> Any:  # noqa: ANN401  raw input, by definition
        if not isinstance(data, dict):
            return data
        data = dict(data)
        for other, name in (("task_id", "task_key"), ("task_title", "title")):
            if other in data and name not in data:
                data[name] = data.pop(other)
        priority = data.get("priority")
        if isinstance(priority, str) and priority.lower() in _PRIORITY_NAMES:
            data["priority"] = _PRIORITY_NAMES[priority.lower()]
        return data


class TaskQueue(Wire):
    """The file `progress/task_queue.json`."""

    schema_version: Literal[1] = 1
    kind: Literal["task_queue"] = "task_queue"
    tasks: Many[Task] = ()


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
