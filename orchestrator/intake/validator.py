"""Readiness: does the task say what, where, by which route, and when it is done?

Rules (a warning does not make a task unready; every fault is told at once):

    intake.title_missing, intake.title_placeholder          refusal
    intake.target_missing, intake.target_placeholder        refusal
    intake.route_missing, intake.route_unknown              refusal
    intake.criteria_missing                                 refusal
    intake.criterion_blank, _placeholder, _duplicate        refusal, one for each criterion
    intake.criterion_vague                                  warning
    intake.command_blank, intake.path_blank                 refusal
    intake.scope_contradiction                              warning: forbidden wins
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from orchestrator.intake.router import AUTO, parse_route
from orchestrator.protocol.prose import is_empty_word, is_unfinished, plain, without_id
from orchestrator.protocol.task import ExecutionRoute, IntakeTask
from orchestrator.protocol.verdict import Finding, Severity

_ROUTES: Final = (*(str(route) for route in ExecutionRoute), AUTO)

# Words that promise quality without saying how anybody would see it.
_VAGUE: Final = re.compile(
    r"\b(?:works?(?: (?:correctly|properly|well|fine|as expected))?|as expected|properly|correctly"
    r"|better|improved?|good|nice|clean(?:er)?|robust|user[- ]friendly|easy|fast(?:er)?"
    r"|optimi[sz]ed|appropriate(?:ly)?|reasonable|high quality|best practices?|etc|and so on"
    r"|looks? (?:ok|good))\b",
    re.IGNORECASE,
)
# Something that can be looked at: a number, a path or a name in code, a quoted text, a check.
_CONCRETE: Final = re.compile(
    r"\d|[`\"'/=<>()]|\w\.\w|\w_\w"
    r"|\b(?:returns?|raises?|exits?|refuse[sd]?|reject(?:s|ed)?|prints?|pass(?:es)?|equals?|contains?"
    r"|exists?|fails?|writes?|reads?|accepts?|answers?)\b",
    re.IGNORECASE,
)
_SHORT_WORDS: Final = 3
_SHORT_BYTES: Final = 12  # bytes, not signs: three signs of Chinese say as much as two words


@dataclass(frozen=True, slots=True)
class Readiness:
    """The answer: `ready` exactly when no finding is a refusal."""

    ready: bool
    findings: tuple[Finding, ...]


class RouteDoDValidator:
    """Checks route and definition of done of an intake task."""

    def validate(self, task: IntakeTask) -> Readiness:
        """Return every finding, in the order of the fields."""
        findings = (
            *_text("title", "task_title", task.task_title, "say in one line what is to be done"),
            *_text("target", "target", task.target, "name the paths or the component to change"),
            *_route(task.execution_route),
            *_criteria(task.acceptance_criteria),
            *_entries("command", "commands_to_run", task.commands_to_run),
            *_entries("path", "allowed_paths", task.allowed_paths),
            *_entries("path", "forbidden_paths", task.forbidden_paths),
            *_contradictions(task),
        )
        refused = any(finding.severity is not Severity.WARNING for finding in findings)
        return Readiness(ready=not refused, findings=findings)


def is_vague(criterion: str) -> bool:
    """Say whether nobody could tell by looking that `criterion` holds."""
    text = without_id(criterion)
    if _CONCRETE.search(text):
        return False
    short = len(text.split()) < _SHORT_WORDS and len(text.encode()) < _SHORT_BYTES
    return short or _VAGUE.search(text) is not None


def _text(rule: str, where: str, value: str, mend: str) -> Iterator[Finding]:
    if not value.strip():
        yield Finding(rule=f"intake.{rule}_missing", where=where, what="is empty", mend=mend)
    elif is_unfinished(value) or is_empty_word(value):
        what = f"'{plain(value, 60)}' is a placeholder"
        yield Finding(rule=f"intake.{rule}_placeholder", where=where, what=what, mend=mend)


def _route(value: str) -> Iterator[Finding]:
    known = ", ".join(_ROUTES)
    mend = f"write one of: {known}"
    if not value.strip():
        what = "is empty"
        yield Finding(rule="intake.route_missing", where="execution_route", what=what, mend=mend)
    elif parse_route(value) is None:
        what = f"'{plain(value, 60)}' is not a route; known: {known}"
        yield Finding(rule="intake.route_unknown", where="execution_route", what=what, mend=mend)


def _criteria(criteria: tuple[str, ...]) -> Iterator[Finding]:
    if not criteria:
        yield Finding(
            rule="intake.criteria_missing",
            where="acceptance_criteria",
            what="is empty: nothing says when the task is done",
            mend="give at least one criterion that a command or a reader can check",
        )
    first: dict[str, int] = {}
    for index, criterion in enumerate(criteria):
        where = f"acceptance_criteria[{index}]"
        text = without_id(criterion)
        if not text:
            yield _criterion("blank", where, "is blank", "write it out or remove it")
            continue
        earlier = first.setdefault(text.casefold(), index)
        if is_unfinished(text) or is_empty_word(text):
            what = f"'{plain(text, 60)}' is a placeholder"
            yield _criterion("placeholder", where, what, "write it out or remove it")
        elif earlier != index:
            what = f"says the same as acceptance_criteria[{earlier}]"
            yield _criterion("duplicate", where, what, "remove one of the two")
        elif is_vague(text):
            what = f"'{plain(text, 80)}' names nothing that can be looked at"
            mend = "name the command, the value, the file or the message that shows it"
            yield _criterion("vague", where, what, mend, Severity.WARNING)


def _criterion(
    rule: str, where: str, what: str, mend: str, severity: Severity = Severity.REFUSAL
) -> Finding:
    name = f"intake.criterion_{rule}"
    return Finding(rule=name, where=where, what=what, mend=mend, severity=severity)


def _entries(rule: str, field: str, values: Iterable[str]) -> Iterator[Finding]:
    for index, value in enumerate(values):
        if not value.strip():
            where = f"{field}[{index}]"
            mend = "write it out or remove it"
            yield Finding(rule=f"intake.{rule}_blank", where=where, what="is blank", mend=mend)


def _contradictions(task: IntakeTask) -> Iterator[Finding]:
    forbidden = set(task.forbidden_paths)
    for index, path in enumerate(task.allowed_paths):
        if path.strip() and path in forbidden:
            yield Finding(
                rule="intake.scope_contradiction",
                where=f"allowed_paths[{index}]",
                what=f"'{plain(path, 80)}' is also forbidden, and forbidden wins",
                mend="remove it from one of the two lists",
                severity=Severity.WARNING,
            )
