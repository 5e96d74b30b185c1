"""The table of rules and what the families emit are the same set."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from orchestrator.protocol.verdict import Colour, Severity, Verdict
from orchestrator.qa.findings import finding
from orchestrator.qa.rules import RULES
from tests.unit.qa.attempts import review, rules, seed_facts, seed_pack, seed_result
from tests.unit.qa.cases import CASES


def _names() -> list[str]:
    return [f"{rule}-{severity}" for rule, severity, _ in CASES]


@pytest.mark.parametrize(("rule", "severity", "attempt"), CASES, ids=_names())
def test_each_fault_is_found_by_its_own_rule_with_its_severity(
    rule: str, severity: Severity, attempt: Callable[[], Verdict]
) -> None:
    assert rule in rules(attempt(), severity)


def test_every_rule_and_every_severity_of_it_has_a_case() -> None:
    table = {(name, severity) for name, row in RULES.items() for severity in row.severities}
    assert {(rule, severity) for rule, severity, _ in CASES} == table


def test_every_emitted_rule_is_in_the_table() -> None:
    emitted = {item.rule for _, _, attempt in CASES for item in attempt().findings}
    assert emitted == set(RULES)


@pytest.mark.parametrize(("rule", "severity", "attempt"), CASES, ids=_names())
def test_the_colour_follows_the_heaviest_finding(
    rule: str, severity: Severity, attempt: Callable[[], Verdict]
) -> None:
    verdict = attempt()
    severities = {item.severity for item in verdict.findings}
    if Severity.REFUSAL in severities:
        assert verdict.colour is Colour.REFUSED
    elif Severity.UNKNOWN in severities:
        assert verdict.colour is Colour.UNKNOWN
    else:
        assert verdict.colour is Colour.ACCEPTED
        assert verdict.signature == ""


@pytest.mark.parametrize(
    ("rule", "severity", "attempt"),
    [case for case in CASES if case[1] is Severity.WARNING],
    ids=[name for name in _names() if name.endswith("warning")],
)
def test_a_warning_alone_never_refuses(
    rule: str, severity: Severity, attempt: Callable[[], Verdict]
) -> None:
    assert attempt().colour is Colour.ACCEPTED


def test_the_honest_attempt_has_no_finding_at_all() -> None:
    assert review().findings == ()
    assert review().reason_code == "PASS_ALL_CRITERIA"
    assert review(seed_pack(), seed_result(), seed_facts()).findings == ()


def test_a_rule_outside_the_table_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(KeyError):
        finding("scope.nonsense", "a", "b")


def test_a_severity_outside_the_row_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="may be refusal, not warning"):
        finding("scope.forbidden", "a", "b", severity=Severity.WARNING)


def test_every_row_says_what_it_means_and_how_to_mend_it() -> None:
    for name, row in RULES.items():
        assert name.count(".") == 1
        assert row.meaning
        assert row.mend
        assert row.code.isupper()
