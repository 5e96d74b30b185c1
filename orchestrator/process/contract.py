"""PhaseContract: phases, transitions, gates, artifacts, tool permissions and limits.

One shape for every governed flow, from one phase (`tier2`) to nine with backtracking. The field
names are those of seed 003's `agent_workflow.yaml`; what that file has not, has a default.

    forward     a transition to a later phase; it passes the gate that it names
    backtrack   a transition to an earlier phase, marked `backtrack: true`, or any earlier phase
                where the contract says `backtrack: any_earlier`
    final       the phases in which a task may end; the last phase where none is named

A contract is used only after `loader.read_phase_contract` has linted it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field, JsonValue, ValidationInfo, model_validator

from orchestrator.protocol.base import (
    Many,
    Wire,
    name_faults,
    one_name_each,
    refuse_faults,
)
from orchestrator.protocol.faults import Fault
from orchestrator.vocabulary import ID_PATTERN

# Also a state name in Mermaid, so no dots and no dashes.
PHASE_ID_PATTERN = r"^[A-Za-z][A-Za-z0-9_]{0,63}$"


class Check(Wire):
    """One question that a gate asks; the catalog says who answers it."""

    check: str = Field(min_length=1)
    severity: Literal["blocking", "warning"] = "blocking"
    message: str = ""
    threshold: int | None = None
    required_reviews: Many[str] = ()
    artifact: str | None = None  # the artifact type it reads, where not the check's usual one


class Gate(Wire):
    """What has to be true, or approved, before a phase is left."""

    id: str = Field(pattern=ID_PATTERN)
    type: Literal["validation", "approval"]
    blockers: Many[Check] = ()
    timeout_seconds: int | None = Field(default=None, ge=1)
    approvers: Many[str] = ()
    auto_advance: bool = False


class ArtifactRule(Wire):
    """One rule about the content of an artifact."""

    rule: str = Field(min_length=1)
    message: str = ""


class RequiredArtifact(Wire):
    """Something that the phase has to produce before it is left."""

    type: str = Field(min_length=1)
    schema_path: str | None = Field(default=None, alias="schema")
    description: str = ""
    validation: Many[ArtifactRule] = ()


class ToolConstraint(Wire):
    """What a tool may touch or run in a phase; forbidden wins."""

    allowed_patterns: Many[str] = ()
    forbidden_patterns: Many[str] = ()
    allowed_commands: Many[str] = ()
    forbidden_commands: Many[str] = ()


class AutoSpawn(Wire):
    """Agents that start when the phase is entered."""

    agent_type: str
    models: Many[str] = ()
    parallel: bool = False
    wait_for_completion: bool = True


class PhaseLimits(Wire):
    """Bounds of the work in one phase: seconds, MiB, counts. None: as the step or settings say."""

    max_runtime_sec: int | None = Field(default=None, ge=1)
    max_silence_sec: int | None = Field(default=None, ge=1)
    max_memory_mb: int | None = Field(default=None, ge=1)
    max_output_mb: int | None = Field(default=None, ge=1)
    max_attempts: int | None = Field(default=None, ge=1, le=100)
    max_rework_rounds: int | None = Field(default=None, ge=0, le=100)


class Phase(Wire):
    """A stretch of a task's life, with what is allowed in it."""

    id: str = Field(pattern=PHASE_ID_PATTERN)
    name: str = ""
    purpose: str = ""
    actor: Literal["controller", "worker", "person"] = "worker"  # who works in it
    required_artifacts: Many[RequiredArtifact] = ()
    gates: Many[Gate] = ()
    allowed_tools: Many[str]  # required: a tool that is not named is not allowed
    forbidden_tools: Many[str] = ()
    tool_constraints: dict[str, ToolConstraint] = Field(default_factory=dict)
    auto_spawn: Many[AutoSpawn] = ()
    limits: PhaseLimits = PhaseLimits()

    other_names: ClassVar[Mapping[str, str]] = {"description": "purpose"}

    @classmethod
    def faults(cls, data: Mapping[str, Any]) -> Iterable[Fault]:
        """Name a purpose that is written twice and differs."""
        return name_faults(data, cls.other_names)

    @model_validator(mode="before")
    @classmethod
    def _one_name_each(cls, data: Any, info: ValidationInfo) -> Any:  # noqa: ANN401  raw input
        if not isinstance(data, dict):
            return data
        refuse_faults(cls.faults(data), info)
        return one_name_each(data, cls.other_names)

    def allows(self, tool: str) -> bool:
        """Say whether the tool may be used here: named, and not forbidden."""
        return tool in self.allowed_tools and tool not in self.forbidden_tools


