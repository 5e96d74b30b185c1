from __future__ import annotations

import re
from pathlib import Path

import pytest

from orchestrator.kernel.diagram import BEGIN, END, mermaid, refreshed
from orchestrator.kernel.life import TRANSITIONS, State

PAGE = Path(__file__).resolve().parents[3] / "docs" / "task-life.md"


def test_the_page_shows_the_present_machine() -> None:
    page = PAGE.read_text(encoding="utf-8")
    mend = "docs/task-life.md is stale: run .venv/bin/python scripts/refresh_docs.py"
    assert refreshed(page) == page, mend


def test_the_page_explains_every_state_once() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert rows == [state.value for state in State]


def test_the_diagram_has_an_arrow_for_each_pair_of_the_table() -> None:
    arrows = re.findall(r"^ {4}(\w+) --> (\w+): (\w+)$", mermaid(), re.MULTILINE)
    expected = [
        (source.value, target.value, event.value)
        for source, moves in TRANSITIONS.items()
        for event, target in moves.items()
    ]
    assert arrows == expected


@pytest.mark.parametrize("page", ["", BEGIN, END + BEGIN, BEGIN + END + BEGIN, BEGIN + END + END])
def test_a_page_without_its_pair_of_markers_is_refused(page: str) -> None:
    with pytest.raises(ValueError, match="needs one"):
        refreshed(page)
