"""JSON Schemas (2020-12) of the wire models, as text; `scripts/export_schemas.py` writes them.

The committed files in `schemas/` are what editors and other programs read; a test compares them
with what is rendered here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from orchestrator.protocol.base import Wire
from orchestrator.protocol.evidence import Evidence, Observations
from orchestrator.protocol.rework_pack import ReworkPack
from orchestrator.protocol.step_pack import StepPack
from orchestrator.protocol.step_result import StepResult
from orchestrator.protocol.task import IntakeTask, Task, TaskQueue
from orchestrator.protocol.verdict import Finding, Verdict

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
ID_PREFIX: Final = "urn:agent-orchestrator:schema:"

# file name without suffix -> model
MODELS: Final[Mapping[str, type[Wire]]] = {
    "step_pack": StepPack,
    "rework_pack": ReworkPack,
    "step_result": StepResult,
    "verdict": Verdict,
    "finding": Finding,
    "evidence": Evidence,
    "observations": Observations,
    "task": Task,
    "task_queue": TaskQueue,
    "intake_task": IntakeTask,
}


def schema_of(name: str, model: type[Wire]) -> dict[str, Any]:
    """Return the schema of `model`, with dialect, id, title and description."""
    schema = model.model_json_schema(by_alias=True)
    title = schema.pop("title", model.__name__)
    description = " ".join((model.__doc__ or "").split())
    schema.pop("description", None)
    head = {
        "$schema": DIALECT,
        "$id": f"{ID_PREFIX}{name}:1",
        "title": title,
        "description": description,
    }
    if model is TaskQueue:
        schema = _or_bare_array(schema)
    return {**head, **schema}


def _or_bare_array(schema: dict[str, Any]) -> dict[str, Any]:
    """Allow the form of seed 004 too: a bare array of tasks."""
    definitions = schema.pop("$defs")
    bare = {"type": "array", "items": {"$ref": "#/$defs/Task"}}
    return {"anyOf": [schema, bare], "$defs": definitions}


def render_schema(name: str, model: type[Wire]) -> str:
    """Return the text of the file `schemas/<name>.json`."""
    return json.dumps(schema_of(name, model), indent=2, ensure_ascii=False) + "\n"
