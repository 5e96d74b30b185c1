"""Verdict and Finding: the controller's answer to an attempt, in three colours.

`accepted` has no refusing finding; `refused` has at least one; `unknown` means that a check could
not run, so nothing is proved. Unknown is never a pass, and is never charged to the agent.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Strict

from orchestrator.protocol.base import Many, Wire


class Colour(StrEnum):
    """The three answers."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class Severity(StrEnum):
    """What a finding does to the verdict."""

    REFUSAL = "refusal"  # the work falls short
    UNKNOWN = "unknown"  # a check could not run: harness, not product
    WARNING = "warning"  # told, not held against the work


class Finding(Wire):
    """One reason.

    rule: stable dotted name (`scope.outside_allowed`); where: path, command or criterion;
    what: the fact, with both values; mend: what would clear it; evidence: paths of ours.
    """

    rule: str
    where: str
    what: str
    mend: str
    severity: Annotated[Severity, Strict(False)] = Severity.REFUSAL
    gate_id: str | None = None
    criteria: Many[str] = ()
    evidence: Many[str] = ()


class GateAnswer(Wire):
    """How one gate of the pack ended."""

    gate_id: str
    type: str
    colour: Annotated[Colour, Strict(False)]
    findings: int = 0


class Verdict(Wire):
    """The review of one attempt: colour, reasons, and the digests it stands on."""

    colour: Annotated[Colour, Strict(False)]
    reason_code: str
    findings: Many[Finding] = ()
    gates: Many[GateAnswer] = ()
    worker_result: Literal["PASS", "FAIL", "REWORK", "BLOCKED"] | None = None
    contract_digest: str = ""
    tree: str = ""
    signature: str = ""  # same failures, same signature: what stagnation counts
