"""StepPack: one dispatch to a worker, with its bounds.

The public packs of seed 004 write scope three times (`allowed_paths`, `scope`, `scope_guard`) and
the criteria three times (`AC`, `acceptance_criteria`, `acceptance`). All copies are accepted; a
pack whose copies disagree is refused, and the refusal names both places. After validation the
top-level fields hold the one truth; readers use only those.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Self

from pydantic import Field, JsonValue, model_validator
from pydantic_core import PydanticCustomError

from orchestrator.protocol.base import Many, Wire
from orchestrator.vocabulary import ID_PATTERN

GateType = Literal[
    "required_command_exit_0",
    "required_command_evidence_only",
    "qa_scope_guard_review",
    "qa_evidence_review",
]


class DependencyPolicy(Wire):
    """What the step may do to dependencies and to CI."""

    mode: str = "no-new-dependencies"
    allow_new_dependencies: bool = False
    allow_lockfile_changes: bool = False
    allow_dependency_manifest_changes: bool = False
    allow_ci_changes: bool = False
    allow_ci_workflow_changes_in_scope: bool = False
    change_order_required: Many[str] = ()


class Scope(Wire):
    """A copy of the scope, as seed 004 writes it."""

    allowed_paths: Many[str] | None = None
    forbidden_paths: Many[str] | None = None
    dependency_policy: DependencyPolicy | None = None


class Gate(Wire):
    """One gate of the step; `command_index` points into `commands_to_run`."""

    gate_id: str = Field(pattern=r"^G[0-9]+$")
    owner: Literal["worker", "controller"]
    type: GateType
    target_ac: Many[str] = ()
    command_index: int | None = Field(default=None, ge=0)
    pass_condition: str = ""


class EvidenceRequired(Wire):
    """A file (glob) or a JSON selector (`step_result.json::commands_executed[*]`)."""

    id: str
    path_pattern: str = Field(min_length=1)
    required_for: Many[str] = ()
    notes: str = ""


class Acceptance(Wire):
    """A copy of criteria, gates and evidence, as seed 004 writes it."""

    AC: Many[str] | None = None
    gates: Many[Gate] | None = None
    evidence_required: Many[EvidenceRequired] | None = None


class RetryPolicy(Wire):
    """How often a failed attempt may be repeated, and for which reasons."""

    max_attempts: int = Field(default=2, ge=1, le=100)
    retry_on: Many[str] = ()
    requires_rework_pack_after_failed_attempts: bool = True


class RuntimePolicy(Wire):
    """Limits of one attempt. Times in seconds, memory and output in MiB."""

    timeout_sec: int = Field(default=3600, ge=1)
    no_output_timeout_sec: int = Field(default=1200, ge=1)
    max_memory_mb: int | None = Field(default=None, ge=1)
    max_output_mb: int | None = Field(default=None, ge=1)
    check_timeout_sec: int = Field(default=900, ge=1)
    retry: RetryPolicy = RetryPolicy()
    autonomy_level: str = "L1"
    boundary_level: str = "B1"


class PackContext(Wire):
    """Where the step runs; informative, no rule reads it."""

    run_dir: str | None = None
    controller_worktree: str | None = None
    controller_branch: str | None = None
    controller_head: str | None = None
    target_exec_branch: str | None = None
    source_instructions: JsonValue = None
    dispatch_time_observations: dict[str, JsonValue] = Field(default_factory=dict)
    repo_overview: str | None = None
    related_files: Many[str] = ()
    constraints: Many[str] = ()


class Precondition(Wire):
    """Something that must hold before the step, told to the worker."""

    id: str
    description: str = ""
    worker_instruction: str = ""
    controller_expected_if_missing: str = ""


class RequirementSource(Wire):
    """Where the requirement came from."""

    type: str
    source_path: str = ""
    source_section: str = ""
    note: str = ""


class StepPack(Wire):
    """One bounded step. See the module docstring for the copies."""

    task_kind: Literal["step"] = "step"
    task_id: str = Field(pattern=ID_PATTERN)
    run_id: str | None = Field(default=None, pattern=ID_PATTERN)
    step_id: str = Field(default="S1", pattern=ID_PATTERN)
    step_title: str = ""
    step_description: str = ""
    objective: str = Field(min_length=1)
    phase: str = "EXECUTE"
    evidence_requirement: str = ""
    step_pack_version: Literal["1.0"] = "1.0"
    controller_role: str = ""
    allowed_paths: Many[str] = ()
    forbidden_paths: Many[str] = ()
    dependency_policy: DependencyPolicy = DependencyPolicy()
    scope: Scope | None = None
    scope_guard: Scope | None = None
    commands: Many[str] = ()
    commands_to_run: Many[str] = ()
    AC: Many[str] = ()
    acceptance_criteria: Many[str] = ()
    acceptance: Acceptance | None = None
    gates: Many[Gate] = ()
    evidence_required: Many[EvidenceRequired] = ()
    expected_outputs: Many[str] = ()
    allowed_actions: Many[str] = ()
    runtime_policy: RuntimePolicy = RuntimePolicy()
    context: PackContext = PackContext()
    preconditions: Many[Precondition] = ()
    source_of_s2_requirements: RequirementSource | None = None

    # What seed 004 has no word for.
    protected_paths: Many[str] = ()  # more globs that the worker may not touch
    red_first: bool = False  # every exit-0 check has to fail on the base tree
    allow_no_change: bool = False  # an attempt that changes nothing may be accepted
    allow_fewer_tests: bool = False  # a check may run fewer tests than on the base tree

    @model_validator(mode="before")
    @classmethod
    def _merge_copies(cls, data: Any) -> Any:  # noqa: ANN401  raw input, by definition
        return _merged(data) if isinstance(data, dict) else data

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        _check_gates(self)
        return self


# field -> the places where seed 004 writes it
COPIES: dict[str, tuple[tuple[str, ...], ...]] = {
    "allowed_paths": (
        ("allowed_paths",),
        ("scope", "allowed_paths"),
        ("scope_guard", "allowed_paths"),
    ),
    "forbidden_paths": (
        ("forbidden_paths",),
        ("scope", "forbidden_paths"),
        ("scope_guard", "forbidden_paths"),
    ),
    "dependency_policy": (("dependency_policy",), ("scope", "dependency_policy")),
    "acceptance_criteria": (("acceptance_criteria",), ("AC",), ("acceptance", "AC")),
    "gates": (("gates",), ("acceptance", "gates")),
    "evidence_required": (("evidence_required",), ("acceptance", "evidence_required")),
}


def disagreements(data: dict[str, Any]) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Name each pair of places that should hold the same value and do not.

    Returns:
        (first place, disagreeing place) pairs, as key paths into `data`.
    """
    found = []
    for places in COPIES.values():
        present = [(place, value) for place in places if (value := _at(data, place)) is not None]
        found += [(present[0][0], place) for place, value in present[1:] if value != present[0][1]]
    return found


