"""Rules about documents, read by a Markdown parser: a fence or a comment does not fool it."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from markdown_it import MarkdownIt
from markdown_it.token import Token

from tests.guards.rules.tree import Tree

ROLE_SECTIONS = ("Authority", "Must", "Must not", "Stop conditions", "Evidence", "Outputs")
DECISION_SECTIONS = ("Problem", "Drivers", "Options", "Outcome", "Cost")
# Old decisions may name what has gone; templates speak of somebody else's repository.
_ABOUT_OTHER_PLACES = ("tests/", "instructions/decisions/", "docs/templates/")
_NAMED_FILE = re.compile(
    r"(?:orchestrator|workflow_logger|scripts|examples|tests|benchmarks|docs|instructions)/[\w./-]+"
)


def _tokens(text: str) -> Iterator[Token]:
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        yield token
        yield from token.children or ()


def headings(text: str, *, level: int) -> list[str]:
    """Return the texts of the headings of one level, in order."""
    tokens = MarkdownIt("commonmark").parse(text)
    pairs = itertools.pairwise(tokens)
    return [
        inline.content
        for opening, inline in pairs
        if opening.type == "heading_open" and opening.tag == f"h{level}"
    ]


def _anchors(text: str) -> set[str]:
    names = (name for level in range(1, 7) for name in headings(text, level=level))
    plain = (re.sub(r"[^\w\- ]", "", name.lower()) for name in names)
    return {name.replace(" ", "-") for name in plain}


def broken_links(tree: Tree) -> list[str]:
    faults = []
    for path in tree.under(suffix=".md"):
        if path.startswith("tests/"):
            continue
        for token in _tokens(tree.text(path)):
            target = token.attrs.get("href") or token.attrs.get("src")
            if not isinstance(target, str):
                continue
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                continue
            faults += _broken(tree, path, unquote(parts.path), parts.fragment)
    return faults


def _broken(tree: Tree, path: str, target: str, fragment: str) -> list[str]:
    file = tree.root / PurePosixPath(path).parent / target if target else tree.root / path
    resolved = file.resolve()
    if not resolved.is_relative_to(tree.root.resolve()):
        return [f"{path}: the link {target} leads out of the repository"]
    if not resolved.exists():
        return [f"{path}: the link {target} leads nowhere"]
    if not fragment or resolved.suffix != ".md":
        return []
    if fragment in _anchors(resolved.read_text(encoding="utf-8")):
        return []
    return [f"{path}: {target}#{fragment} names no heading"]


def missing_modules(tree: Tree) -> list[str]:
    """A file that a document names in code type is there. Patterns and placeholders are left out."""
    faults = []
    for path in tree.under(suffix=".md"):
        if path.startswith(_ABOUT_OTHER_PLACES):
            continue
        for token in _tokens(tree.text(path)):
            if token.type != "code_inline":
                continue
            for word in token.content.split():
                name = word.rstrip(".,;:/")
                if _NAMED_FILE.fullmatch(name) and not (tree.root / name).exists():
                    faults.append(f"{path}: names {name}, which is not there")
    return faults


def missing_sections(tree: Tree, path: str, sections: tuple[str, ...]) -> list[str]:
    """Each section is there, in this order, and says something."""
    text = tree.text(path)
    found = [name for name in headings(text, level=2) if name in sections]
    if found != list(sections):
        return [f"{path}: sections {found}, expected {list(sections)}"]
    bodies = re.split(r"^## .*$", text, flags=re.MULTILINE)[1:]
    return [f"{path}: an empty section" for body in bodies if not body.strip()]
