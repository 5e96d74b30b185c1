"""Text of people and agents stays text, wherever it is put."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from orchestrator.contract.markdown import visible_text
from orchestrator.protocol.prose import (
    code,
    inline,
    is_empty_word,
    is_unfinished,
    plain,
    without_id,
)

NASTY = st.text(alphabet="# \n\t`~*_-+=:|<>!&[](){}\\\"'1.)aZ\u00e9\u202e\x00;/", max_size=40)
SHAPES = ["{}", "- {}", "1. {}", "# {}", "text\n{}", "| a | b |\n| --- | --- |\n| {} | x |", "> {}"]


def shown(markdown: str) -> list[str]:
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(markdown)
    return [visible_text(token) for token in tokens if token.type == "inline"]


def structure(markdown: str) -> list[str]:
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(markdown)
    kinds = [token.type for token in tokens]
    for token in tokens:
        kinds += [child.type for child in token.children or () if "text" not in child.type]
    return kinds


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
@given(text=NASTY | st.text(max_size=30))
def test_no_text_makes_structure_and_every_reader_sees_the_text_itself(
    shape: str, text: str
) -> None:
    if not plain(text):
        return
    document = shape.format(inline(text))
    assert structure(document) == structure(shape.format("word"))
    words = [part.replace("word", plain(text)) for part in shown(shape.format("word"))]
    assert shown(document) == words


@given(text=NASTY | st.text(max_size=30))
def test_a_code_span_shows_its_text_and_nothing_else(text: str) -> None:
    if not plain(text):
        return
    (block,) = [t for t in MarkdownIt("commonmark").parse(code(text)) if t.type == "inline"]
    (span,) = block.children or ()
    assert (span.type, span.content) == ("code_inline", plain(text))


def test_a_direction_override_and_a_control_sign_are_made_visible() -> None:
    assert plain("a\u202eb\x07c\ud800") == "a\ufffdb\ufffdc\ufffd"


def test_snake_case_stays_readable() -> None:
    assert inline("fix parse_line in a_b.py") == "fix parse_line in a_b.py"


def test_a_long_text_is_cut_and_says_so() -> None:
    assert plain("abcdefgh", 5) == "abcd\u2026"


@pytest.mark.parametrize(
    "text",
    ["TBD", " tbd. ", "[TODO]", "<todo>", "...", "?", "-", "To be defined", "TODO: write it"],
)
def test_a_gap_is_recognised(text: str) -> None:
    assert is_unfinished(text)


@pytest.mark.parametrize("text", ["remove every TODO from src", "todo list sorts by date", "", "x"])
def test_text_that_speaks_of_gaps_is_not_one(text: str) -> None:
    assert not is_unfinished(text)


def test_words_for_nothing_are_recognised() -> None:
    assert all(map(is_empty_word, ["", " ", "N/A", "none.", "null"]))
    assert not is_empty_word("none of the tests fail")


def test_the_id_of_a_criterion_is_taken_off() -> None:
    assert without_id("AC12: exits 0") == without_id("ac-12) exits 0") == "exits 0"
