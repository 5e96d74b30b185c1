"""StepPack: one dispatch to a worker, with its bounds.

The public packs of seed 004 write scope three times (`allowed_paths`, `scope`, `scope_guard`) and
the criteria three times (`AC`, `acceptance_criteria`, `acceptance`). All copies are accepted; a
pack whose copies disagree is refused, and the refusal names both places. After validation the
top-level fields hold the one truth; readers use only those. What must hold between the fields is
in `step_pack_faults`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from pydantic import Field, JsonValue, ValidationInfo, model_validator

from orchestrator.protocol.base import Many, Wire, refuse_faults
from orchestrator.protocol.faults import Fault, KeyPath
from orchestrator.protocol.step_pack_faults import (
    all_places,
    criterion_id,
    faults_of,
    merged,
    written_in,
)
from orchestrator.vocabulary import ID_PATTERN

__all__ = ["StepPack", "criterion_id"]

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

    @classmethod
    def faults(cls, data: Mapping[str, Any]) -> Iterable[Fault]:
        """Name copies that disagree, gates without command, criteria that nobody wrote."""
        return faults_of(data, written_in(data))

    @classmethod
    def places(cls, path: KeyPath) -> tuple[KeyPath, ...]:
        """Return the places of all copies of the value at `path`; the top-level one first."""
        return all_places(path)

    @model_validator(mode="before")
    @classmethod
    def _merge_copies(cls, data: Any, info: ValidationInfo) -> Any:  # noqa: ANN401  raw input
        if not isinstance(data, dict):
            return data
        written = written_in(data)
        refuse_faults(faults_of(data, written), info)
        return merged(data, written)
