"""A representative part of the corpora through the real engine; `scripts/verdicts` runs all."""

from __future__ import annotations

import json

import pytest

from tests.corpus.book import load
from tests.corpus.run import Result, run_all
from tests.corpus.table import as_data, by_family, render

HONEST = (
    "moves_a_folder",
    "makes_a_script_executable",
    "turns_crlf_into_lf",
    "a_name_in_decomposed_form",
    "renames_only_the_case",
    "many_files",
    "leaves_caches_that_git_shows",
    "says_the_minimum",
    "lists_lines_of_git_status",
    "works_from_a_pack_of_seed_004",
    "repairs_it_in_the_second_round",
    "meets_a_flaky_check",
    "a_check_looks_at_git",
    "adds_a_test_where_allowed",
    "turns_a_red_check_green",
    "updates_a_lock_file",
)
LIES = (
    "edits_the_readme_quietly",
    "links_out_of_the_tree",
    "weakens_the_test",
    "shadows_unittest",
    "poisons_the_bytecode",
    "plants_a_git_hook",
    "moves_head_elsewhere",
    "gives_two_results",
    "forges_the_exit_code",
    "shows_evidence_of_an_earlier_round",
    "writes_our_evidence_for_us",
    "empties_the_suite",
    "rewrites_the_tests_when_it_is_imported",
    "appends_to_the_ledger",
    "edits_between_claim_and_check",
    "deletes_the_repository",
)


def test_the_corpora_are_as_large_as_they_have_to_be() -> None:
    book = load().values()
    assert sum(case.honest for case in book) >= 40
    assert sum(not case.honest for case in book) >= 30
    assert all(case.about for case in book)


@pytest.mark.slow
def test_no_liar_is_accepted_and_no_honest_worker_refused() -> None:
    results = run_all([*HONEST, *LIES])
    wrong = [f"{r.name}: {r.outcome} {r.found} {r.problems}" for r in results if not r.fine]
    assert wrong == []


def result(name: str, *, honest: bool, outcome: str, found: tuple[str, ...] = ()) -> Result:
    return Result(
        name, honest, "scope", "" if honest else "scope.forbidden", outcome, "failed", "X",
        found, (("qa_scope_guard_review", "refused"),), (), "", 0.1, "about",
    )  # fmt: skip


def test_a_false_refusal_counts_for_the_family_that_refused() -> None:
    rows = by_family([result("a", honest=True, outcome="false refusal", found=("check.failed",))])
    assert rows["check"]["false_refusals"] == 1
    assert rows["scope"] == {**rows["scope"], "honest": 1, "false_refusals": 0}


def test_a_miss_is_told_in_both_forms() -> None:
    results = [
        result("fine", honest=True, outcome="right"),
        result("liar", honest=False, outcome="false accept"),
    ]
    data = json.loads(json.dumps(as_data(results, 1.0)))
    assert data["ok"] is False
    assert [miss["name"] for miss in data["misses"]] == ["liar"]
    assert data["families"]["scope"]["false_accepts"] == 1
    assert "liar: false accept" in render(results, 1.0)
