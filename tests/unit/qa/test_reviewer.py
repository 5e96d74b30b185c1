"""The verdict: deterministic, complete, with a signature that holds nothing of the run."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.protocol.verdict import Colour, Severity, Verdict
from orchestrator.qa.globs import globs
from orchestrator.qa.policy import LITTER
from tests.unit.qa.attempts import (
    COMMAND,
    changed,
    claimed,
    evidence,
    facts,
    pack,
    ran,
    refusals,
    result,
    review,
    run,
    seed_facts,
    seed_pack,
    seed_result,
    worker,
)
from tests.unit.qa.cases import CASES


@pytest.mark.parametrize(("rule", "severity", "attempt"), CASES)
def test_the_same_input_gives_the_same_verdict(
    rule: str, severity: Severity, attempt: Callable[[], Verdict]
) -> None:
    assert attempt() == attempt()


@pytest.mark.parametrize(("rule", "severity", "attempt"), CASES)
def test_a_verdict_survives_its_own_json(
    rule: str, severity: Severity, attempt: Callable[[], Verdict]
) -> None:
    verdict = attempt()
    assert Verdict.model_validate_json(verdict.model_dump_json()) == verdict


def test_every_finding_is_collected() -> None:
    verdict = review(
        the_result=result(task_id="T-9", files_changed=["src/ghost.py"]),
        the_facts=facts(
            changes=[changed("docs/a.md"), changed("CLAUDE.md"), changed("uv.lock")],
            commands=[run(exit_code=1, always_succeeds="x", tests=ran(3, failed=3))],
            control_files_touched=["progress/state.db"],
        ),
    )
    assert {
        "work.control_files", "scope.outside_allowed", "protected.agent_config",
        "dependency.lockfile", "check.no_force", "check.failed", "claims.exit_code_differs",
        "claims.wrong_step", "claims.file_missing", "claims.file_extra",
    } <= refusals(verdict)  # fmt: skip


def test_the_order_of_the_changes_does_not_matter() -> None:
    changes = [changed("docs/b.md"), changed("docs/a.md"), changed("CLAUDE.md")]
    there = review(the_facts=facts(changes=changes))
    back = review(the_facts=facts(changes=changes[::-1]))
    assert there.findings == back.findings


def test_the_signature_holds_nothing_of_the_run() -> None:
    def attempt(name: str, wall: int, size: int) -> Verdict:
        path = f".artifacts/agent_runs/{name}/o.txt"
        return review(
            seed_pack(run_id=name),
            seed_result(run_id=name, evidence_map={"AC1": [path]}, commands_executed=[]),
            seed_facts(
                attempt_id=name,
                worker=worker(wall_ms=wall, exit_code=3),
                claimed_files=[claimed(path, exists=False)],
                commands=[run(exit_code=1, wall_ms=wall, stdout=evidence(name, size))],
            ),
        )

    first, second = attempt("A", 10, 4), attempt("B", 99, 7)
    assert first.findings != second.findings
    assert first.signature == second.signature != ""


def test_other_failures_have_another_signature() -> None:
    one = review(the_facts=facts(changes=[changed(), changed("docs/a.md")]))
    other = review(the_facts=facts(changes=[changed(), changed("docs/b.md")]))
    assert one.signature != other.signature


def test_an_unknown_verdict_has_a_signature_too() -> None:
    verdict = review(the_facts=facts(commands=[]))
    assert verdict.colour is Colour.UNKNOWN
    assert len(verdict.signature) == 64


def test_unknown_is_never_accepted_and_refusal_wins() -> None:
    verdict = review(the_facts=facts(commands=[], changes=[changed(), changed("docs/a.md")]))
    assert verdict.colour is Colour.REFUSED
    assert verdict.reason_code == "SCOPE_VIOLATION"


def test_each_gate_answers_for_its_own_family() -> None:
    def colours(verdict: Verdict) -> dict[str, Colour]:
        return {answer.gate_id: answer.colour for answer in verdict.gates}

    fine = review(seed_pack(), seed_result(), seed_facts())
    assert colours(fine) == dict.fromkeys(("G1", "G7", "G8"), Colour.ACCEPTED)
    red = seed_facts(commands=[run(exit_code=1)])
    claims = seed_result(commands_executed=[{"command": COMMAND, "exit_code": 1}])
    assert colours(review(seed_pack(), claims, red))["G1"] is Colour.REFUSED
    assert colours(review(seed_pack(), claims, red))["G7"] is Colour.ACCEPTED
    outside = seed_facts(changes=[changed("docs/a.md")])
    assert colours(review(seed_pack(), seed_result(), outside))["G7"] is Colour.REFUSED
    stale = seed_facts(claimed_files=[claimed(produced_in_attempt=False)])
    assert colours(review(seed_pack(), seed_result(), stale)) == {
        "G1": Colour.ACCEPTED, "G7": Colour.ACCEPTED, "G8": Colour.REFUSED,
    }  # fmt: skip
    unseen = seed_facts(commands=[])
    assert colours(review(seed_pack(), seed_result(), unseen))["G1"] is Colour.UNKNOWN


def test_the_verdict_names_the_contract_the_tree_and_the_claim() -> None:
    verdict = review()
    assert (verdict.contract_digest, verdict.tree) == ("c" * 64, "tree-1")
    assert verdict.worker_result == "PASS"
    assert review(answered=False).worker_result is None


names = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=12)


@pytest.mark.slow
@settings(max_examples=40)
@given(st.lists(names, min_size=1, max_size=4))
def test_no_name_at_all_gets_past_an_empty_scope(segments: list[str]) -> None:
    path = "/".join(segments)
    verdict = review(
        pack(allowed_paths=[]),
        result(files_changed=[path]),
        facts(changes=[changed(path, "added")]),
    )
    assert verdict.colour is Colour.REFUSED or not refusals(verdict) - {"scope.litter"}
    assert verdict.colour is Colour.REFUSED or path.startswith(".artifacts") or _is_litter(path)


def _is_litter(path: str) -> bool:
    return LITTER.holds(path)


@pytest.mark.slow
@settings(max_examples=40)
@given(names)
def test_findings_never_hold_an_unprintable_character(name: str) -> None:
    path = f"docs/{name}"
    verdict = review(
        the_result=result(files_changed=[name]), the_facts=facts(changes=[changed(path, "added")])
    )
    for item in verdict.findings:
        assert (item.where + item.what).isprintable()


segments = st.sampled_from(
    ["src", "docs", "tests", "a.py", "test_a.py", "conftest.py", "uv.lock", "x"]
)
paths = st.lists(segments, min_size=1, max_size=3).map("/".join)
patterns = st.sampled_from(["**", "src/**", "docs/*", "tests/**", "*.py", "src/a.py", "!src/x"])
kinds = st.sampled_from(["added", "modified", "deleted", "mode"])


@pytest.mark.slow
@settings(max_examples=60)
@given(
    st.lists(st.tuples(paths, kinds), min_size=1, max_size=4, unique_by=lambda pair: pair[0]),
    st.lists(patterns, max_size=3),
    st.lists(patterns, max_size=2),
)
def test_nothing_outside_the_scope_is_ever_accepted(
    touched: list[tuple[str, str]], allowed: list[str], forbidden: list[str]
) -> None:
    verdict = review(
        pack(allowed_paths=allowed, forbidden_paths=forbidden),
        result(files_changed=[path for path, _ in touched]),
        facts(changes=[changed(path, kind) for path, kind in touched]),
    )
    inside = all(
        globs(tuple(allowed)).match(path) and not globs(tuple(forbidden)).match(path)
        for path, _ in touched
    )
    assert verdict.colour is not Colour.ACCEPTED or inside
    if inside and not refusals(verdict) & {"protected.tests", "protected.test_config"}:
        assert refusals(verdict) <= {"dependency.lockfile"}
