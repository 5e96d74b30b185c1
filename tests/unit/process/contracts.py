"""Contracts for the tests: a small sound one, one of five phases, one of nine."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator.errors import ContractError
from orchestrator.process.catalog import BUILTIN, Catalog, CheckSpec
from orchestrator.process.loader import read_phase_contract

FIVE_PHASES = Path(__file__).resolve().parents[2] / "golden" / "contracts" / "five_phases.yaml"

_FIVE_CHECKS = {
    "plan_has_acceptance_criteria": ("plan_document",),
    "scope_is_bounded": ("scope_definition",),
    "no_open_questions": ("plan_document",),
    "tests_exist_for_acceptance_criteria": ("test_files", "plan_document"),
    "tests_are_failing": ("test_run_result",),
    "tests_are_meaningful": ("test_files",),
    "test_files_follow_convention": ("test_files",),
    "all_tests_pass": ("test_run_result",),
    "no_skipped_tests": ("test_run_result",),
    "coverage_threshold_met": ("test_run_result",),
    "no_commented_out_code": ("implementation_files",),
    "no_blocking_issues": ("review_report",),
    "all_review_models_completed": ("review_report",),
    "review_comments_addressed": ("review_report",),
}

# As if the rooms that carry these out were there.
WIDER: Catalog = BUILTIN.plus(
    [CheckSpec(name, "gates", name, reads) for name, reads in _FIVE_CHECKS.items()],
    rules=dict.fromkeys(["has_acceptance_criteria", "has_implementation_steps"], "gates"),
    actions=dict.fromkeys(["spawn_review_agents", "notify_orchestrator"], "engine"),
)

NINE = ["STRATEGIZE", "SPEC", "PLAN", "THINK", "IMPLEMENT", "VERIFY", "REVIEW", "PR", "MONITOR"]


def gate(name: str, check: str = "step_verdict_accepted") -> dict[str, Any]:
    return {"id": name, "type": "validation", "blockers": [{"check": check}]}


def phase(name: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    artifacts = [{"type": "step_verdict"}]
    sound = {"id": name, "allowed_tools": ["grep"], "gates": [gate(f"leave_{name}")]}
    return sound | {"required_artifacts": artifacts} | more


def move(source: str, target: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    return {"from": source, "to": target, "gate": f"leave_{source}"} | more


def small() -> dict[str, Any]:
    return {"name": "small", "phases": [phase("A"), phase("B")], "transitions": [move("A", "B")]}


def nine() -> dict[str, Any]:
    """Nine phases in a row, with a way back from each to any earlier one."""
    return {
        "name": "nine",
        "backtrack": "any_earlier",
        "phases": [phase(name) for name in NINE],
        "transitions": [move(a, b) for a, b in itertools.pairwise(NINE)],
    }


def problems(document: object, *, catalog: Catalog = BUILTIN, source: str = "c.json") -> list[str]:
    data = document if isinstance(document, bytes) else json.dumps(document, indent=1).encode()
    with pytest.raises(ContractError) as refused:
        read_phase_contract(data, source, catalog=catalog)
    return list(refused.value.problems)
