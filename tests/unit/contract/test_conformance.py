from __future__ import annotations

import pytest

from orchestrator.contract.conformance import check_conformance
from orchestrator.contract.markdown import parts_of
from orchestrator.errors import ContractError

TEMPLATE = """# Contract: {{ title }}

## Scope

words

## Acceptance

words
{% if risks %}

## Risks

words
{% endif %}
"""
GOOD = "# Contract: x\n\nintro\n\n## Scope\n\nsrc\n\n## Acceptance\n\n- it exits 0\n"


def found(markdown: str, template: str = TEMPLATE) -> list[tuple[str, str]]:
    report = check_conformance(markdown, template)
    assert report["conforms"] == all(f["severity"] == "warning" for f in report["findings"])
    return [(f["rule"].removeprefix("contract."), f["where"]) for f in report["findings"]]


def test_a_contract_written_by_a_person_conforms() -> None:
    assert found(GOOD) == []


def test_setext_headings_and_other_case_are_the_same_headings() -> None:
    setext = "CONTRACT: x\n===\n\nintro\n\nscope\n---\n\nsrc\n\n##   Acceptance ##\n\n- a b\n"
    assert found(setext) == []


def test_an_optional_section_may_stand_or_be_absent_but_keeps_its_order() -> None:
    assert found(GOOD + "\n## Risks\n\nnone known\n") == []
    early = GOOD.replace("## Scope", "## Risks\n\nfew\n\n## Scope")
    assert found(early) == [("heading_order", "master_contract.md:5")]


@pytest.mark.parametrize(
    "hidden",
    [
        "```\n## Acceptance\n```",
        "<!--\n## Acceptance\n-->",
        "> ## Acceptance\n> yes",
        "- ## Acceptance\n  yes",
        "    ## Acceptance",
        "\\## Acceptance",
        "##Acceptance",
    ],
)
def test_a_heading_that_is_none_is_refused_as_missing(hidden: str) -> None:
    contract = f"# Contract: x\n\nintro\n\n## Scope\n\nsrc\n\n{hidden}\n\nyes\n"
    assert ("heading_missing", "master_contract.md") in found(contract)


def test_every_fault_is_told_at_once_with_its_line() -> None:
    contract = (
        "# Contract: x\n\n## Acceptance\n\nTBD\n\n## Scope\n\n<!-- later -->\n\n## Scope\n\ny\n"
    )
    assert found(contract) == [
        ("heading_twice", "master_contract.md:11"),
        ("heading_order", "master_contract.md:3"),
        ("body_empty", "master_contract.md:7"),
        ("placeholder", "master_contract.md:5"),
    ]


def test_a_heading_at_another_level_is_named_as_such() -> None:
    assert found(GOOD.replace("## Scope", "### Scope")) == [
        ("heading_level", "master_contract.md:5")
    ]


def test_a_section_with_only_a_subsection_that_has_text_is_not_empty() -> None:
    assert found(GOOD.replace("src\n", "### In\n\nsrc\n")) == [
        ("heading_extra", "master_contract.md:7")
    ]


def test_a_heading_with_a_hole_needs_something_in_it() -> None:
    assert ("heading_missing", "master_contract.md") in found(
        GOOD.replace("# Contract: x", "# Contract:")
    )


def test_code_that_mentions_a_gap_is_not_a_gap() -> None:
    assert found(GOOD.replace("src\n", "```\ntodo\n```\n")) == []


def test_a_contract_without_text_lacks_every_heading() -> None:
    assert [rule for rule, _ in found("")] == ["heading_missing"] * 3


def test_a_contract_of_many_megabytes_is_refused() -> None:
    with pytest.raises(ContractError, match="at most"):
        check_conformance("x" * 2_000_000, TEMPLATE)


def test_a_table_and_an_image_are_text_to_read() -> None:
    (part,) = parts_of("# A\n\n| x | y |\n| --- | --- |\n| 1 | 2 |\n")
    assert [block.text for block in part.blocks] == ["x", "y", "1", "2"]
    (part,) = parts_of("# A\n\n![plan](p.png)\n")
    assert part.blocks
