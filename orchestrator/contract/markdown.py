"""The headings of a Markdown text, as a reader of CommonMark sees them.

A `#` in a fence, in an HTML comment, in a quote or in a list makes no heading of the document;
an underlined line does. Lines count from 1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

_COMMENT: Final = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_VISIBLE: Final = frozenset({"text", "text_special", "code_inline", "image"})


@dataclass(frozen=True, slots=True)
class Heading:
    """One heading: its level (1 to 6), its text without marks, its line."""

    level: int
    text: str
    line: int


@dataclass(frozen=True, slots=True)
class Block:
    """One piece of visible text: a paragraph, an item, a cell, a block of code."""

    text: str
    line: int
    is_code: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """A heading and what stands between it and the next one."""

    heading: Heading
    blocks: tuple[Block, ...]


def parts_of(markdown: str) -> list[Part]:
    """Return the headings in order, each with its visible text; what stands before is left out."""
    found: list[Part] = []
    heading: Heading | None = None
    blocks: list[Block] = []
    for item in _walk(_parser().parse(markdown)):
        if isinstance(item, Block):
            blocks.append(item)
            continue
        if heading is not None:
            found.append(Part(heading, tuple(blocks)))
        heading, blocks = item, []
    if heading is not None:
        found.append(Part(heading, tuple(blocks)))
    return found


def _walk(tokens: Sequence[Token]) -> Iterator[Heading | Block]:
    level = 0  # of the heading that is open; 0 outside
    line = 1
    for token in tokens:
        line = token.map[0] + 1 if token.map else line
        if token.type == "heading_open" and token.level == 0:
            level = int(token.tag[1:])
        elif token.type == "heading_close":
            level = 0
        elif token.type == "inline":
            text = " ".join(visible_text(token).split())
            if level:
                yield Heading(level, text, line)
            elif text:
                yield Block(text, line)
        elif token.type in {"fence", "code_block"} and token.content.strip():
            yield Block(token.content.strip(), line, is_code=True)
        elif token.type == "html_block" and (rest := _COMMENT.sub("", token.content).strip()):
            yield Block(rest, line, is_code=True)


def visible_text(token: Token) -> str:
    """Return what a reader sees of an inline token."""
    return "".join(
        child.content if child.type in _VISIBLE else " " if child.type.endswith("break") else ""
        for child in token.children or ()
    )


@cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt  # noqa: PLC0415  37 ms, needed by tier 3 alone

    return MarkdownIt("commonmark").enable("table")
