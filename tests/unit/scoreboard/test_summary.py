from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from orchestrator.scoreboard.counters import Counters, count_states
from orchestrator.scoreboard.summary import MAX_ROWS, Report, Row, Section, render_summary

AT = "2026-11-20T10:00:00Z"


def report(**fields: object) -> Report:
    return Report(**{"project": "demo", "at": AT, "counters": Counters(), **fields})


def headings(text: str) -> list[str]:
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    return [tokens[i + 1].content for i, t in enumerate(tokens) if t.type == "heading_open"]


def test_the_summary_of_a_campaign_reads_from_the_headline_down() -> None:
    text = render_summary(
        report(
            counters=Counters({"completed": 1, "failed": 1, "pending": 1}, {"accepted": 1}, 4),
            accepted=Section([Row("T-1", "Parse lines", "2 checks passed")]),
            refused=Section([Row("T-2", "Fix | it", "changed README.md, outside tests/**")]),
            waiting=Section([Row("T-3", "", "waits for T-2, which failed")]),
            last_selected=Row("T-2", "Fix | it"),
            record="12 entries verify",
            next_command="python -m orchestrator replay last",
        )
    )
    assert text == (
        "# demo\n\n**3 tasks: 1 accepted, 1 refused, 1 waiting.**\n\n"
        "As of 2026-11-20T10:00:00Z, after 4 cycles.\nLast selected: `T-2` Fix \\| it.\n\n"
        "## Accepted (1)\n\n| Task | Title | What shows it |\n| --- | --- | --- |\n"
        "| T-1 | Parse lines | 2 checks passed |\n\n"
        "## Refused (1)\n\n| Task | Title | Why |\n| --- | --- | --- |\n"
        "| T-2 | Fix \\| it | changed README.md, outside tests/\\*\\* |\n\n"
        "## Waiting (1)\n\n| Task | Title | For what |\n| --- | --- | --- |\n"
        "| T-3 |  | waits for T-2, which failed |\n\n"
        "## Attempts\n\n1 accepted.\n\n## Record\n\n12 entries verify\n\n"
        "## Next\n\n    python -m orchestrator replay last\n"
    )


def test_an_empty_project_has_a_headline_and_no_empty_tables() -> None:
    assert render_summary(report()).startswith("# demo\n\n**0 tasks.**\n")
    assert headings(render_summary(report())) == ["demo"]


def test_a_long_table_is_cut_and_says_how_many_more() -> None:
    rows = [Row(f"T-{n}") for n in range(MAX_ROWS + 7)]
    text = render_summary(report(ready=Section(rows)))
    assert text.count("\n| T-") == MAX_ROWS
    assert "\n\nand 7 more\n" in text
    assert "and 99980 more" in render_summary(report(ready=Section(rows[:20], total=100_000)))


@pytest.mark.parametrize(
    "text", ["# Accepted (99)", "a\n## Accepted", "| x |", "<!--", "```", "\n---\n"]
)
def test_a_title_that_forges_structure_is_refused_its_effect(text: str) -> None:
    row = Row("T-1", text, text)
    made = render_summary(
        report(
            refused=Section([row]),
            accepted=Section([row]),
            notes=[text],
            record=text,
            last_selected=row,
        )
    )
    assert headings(made) == ["demo", "Accepted (1)", "Refused (1)", "Record"]
    assert made.count("\n| T-1 |") == 2


@pytest.mark.slow
@given(text=st.text(alphabet="# \n`~-=<!>*_[]|\\ab1.", max_size=20))
def test_no_title_changes_the_table(text: str) -> None:
    made = render_summary(report(project="p", refused=Section([Row("T-1", text, text)])))
    tokens = MarkdownIt("commonmark").enable("table").parse(made)
    assert sum(token.type == "td_open" for token in tokens) == 3
    assert headings(made) == ["p", "Refused (1)"]


def test_equal_input_gives_equal_bytes() -> None:
    given_twice = report(counters=count_states(["pending"]), ready=Section([Row("T-1")]))
    assert render_summary(given_twice) == render_summary(given_twice)
