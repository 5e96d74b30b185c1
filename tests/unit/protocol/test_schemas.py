"""The committed schemas are what the models say, and say what the reader does."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from orchestrator.protocol.schemas import DIALECT
from tests.unit.protocol.documents import GOLDEN

ROOT = Path(__file__).resolve().parents[3]
SCHEMAS = sorted((ROOT / "schemas").glob("*.json"))


def exporter() -> ModuleType:
    spec = importlib.util.spec_from_file_location("export", ROOT / "scripts/export_schemas.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def load(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((ROOT / "schemas" / f"{name}.json").read_bytes())
    return loaded


def test_the_committed_schemas_are_not_stale() -> None:
    assert exporter().differences(ROOT / "schemas") == []


def test_a_stale_a_missing_and_a_foreign_schema_are_named(tmp_path: Path) -> None:
    for path in SCHEMAS[1:]:
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "foreign.json").write_text("{}")
    (tmp_path / "task.json").write_text("{}")
    assert exporter().differences(tmp_path) == sorted(
        ["foreign.json", SCHEMAS[0].name, "task.json"]
    )


@pytest.mark.parametrize("path", SCHEMAS, ids=lambda path: path.stem)
def test_each_schema_names_dialect_id_title_and_description(path: Path) -> None:
    schema = json.loads(path.read_bytes())
    assert schema["$schema"] == DIALECT
    assert schema["$id"] == f"urn:agent-orchestrator:schema:{path.stem}:1"
    assert schema["title"]
    assert schema["description"]


@pytest.mark.parametrize("path", SCHEMAS, ids=lambda path: path.stem)
def test_each_object_with_named_keys_is_closed(path: Path) -> None:
    def check(part: object) -> None:
        if isinstance(part, dict):
            if "properties" in part and part.get("type") == "object":
                assert part["additionalProperties"] is False
            for child in part.values():
                check(child)
        elif isinstance(part, list):
            for child in part:
                check(child)

    check(json.loads(path.read_bytes()))


def test_the_schema_of_the_pack_knows_every_key_of_the_golden_packs() -> None:
    known = set(load("step_pack")["properties"])
    for path in GOLDEN.glob("*.json"):
        assert set(json.loads(path.read_bytes())) <= known


def test_the_other_names_of_seed_004_are_in_the_schemas() -> None:
    result = load("step_result")
    assert result["properties"]["verdict"]["deprecated"]
    assert result["required"] == ["task_id"]
    assert {"anyOf": [{"required": ["result"]}, {"required": ["verdict"]}]} in result["allOf"]


def test_the_schema_of_the_queue_allows_a_bare_array() -> None:
    assert load("task_queue")["anyOf"][1]["type"] == "array"
