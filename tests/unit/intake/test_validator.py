from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.intake.backlog import intake_task
from orchestrator.intake.validator import RouteDoDValidator, is_vague
from orchestrator.protocol.step_pack import StepPack
from orchestrator.protocol.task import IntakeTask, Task

READY = IntakeTask(
    task_title="Parse empty lines",
    target="src/parser.py",
    execution_route="tier2",
    acceptance_criteria=("parse('') returns []",),
)


def answer(**changes: object) -> list[tuple[str, str]]:
    readiness = RouteDoDValidator().validate(READY.model_copy(update=changes))
    refused = [f for f in readiness.findings if f.severity == "refusal"]
    assert readiness.ready == (not refused)
    return [(f.rule.removeprefix("intake."), f.where) for f in readiness.findings]


def test_a_task_that_says_everything_is_ready() -> None:
    assert answer() == []


def test_an_empty_task_is_told_all_four_fields_at_once() -> None:
    readiness = RouteDoDValidator().validate(IntakeTask())
    assert not readiness.ready
    assert [f.where for f in readiness.findings] == [
        "task_title",
        "target",
        "execution_route",
        "acceptance_criteria",
    ]
    assert all(f.mend for f in readiness.findings)


@pytest.mark.parametrize("text", ["TBD", "todo", "N/A", "...", "<fill in>", "none"])
def test_a_placeholder_is_refused_in_every_field(text: str) -> None:
    assert answer(task_title=text, target=text, acceptance_criteria=(f"AC1: {text}",)) == [
        ("title_placeholder", "task_title"),
        ("target_placeholder", "target"),
        ("criterion_placeholder", "acceptance_criteria[0]"),
    ]


@pytest.mark.parametrize("route", ["tier2", "Tier-3", "TIER 2", "tier_3", "auto"])
def test_a_known_route_is_accepted_as_people_write_it(route: str) -> None:
    assert answer(execution_route=route) == []


@pytest.mark.parametrize("route", ["tier4", "fast", "tier2 # tier3", "2"])
def test_an_unknown_route_is_refused(route: str) -> None:
    assert answer(execution_route=route) == [("route_unknown", "execution_route")]


def test_a_criterion_given_twice_is_refused_even_under_another_id() -> None:
    criteria = ("AC1: It exits 0", "AC2: it  exits 0")
    assert answer(acceptance_criteria=criteria) == [
        ("criterion_duplicate", "acceptance_criteria[1]")
    ]


def test_blank_entries_are_refused_each() -> None:
    assert answer(
        acceptance_criteria=("AC1:  ", "exits 0"),
        commands_to_run=("", "true"),
        allowed_paths=(" ",),
    ) == [
        ("criterion_blank", "acceptance_criteria[0]"),
        ("command_blank", "commands_to_run[0]"),
        ("path_blank", "allowed_paths[0]"),
    ]


@pytest.mark.parametrize(
    "text", ["It works", "works correctly", "better code", "the code is clean", "ok"]
)
def test_a_vague_criterion_is_a_warning_not_a_refusal(text: str) -> None:
    assert answer(acceptance_criteria=(text,)) == [("criterion_vague", "acceptance_criteria[0]")]


@pytest.mark.parametrize(
    "text",
    [
        "works on Python 3.13",
        "`make check` works",
        "parse raises ValueError for a naive date",
        "tests/test_x.py passes",
        "空の行を受け取ると空のリストを返す",
        "The changelog names the new option",
    ],
)
def test_a_criterion_that_can_be_looked_at_is_not_vague(text: str) -> None:
    assert not is_vague(text)


def test_a_path_both_allowed_and_forbidden_is_a_warning() -> None:
    assert answer(allowed_paths=("src/**", "a"), forbidden_paths=("a",)) == [
        ("scope_contradiction", "allowed_paths[1]")
    ]


@pytest.mark.slow
@given(criteria=st.lists(st.text(max_size=30), max_size=8).map(tuple))
def test_ready_means_no_refusal_whatever_the_criteria(criteria: tuple[str, ...]) -> None:
    answer(acceptance_criteria=criteria)


def test_a_row_of_the_queue_is_completed_from_its_pack() -> None:
    pack = StepPack(
        task_id="T-1",
        objective="Make it so",
        allowed_paths=("src/**",),
        acceptance_criteria=("AC1: exits 0",),
    )
    task = intake_task(Task(task_key="T-1"), pack)
    assert RouteDoDValidator().validate(task).ready
    assert (task.task_title, task.target, task.execution_route) == ("Make it so", "src/**", "auto")
    named = intake_task(Task(task_key="T-1", title="Mine", acceptance_criteria=("mine",)), pack)
    assert (named.task_title, named.acceptance_criteria) == ("Mine", ("mine",))
