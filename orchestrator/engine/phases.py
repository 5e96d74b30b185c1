"""The phases of a contract that an attempt went through, by the answers to their gates.

The catalog (`process.catalog`) lists the checks that a contract may name; each one that a built-in
contract names is answered here from what the controller saw. A check without an answer does not
pass.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from orchestrator.process.contract import Phase, PhaseContract
from orchestrator.protocol.evidence import Observations
from orchestrator.protocol.verdict import Colour, Finding, Verdict


@dataclass(frozen=True, slots=True)
class Preparation:
    """What was decided before the work: the route, its contract, and the ledger's fields."""

    contract: PhaseContract
    master_contract_conforms: bool | None  # None: the route compiles none
    body: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Walk:
    """The phases that were left, and what holds the task in the next one, if anything does."""

    passed: tuple[str, ...]
    held_by: Finding | None = None


_Facts = tuple[Preparation, Observations, Verdict]

ANSWERS: Final[Mapping[str, Callable[[_Facts], bool]]] = {
    "master_contract_conforms": lambda facts: bool(facts[0].master_contract_conforms),
    "step_verdict_accepted": lambda facts: facts[2].colour is Colour.ACCEPTED,
    "accepted_tree_is_verified_tree": lambda facts: all(
        run.tree == facts[1].tree and run.tree_after in {None, facts[1].tree}
        for run in facts[1].commands
    ),
}


def walk(prepared: Preparation, facts: Observations, verdict: Verdict) -> Walk:
    """Go forward from the initial phase, as far as the gates open."""
    contract = prepared.contract
    phase = contract.initial_phase
    passed: list[str] = []
    while phase.id not in passed:
        held = _held(phase, (prepared, facts, verdict))
        if held is not None:
            return Walk(tuple(passed), held)
        passed.append(phase.id)
        forward = [move for move in contract.moves(phase.id) if not move.backtrack]
        if not forward:
            break
        phase = contract.phase(forward[0].to_phase)
    return Walk(tuple(passed))


def _held(phase: Phase, facts: _Facts) -> Finding | None:
    for gate in phase.gates:
        for blocker in gate.blockers:
            answer = ANSWERS.get(blocker.check)
            if blocker.severity == "blocking" and (answer is None or not answer(facts)):
                return Finding(
                    rule="phase.gate",
                    where=f"{phase.id}.{gate.id}",
                    what=f"{blocker.check} does not hold: {blocker.message}",
                    mend="see what the check reads; the phase is left when it holds",
                )
    return None


def held_back(verdict: Verdict, walked: Walk) -> Verdict:
    """Refuse what the review accepts and a phase gate holds."""
    if verdict.colour is not Colour.ACCEPTED or walked.held_by is None:
        return verdict
    return verdict.model_copy(
        update={
            "colour": Colour.REFUSED,
            "reason_code": "PHASE_GATE",
            "findings": (*verdict.findings, walked.held_by),
            "signature": walked.held_by.where,
        }
    )
