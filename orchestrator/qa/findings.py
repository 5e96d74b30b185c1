"""How a family of rules makes a finding: by a rule of the table, with a severity of that rule."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.protocol.verdict import Finding, Severity
from orchestrator.qa.rules import RULES


def finding(
    rule: str,
    where: str,
    what: str,
    *,
    severity: Severity | None = None,
    mend: str | None = None,
    gate_id: str | None = None,
    criteria: Sequence[str] = (),
    evidence: Sequence[str] = (),
) -> Finding:
    """Make a finding of a rule in the table.

    Args:
        rule: a key of `RULES`.
        where: path, command or criterion; never anything that differs from run to run, because
            the verdict's signature is made from it.
        what: the fact; text that is not ours is quoted already.
        severity: one of the rule's; the rule's first when None.
        mend: more precise than the rule's, where there is something to say.
        gate_id: the gate of the pack that asks.
        criteria: full texts of the acceptance criteria that hang on it.
        evidence: paths of ours.

    Raises:
        KeyError: the rule is not in the table.
        ValueError: the rule does not have this severity.
    """
    row = RULES[rule]
    chosen = row.severities[0] if severity is None else severity
    if chosen not in row.severities:
        message = f"{rule} may be {', '.join(row.severities)}, not {chosen}"
        raise ValueError(message)
    return Finding(
        rule=rule,
        where=where,
        what=what,
        mend=mend or row.mend,
        severity=chosen,
        gate_id=gate_id,
        criteria=tuple(criteria),
        evidence=tuple(evidence),
    )