def _at(data: dict[str, Any], place: Sequence[str]) -> Any:  # noqa: ANN401
    value: Any = data
    for key in place:
        if not isinstance(value, dict) or key not in value:
            return None
        value = value[key]
    return value


def _merged(data: dict[str, Any]) -> dict[str, Any]:
    for first, other in disagreements(data):
        raise PydanticCustomError(
            "copies_disagree",
            "{first} and {other} should hold the same value and do not",
            {"first": ".".join(first), "other": ".".join(other)},
        )
    merged = dict(data)
    for field, places in COPIES.items():
        for place in places:
            if (value := _at(data, place)) is not None:
                merged[field] = value
                break
    if merged.get("acceptance_criteria") is not None:
        merged["AC"] = merged["acceptance_criteria"]
    return merged


def criterion_id(criterion: str) -> str:
    """Give the id of a criterion: the part before the first colon, or the whole text."""
    head, colon, _ = criterion.partition(":")
    return head.strip() if colon else criterion.strip()


def _check_gates(pack: StepPack) -> None:
    if not pack.acceptance_criteria:
        raise PydanticCustomError(
            "no_criteria", "a StepPack needs at least one acceptance criterion (AC)"
        )
    criteria = {criterion_id(text) for text in pack.acceptance_criteria}
    if len(criteria) != len(pack.acceptance_criteria):
        raise PydanticCustomError("criteria_twice", "two acceptance criteria have the same id")
    seen: set[str] = set()
    for gate in pack.gates:
        if gate.gate_id in seen:
            raise PydanticCustomError(
                "gate_twice", "{gate} is defined twice", {"gate": gate.gate_id}
            )
        seen.add(gate.gate_id)
        _check_gate(gate, pack, criteria)


def _check_gate(gate: Gate, pack: StepPack, criteria: set[str]) -> None:
    if unknown := [name for name in gate.target_ac if name not in criteria]:
        raise PydanticCustomError(
            "gate_unknown_ac",
            "{gate} names {unknown}, which no acceptance criterion has as its id",
            {"gate": gate.gate_id, "unknown": ", ".join(unknown)},
        )
    needs_command = gate.type.startswith("required_command")
    if needs_command and (
        gate.command_index is None or gate.command_index >= len(pack.commands_to_run)
    ):
        raise PydanticCustomError(
            "gate_command",
            "{gate} needs a command_index from 0 to {last}: commands_to_run has {n} entries",
            {
                "gate": gate.gate_id,
                "last": len(pack.commands_to_run) - 1,
                "n": len(pack.commands_to_run),
            },
        )
