"""Does a contract keep to its template? Headings by a Markdown parser, never by a regex.

Rules (each finding names its line; all are told at once):

    contract.heading_missing    a heading of the template is not there
    contract.heading_order      it is there, but before one that comes earlier in the template
    contract.heading_twice      a heading of the template stands more than once
    contract.heading_level      the text is there, at another level
    contract.body_empty         a required heading has nothing to read under it
    contract.placeholder        a paragraph, an item or a heading only marks a gap (TBD, ...)
    contract.heading_extra      warning: a heading that the template does not have

A heading of the template may hold `{{ ... }}`, which stands for any text. A heading inside an
`if` or a `for` of the template may be absent.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Any, Final

from orchestrator.contract.markdown import Heading, Part, parts_of
from orchestrator.contract.template import optional_lines
from orchestrator.errors import ContractError
from orchestrator.protocol.prose import is_unfinished, plain, without_id
from orchestrator.protocol.verdict import Finding, Severity
from orchestrator.vocabulary import SCHEMA_VERSION

CONTRACT_NAME: Final = "master_contract.md"
MAX_CONTRACT_SIGNS: Final = 1024 * 1024
_HOLE: Final = re.compile(r"\{\{.*?\}\}", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Required:
    """A heading that the template asks for; `holes` split its text where any text may stand."""

    heading: Heading
    pattern: re.Pattern[str]
    optional: bool

    def fits(self, text: str) -> bool:
        """Say whether a heading of the contract with this text is meant."""
        return self.pattern.fullmatch(_folded(text)) is not None


def check_conformance(markdown: str, template: str, *, name: str = CONTRACT_NAME) -> dict[str, Any]:
    """Return the content of `conformance_report.json`.

    Args:
        markdown: the contract, compiled or written by a person.
        template: the template's source, with or without Jinja2 in it.
        name: what the findings call the contract.

    Raises:
        ContractError: the template is not Jinja2, or the contract is too large.
    """
    if len(markdown) > MAX_CONTRACT_SIGNS:
        what = f"the contract has {len(markdown)} signs; at most {MAX_CONTRACT_SIGNS} are read"
        raise ContractError(what, where=name, mend="shorten it", problems=(f"{name}:1:1: {what}",))
    parts = parts_of(markdown)
    required = required_headings(template)
    places = [_place(wanted, parts) for wanted in required]
    findings = [
        *_presence(required, places, parts, name),
        *_order(required, places, parts, name),
        *_bodies(required, places, parts, name),
        *_placeholders(parts, name),
        *_extra(required, parts, name),
    ]
    return report(markdown, template, required, places, parts, findings)


def report(
    markdown: str,
    template: str,
    required: Sequence[Required],
    places: Sequence[int | None],
    parts: Sequence[Part],
    findings: Sequence[Finding],
) -> dict[str, Any]:
    """Return the report; `conforms` exactly when no finding is a refusal."""
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": "conformance_report",
        "conforms": all(finding.severity is Severity.WARNING for finding in findings),
        "contract_sha256": _digest(markdown),
        "template_sha256": _digest(template),
        "required": [
            {
                "level": wanted.heading.level,
                "text": wanted.heading.text,
                "template_line": wanted.heading.line,
                "optional": wanted.optional,
                "found_line": parts[place].heading.line if place is not None else None,
            }
            for wanted, place in zip(required, places, strict=True)
        ],
        "headings": [
            {"level": part.heading.level, "text": part.heading.text, "line": part.heading.line}
            for part in parts
        ],
        "findings": [_finding_dict(finding) for finding in findings],
    }


def with_findings(report: dict[str, Any], findings: Sequence[Finding]) -> dict[str, Any]:
    """Return `report` with more findings; it conforms only if they are warnings as well."""
    clean = all(finding.severity is Severity.WARNING for finding in findings)
    more = [_finding_dict(finding) for finding in findings]
    return {
        **report,
        "conforms": report["conforms"] and clean,
        "findings": [*report["findings"], *more],
    }


@lru_cache(maxsize=8)
def required_headings(template: str) -> tuple[Required, ...]:
    """Return the headings of the template's source, in order."""
    optional = optional_lines(template)
    found = []
    for part in parts_of(template):
        pieces = [re.escape(_folded(piece)) for piece in _HOLE.split(part.heading.text)]
        pattern = re.compile(r"\s*.+?\s*".join(pieces))
        found.append(Required(part.heading, pattern, part.heading.line in optional))
    return tuple(found)


