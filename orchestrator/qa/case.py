"""One attempt under review: the pack, the claim, the facts, and what every family asks of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from orchestrator.protocol.changes import Change
from orchestrator.protocol.evidence import Observations
from orchestrator.protocol.step_pack import Gate, StepPack, criterion_id
from orchestrator.protocol.step_result import StepResult
from orchestrator.qa.globs import Globs, globs
from orchestrator.qa.policy import ReviewPolicy

_LINK = "120000"


@dataclass(frozen=True)
class Case:
    """What a review may read."""

    pack: StepPack
    result: StepResult | None
    facts: Observations
    policy: ReviewPolicy

    @cached_property
    def allowed(self) -> Globs:
        """The pack's allowed_paths."""
        return globs(self.pack.allowed_paths)

    @cached_property
    def forbidden(self) -> Globs:
        """The pack's forbidden_paths."""
        return globs(self.pack.forbidden_paths)

    @cached_property
    def in_tree(self) -> tuple[Change, ...]:
        """Changes of what would be accepted: not ignored, not the worker's own evidence."""
        return tuple(
            change
            for change in self.facts.changes
            if not change.ignored and not self.is_evidence(change.path)
        )

    @cached_property
    def ignored(self) -> tuple[Change, ...]:
        """Changes that git does not see, without evidence and without the leavings of tools."""
        return tuple(
            change
            for change in self.facts.changes
            if change.ignored and not self.is_evidence(change.path)
        )

    @cached_property
    def says_pass(self) -> bool:
        """Whether the worker claims that the work is done."""
        return self.result is not None and self.result.result == "PASS"

    @cached_property
    def asks_evidence(self) -> bool:
        """Whether the pack wants the worker's evidence, and not only the work."""
        return bool(self.pack.evidence_required) or self.has_gate("qa_evidence_review")

    @cached_property
    def criteria(self) -> dict[str, str]:
        """Full text of each acceptance criterion, by its id."""
        return {criterion_id(text): text for text in self.pack.acceptance_criteria}

    @cached_property
    def tests_changed(self) -> bool:
        """Whether any test of the tree was touched."""
        return any(
            self.policy.tests.holds(path) for change in self.in_tree for path in ends(change)
        )

    def is_evidence(self, path: str) -> bool:
        """Whether a path lies where evidence is written; the pack's scope does not speak of it."""
        root = self.policy.evidence_root
        return path == root or path.startswith(root + "/")

    def is_litter(self, change: Change) -> bool:
        """Whether a change is a cache file that a tool left; a tracked file never is."""
        return (change.ignored or change.kind == "added") and self.policy.litter.holds(change.path)

    def has_gate(self, kind: str) -> bool:
        """Whether the pack has a gate of this type."""
        return any(gate.type == kind for gate in self.pack.gates)

    def gate_of(self, kind: str) -> Gate | None:
        """Give the first gate of this type."""
        return next((gate for gate in self.pack.gates if gate.type == kind), None)

    def criteria_of(self, gate: Gate | None) -> tuple[str, ...]:
        """Give the full texts of a gate's criteria."""
        if gate is None:
            return ()
        return tuple(self.criteria[name] for name in gate.target_ac if name in self.criteria)


def ends(change: Change) -> Iterator[str]:
    """Give the path of a change, and the old one of a rename."""
    yield change.path
    if change.old_path is not None and change.old_path != change.path:
        yield change.old_path


def is_link(change: Change) -> bool:
    """Whether the path is a symbolic link now."""
    return change.new_mode == _LINK
