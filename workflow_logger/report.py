"""What a verification found: a value, never an exception. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

MAX_FINDINGS: Final = 100

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong (`error`) or that nobody vouches for (`warning`)."""

    rule: str  # "chain.removed"
    where: str  # "workflow/p/events.jsonl:17"
    what: str
    mend: str
    severity: Severity = "error"


@dataclass(slots=True)
class Findings:
    """Collects findings in order, up to a limit; counts the rest."""

    items: list[Finding] = field(default_factory=list)
    dropped: int = 0
    errors: int = 0

    def error(self, rule: str, where: str, what: str, mend: str = "") -> None:
        """Add an error."""
        self.errors += 1
        self._add(Finding(rule, where, what, mend or _MEND))

    def warn(self, rule: str, where: str, what: str, mend: str) -> None:
        """Add a warning."""
        self._add(Finding(rule, where, what, mend, "warning"))

    def _add(self, finding: Finding) -> None:
        if len(self.items) < MAX_FINDINGS:
            self.items.append(finding)
        else:
            self.dropped += 1


_MEND: Final = "restore the ledger from a copy; do not trust what follows this line"


@dataclass(frozen=True, slots=True)
class Report:
    """The answer of `verify_project`.

    `ok` means that no error was found in what is there. Whether somebody outside vouches for it
    is another question: entries from `anchored_entries` on are covered by no checkpoint under the
    trusted key.
    """

    project_id: str
    ledger_id: str
    entries: int
    tasks: int
    checkpoints: int
    anchored_entries: int
    head: str  # event_hash of the last entry
    root: str  # Merkle root, hexadecimal
    findings: tuple[Finding, ...]
    findings_dropped: int
    errors: int

    @property
    def ok(self) -> bool:
        """Whether no error was found."""
        return self.errors == 0

    @property
    def unanchored_entries(self) -> int:
        """How many entries at the end no trusted checkpoint covers."""
        return max(0, self.entries - self.anchored_entries)

    @property
    def is_anchored(self) -> bool:
        """Whether a trusted checkpoint covers every entry."""
        return self.ok and self.unanchored_entries == 0 and self.entries > 0

    def to_dict(self) -> dict[str, object]:
        """Return the report as JSON values."""
        return {
            "ok": self.ok,
            "anchored": self.is_anchored,
            "project_id": self.project_id,
            "ledger_id": self.ledger_id,
            "entries": self.entries,
            "anchored_entries": self.anchored_entries,
            "unanchored_entries": self.unanchored_entries,
            "tasks": self.tasks,
            "checkpoints": self.checkpoints,
            "head": self.head,
            "root": self.root,
            "errors": self.errors,
            "findings_dropped": self.findings_dropped,
            "findings": [
                {
                    "rule": item.rule,
                    "severity": item.severity,
                    "where": item.where,
                    "what": item.what,
                    "mend": item.mend,
                }
                for item in self.findings
            ],
        }