def _place(wanted: Required, parts: Sequence[Part]) -> int | None:
    for place, part in enumerate(parts):
        if part.heading.level == wanted.heading.level and wanted.fits(part.heading.text):
            return place
    return None


def _presence(
    required: Sequence[Required], places: Sequence[int | None], parts: Sequence[Part], name: str
) -> Iterator[Finding]:
    for wanted, place in zip(required, places, strict=True):
        title = _shown(wanted.heading)
        if place is None:
            other = next((part for part in parts if wanted.fits(part.heading.text)), None)
            if other is not None:
                what = f"'{title}' stands at level {other.heading.level}"
                mend = f"write it at level {wanted.heading.level}"
                yield _finding("heading_level", f"{name}:{other.heading.line}", what, mend)
            elif not wanted.optional:
                yield _finding("heading_missing", name, f"'{title}' is missing", f"add '{title}'")
            continue
        level = wanted.heading.level
        for part in parts[place + 1 :]:
            if part.heading.level == level and wanted.fits(part.heading.text):
                what = f"'{title}' stands already in line {parts[place].heading.line}"
                where = f"{name}:{part.heading.line}"
                yield _finding("heading_twice", where, what, "keep one of the two")


def _order(
    required: Sequence[Required], places: Sequence[int | None], parts: Sequence[Part], name: str
) -> Iterator[Finding]:
    furthest, before = -1, ""
    for wanted, place in zip(required, places, strict=True):
        if place is None:
            continue
        if place < furthest:
            what = f"'{_shown(wanted.heading)}' stands before '{before}'"
            mend = f"move it after '{before}'"
            yield _finding("heading_order", f"{name}:{parts[place].heading.line}", what, mend)
        else:
            furthest, before = place, _shown(wanted.heading)


def _bodies(
    required: Sequence[Required], places: Sequence[int | None], parts: Sequence[Part], name: str
) -> Iterator[Finding]:
    for wanted, place in zip(required, places, strict=True):
        if place is None or any(part.blocks for part in _section(parts, place)):
            continue
        what = f"'{_shown(wanted.heading)}' has nothing to read under it"
        where = f"{name}:{parts[place].heading.line}"
        yield _finding("body_empty", where, what, "write the section")


def _section(parts: Sequence[Part], place: int) -> Iterator[Part]:
    """Yield the part and the deeper ones that belong to it."""
    yield parts[place]
    for part in parts[place + 1 :]:
        if part.heading.level <= parts[place].heading.level:
            return
        yield part


def _placeholders(parts: Sequence[Part], name: str) -> Iterator[Finding]:
    for part in parts:
        said = [(part.heading.text, part.heading.line)]
        said += [(block.text, block.line) for block in part.blocks if not block.is_code]
        for text, line in said:
            if is_unfinished(text) or is_unfinished(without_id(text)):
                what = f"'{plain(text, 60)}' under '{plain(part.heading.text, 60)}' marks a gap"
                yield _finding("placeholder", f"{name}:{line}", what, "write it out")


def _extra(required: Sequence[Required], parts: Sequence[Part], name: str) -> Iterator[Finding]:
    for part in parts:
        if not any(wanted.fits(part.heading.text) for wanted in required):
            what = f"'{_shown(part.heading)}' is not in the template"
            where, mend = f"{name}:{part.heading.line}", "nothing, if it is meant"
            yield _finding("heading_extra", where, what, mend, Severity.WARNING)


def _finding(
    rule: str, where: str, what: str, mend: str, severity: Severity = Severity.REFUSAL
) -> Finding:
    name = f"contract.{rule}"
    return Finding(rule=name, where=where, what=what, mend=mend, severity=severity)


def _finding_dict(finding: Finding) -> dict[str, str]:
    return {
        "rule": finding.rule,
        "where": finding.where,
        "what": finding.what,
        "mend": finding.mend,
        "severity": str(finding.severity),
    }


def _shown(heading: Heading) -> str:
    return f"{'#' * heading.level} {plain(heading.text, 80)}"


def _folded(text: str) -> str:
    return " ".join(text.split()).casefold()


def _digest(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
