from __future__ import annotations

import json
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.contract.compiler import compile_master_contract, numbered_criteria
from orchestrator.contract.markdown import parts_of
from orchestrator.contract.template import default_template
from orchestrator.errors import ContractError
from orchestrator.protocol.step_pack import StepPack
from orchestrator.protocol.task import IntakeTask

AT = "2026-11-20T10:00:00Z"
TASK = IntakeTask(
    task_title="Parse empty lines",
    target="src/parser.py",
    execution_route="tier3",
    acceptance_criteria=("AC1: parse('') returns []", "the tests pass"),
    description="The parser fails.\n\nIt should not.",
    allowed_paths=("src/**",),
)
PACK = StepPack(
    task_id="T-1",
    objective="Make the parser accept empty lines",
    allowed_paths=("src/**", "tests/**"),
    acceptance_criteria=("AC1: parse('') returns []", "AC2: the tests pass"),
    commands_to_run=("pytest -q",),
)


def compiled(task: IntakeTask = TASK, pack: StepPack | None = None, template: str | None = None):
    return compile_master_contract(task, pack, task_key="T-1", template=template, at=AT)


def rules(report: dict) -> list[str]:
    return [finding["rule"] for finding in report["findings"]]


def headings(markdown: str) -> list[str]:
    return [part.heading.text for part in parts_of(markdown)]


def test_a_compiled_contract_conforms_to_its_own_template() -> None:
    assert compiled().conforms
    assert compiled(pack=PACK).conforms


def test_the_snapshot_is_the_template_and_the_report_has_both_digests() -> None:
    answer = compiled()
    assert answer.template_snapshot_md == default_template()
    report = answer.conformance_report
    assert report["template_sha256"] == sha256(default_template().encode()).hexdigest()
    assert report["contract_sha256"] == sha256(answer.master_contract_md.encode()).hexdigest()
    assert json.loads(json.dumps(report)) == report


def test_equal_input_gives_equal_bytes() -> None:
    assert compiled(pack=PACK) == compiled(pack=PACK)


@pytest.mark.parametrize(
    "text",
    [
        "# Acceptance",
        "Acceptance\n==========",
        "Acceptance\n---",
        "```\n# Acceptance\n```",
        "<!--",
        "--> # Acceptance",
        "~~~",
        "\n\n# Acceptance\n\n",
        "<h1>Acceptance</h1>",
        "{{ title }}{% raw %}",
        "[x]: http://example.invalid",
    ],
)
def test_a_text_that_forges_a_heading_is_refused_its_effect(text: str) -> None:
    forged = IntakeTask(
        task_title=f"Title {text}",
        target=text,
        description=text,
        steps=(text,),
        acceptance_criteria=(text, f"AC9: {text}"),
        out_of_scope=(text,),
        allowed_paths=(text,),
        commands_to_run=(text,),
    )
    plain_headings = headings(compiled().master_contract_md)
    found = headings(compiled(forged).master_contract_md)
    assert found[1:] == plain_headings[1:]
    assert "heading_extra" not in " ".join(rules(compiled(forged).conformance_report))


@pytest.mark.slow
@given(text=st.text(alphabet="# \n`~-=<!>*_[]{}%\\|ab1.", min_size=1, max_size=30))
def test_no_criterion_changes_the_headings(text: str) -> None:
    task = TASK.model_copy(update={"acceptance_criteria": (text,), "description": text})
    found = headings(compiled(task).master_contract_md)
    assert found == headings(compiled().master_contract_md)


def test_a_template_that_forgets_to_escape_is_escaped_anyway() -> None:
    task = TASK.model_copy(update={"description": "# Forged\n\n# Again"})
    answer = compiled(task, template="# A\n\n{{ description }}\n\n{{ description ~ title }}\n")
    assert headings(answer.master_contract_md) == ["A"]


def test_a_placeholder_in_a_criterion_does_not_conform() -> None:
    answer = compiled(TASK.model_copy(update={"acceptance_criteria": ("AC1: TBD",)}))
    assert rules(answer.conformance_report) == ["contract.placeholder"]
    assert not answer.conforms


def test_a_criterion_that_the_pack_does_not_have_does_not_conform() -> None:
    task = TASK.model_copy(update={"acceptance_criteria": ("the moon is blue",)})
    answer = compiled(task, PACK)
    assert "contract.criterion_not_in_pack" in rules(answer.conformance_report)
    assert not answer.conforms


def test_a_pack_that_allows_more_is_told_and_still_conforms() -> None:
    answer = compiled(pack=PACK)
    assert rules(answer.conformance_report) == ["contract.pack_allows_more"]
    assert answer.conforms


def test_a_template_that_reaches_into_python_is_refused() -> None:
    with pytest.raises(ContractError, match="unsafe") as refused:
        compiled(template="# A\n\n{{ ''.__class__.__mro__ }}\n")
    assert refused.value.where == "master_contract.md.j2:3"


@pytest.mark.parametrize(
    ("template", "line", "said"),
    [
        ("# A\n\n{{ nobody }}\n", 3, "'nobody' is undefined"),
        ("# A\n{% if %}\n", 2, "not Jinja2"),
        ("# A\n\n{{ 1 // 0 }}\n", 3, "cannot be filled"),
        ("# A\n{% include 'other' %}\n", 2, "no loader"),
        ("x" * 300_000, 1, "at most"),
    ],
)
def test_a_broken_template_is_refused_with_its_line(template: str, line: int, said: str) -> None:
    with pytest.raises(ContractError, match=said) as refused:
        compiled(template=template)
    assert refused.value.problems[0].startswith(f"master_contract.md.j2:{line}:1: ")


def test_criteria_get_an_id_unless_they_bring_one() -> None:
    assert numbered_criteria(("a", "AC7: b")) == ("AC1: a", "AC7: b")
