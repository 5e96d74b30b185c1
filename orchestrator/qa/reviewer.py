"""StepQAReviewer: every family of rules over one attempt, one Verdict.

The verdict is refused when any finding refuses, else unknown when any check could not run, else
accepted. Its reason is the heaviest finding of that colour, by the order of the table in `rules`.
Its signature names the failures and nothing else: equal failures of two attempts are equal
signatures, whatever the attempts' ids, times and output.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Final

from orchestrator.protocol.evidence import Observations
from orchestrator.protocol.step_pack import Gate, StepPack
from orchestrator.protocol.step_result import StepResult
from orchestrator.protocol.verdict import Colour, Finding, GateAnswer, Severity, Verdict
from orchestrator.qa.case import Case
from orchestrator.qa.checks import review_checks
from orchestrator.qa.claims import review_claims
from orchestrator.qa.dependencies import review_dependencies
from orchestrator.qa.policy import DEFAULT, ReviewPolicy
from orchestrator.qa.protected import review_protected
from orchestrator.qa.rules import ACCEPTED_CODE, ORDER, RULES
from orchestrator.qa.scope import review_scope
from orchestrator.qa.worker import review_worker

_SCOPE_FAMILIES: Final = ("scope.", "protected.", "dependency.")
_SCOPE_RULES: Final = frozenset(
    {"work.control_files", "claims.file_missing", "claims.file_extra", "claims.self_check"}
)


_OWN_WORD: Final = frozenset({"worker.says_fail", "claims.criterion_unmet"})


class StepQAReviewer:
    """Reviews attempts under one policy. Pure: same input, same verdict."""

    def __init__(self, policy: ReviewPolicy = DEFAULT) -> None:
        self._policy = policy

    def review(
        self,
        pack: StepPack,
        result: StepResult | None,
        facts: Observations,
        *,
        contract_digest: str,
    ) -> Verdict:
        """Judge one attempt, and collect every finding.

        Args:
            pack: the frozen StepPack that the worker was given.
            result: the worker's answer; None where there is none that can be read.
            facts: what the controller saw.
            contract_digest: SHA-256 of the frozen pack, repeated in the verdict.
        """
        case = Case(pack, result, facts, self._policy)
        findings = tuple(sorted(_unique(_all(case)), key=_weight))
        colour = _colour(findings)
        return Verdict(
            colour=colour,
            reason_code=_reason(colour, findings),
            findings=findings,
            gates=tuple(_answer(case, gate, findings) for gate in pack.gates),
            worker_result=result.result if result is not None else None,
            contract_digest=contract_digest,
            tree=facts.tree,
            signature=signature(findings),
        )


def signature(findings: Sequence[Finding]) -> str:
    """SHA-256 (64 hex digits) over what refuses, or, where nothing does, over what is unknown.

    Empty when nothing stands against the attempt.
    """
    for severity in (Severity.REFUSAL, Severity.UNKNOWN):
        failures = sorted(
            {(item.rule, item.where) for item in findings if item.severity is severity}
        )
        if failures:
            text = "".join(f"{rule}\0{where}\0" for rule, where in failures)
            return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return ""


def _all(case: Case) -> Iterator[Finding]:
    yield from review_worker(case)
    yield from review_scope(case)
    yield from review_protected(case)
    yield from review_dependencies(case)
    yield from review_checks(case)
    yield from review_claims(case)


def _unique(findings: Iterator[Finding]) -> Iterator[Finding]:
    seen = set()
    for item in findings:
        key = (item.rule, item.where, item.what, item.severity, item.gate_id)
        if key not in seen:
            seen.add(key)
            yield item


def _weight(item: Finding) -> tuple[int, str, str, str]:
    return ORDER[item.rule], item.where, item.gate_id or "", item.what


def _colour(findings: Sequence[Finding]) -> Colour:
    """Give the colour.

    A worker that honestly says that a check does not run here says what we saw ourselves: its own
    word is then no refusal, and nothing is proved.
    """
    refusals = {item.rule for item in findings if item.severity is Severity.REFUSAL}
    unknown = any(item.severity is Severity.UNKNOWN for item in findings)
    if unknown and refusals <= _OWN_WORD:
        return Colour.UNKNOWN
    return Colour.REFUSED if refusals else Colour.ACCEPTED


def _reason(colour: Colour, findings: Sequence[Finding]) -> str:
    if colour is Colour.ACCEPTED:
        return ACCEPTED_CODE
    wanted = Severity.REFUSAL if colour is Colour.REFUSED else Severity.UNKNOWN
    return next(RULES[item.rule].code for item in findings if item.severity is wanted)


def _answer(case: Case, gate: Gate, findings: Sequence[Finding]) -> GateAnswer:
    mine = [item for item in findings if _belongs(case, gate, item)]
    return GateAnswer(
        gate_id=gate.gate_id,
        type=gate.type,
        colour=_colour(mine),
        findings=sum(item.severity is not Severity.WARNING for item in mine),
    )


def _belongs(case: Case, gate: Gate, item: Finding) -> bool:
    """Say whether a finding speaks against a gate.

    A review gate answers for its families of rules, a command gate for the findings that name it.
    """
    if gate.type == "qa_scope_guard_review":
        return item.rule.startswith(_SCOPE_FAMILIES) or item.rule in _SCOPE_RULES
    if gate.type == "qa_evidence_review":
        unanswered = case.result is None and item.rule.startswith("worker.")
        return unanswered or (item.rule.startswith("claims.") and item.rule not in _SCOPE_RULES)
    return item.rule.startswith("check.") and item.gate_id == gate.gate_id