class Trigger(Wire):
    """An action that follows a transition."""

    action: str = Field(min_length=1)
    parallel: bool = False
    params: dict[str, JsonValue] = Field(default_factory=dict)


class Transition(Wire):
    """A move from one phase to another, through the gate that it names."""

    from_phase: str = Field(alias="from")
    to_phase: str = Field(alias="to")
    gate: str | None = None
    requires_token: bool = False
    triggers: Many[Trigger] = ()
    backtrack: bool = False


class AgentSdk(Wire):
    """How an agent outside reaches the controller."""

    required: bool = False
    version: str = ""
    endpoint: str = ""
    fallback_endpoint: str = ""


class PhaseTokens(Wire):
    """Tokens that prove the phase; `expiry_seconds` from their issue."""

    enabled: bool = False
    algorithm: str = "EdDSA"
    secret_env_var: str = ""
    expiry_seconds: int = Field(default=900, ge=1)
    include_claims: Many[str] = ()


class ToolEnforcement(Wire):
    """What happens to a tool call outside the phase's permissions."""

    enabled: bool = True
    violation_action: Literal["reject", "warn", "log"] = "reject"
    capability_model: Literal["deny_by_default"] = "deny_by_default"
    audit_log: str = ""


class Enforcement(Wire):
    """How strictly the contract is held."""

    mode: Literal["strict", "permissive", "advisory"] = "strict"
    agent_sdk: AgentSdk = AgentSdk()
    phase_tokens: PhaseTokens = PhaseTokens()
    tool_enforcement: ToolEnforcement = ToolEnforcement()


class PhaseContract(Wire):
    """A governed flow. See the module docstring."""

    schema_version: Literal[1] = 1
    kind: Literal["phase_contract"] = "phase_contract"
    name: str = Field(min_length=1)
    version: str = "1.0"
    description: str = ""
    initial: str | None = None  # the first phase where not named
    final: Many[str] = ()
    phases: Many[Phase] = Field(min_length=1)
    transitions: Many[Transition] = ()
    backtrack: Literal["declared", "any_earlier"] = "declared"
    enforcement: Enforcement = Enforcement()
    schemas_dir: str | None = None
    schemas: dict[str, JsonValue] = Field(default_factory=dict)
    coordination: dict[str, JsonValue] = Field(default_factory=dict)
    monitoring: dict[str, JsonValue] = Field(default_factory=dict)
    recovery: dict[str, JsonValue] = Field(default_factory=dict)

    @property
    def initial_phase(self) -> Phase:
        """The phase in which a task begins."""
        return self.phase(self.initial) if self.initial is not None else self.phases[0]

    @property
    def final_phases(self) -> tuple[str, ...]:
        """The ids of the phases in which a task may end."""
        return self.final or (self.phases[-1].id,)

    def phase(self, phase_id: str) -> Phase:
        """Return a phase by its id; `KeyError` for one that the contract lacks."""
        for phase in self.phases:
            if phase.id == phase_id:
                return phase
        raise KeyError(phase_id)

    def phase_of_step(self, named: str) -> Phase:
        """Return the phase where a step runs whose pack says `phase: named`.

        The packs of seed 004 hold free text there; such a step runs in the first phase whose
        actor is a worker.
        """
        workers = [phase for phase in self.phases if phase.actor == "worker"]
        by_name = [phase for phase in workers if phase.id == named]
        return (by_name or workers or list(self.phases))[0]

    def moves(self, phase_id: str) -> tuple[Transition, ...]:
        """Return every transition that leaves the phase, backtracks last."""
        declared = [move for move in self.transitions if move.from_phase == phase_id]
        if self.backtrack == "any_earlier":
            known = {move.to_phase for move in declared}
            declared += [
                Transition.model_validate({"from": phase_id, "to": earlier, "backtrack": True})
                for earlier in self._earlier(phase_id)
                if earlier not in known
            ]
        return tuple(sorted(declared, key=lambda move: move.backtrack))

    def _earlier(self, phase_id: str) -> list[str]:
        ids = [phase.id for phase in self.phases]
        return ids[: ids.index(phase_id)]
