"""The text answer of seed 004: eight sections, in order, as Markdown. Pure.

    ## 1. Step Identification     - Task ID: T-1        (also Run ID, Attempt ID, Thread ID)
                                  - Step ID: S1
                                  - Result: PASS        PASS, FAIL, REWORK or BLOCKED
                                  - Reason code: PASS_ALL_CRITERIA
    ## 2. Summary of Work         prose
    ## 3. Files Changed           - `src/slug.py`       or the word None
    ## 4. Commands Executed       - `python3 -m unittest` exit 0, evidence: `.artifacts/...`
    ## 5. Verification Results    - AC1: its exact text => met, evidence: `.artifacts/...`
    ## 6. Logs / Artifacts        - AC1: `.artifacts/...`
    ## 7. Risks & Limitations     - prose               or the word None
    ## 8. Reproduction Guide      prose

A section starts at a heading, at a line of bold text, or at an item of a numbered list, with or
without its number. The headings come from a Markdown parser, so a title inside a quotation, a code
block or a comment starts nothing. A missing, repeated or misplaced section is an error by name;
nothing is guessed from the text of another one.
"""

from __future__ import annotations

import itertools
import re
import textwrap
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from orchestrator.worker.plain import AnswerError, parse_json

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

SECTIONS: Final = (
    "Step Identification",
    "Summary of Work",
    "Files Changed",
    "Commands Executed",
    "Verification Results",
    "Logs / Artifacts",
    "Risks & Limitations",
    "Reproduction Guide",
)

_TITLE_WORDS: Final = (
    "identification",
    "summary of work",
    "files changed",
    "commands executed",
    "verification results",
    "reproduction guide",
)

OUTPUT_CONTRACT: Final = (
    "Answer with exactly one StepResult as one JSON object and nothing else on stdout, or with "
    "these eight sections in this order, each as a heading:\n"
    + "\n".join(f"{number}. {title}" for number, title in enumerate(SECTIONS, 1))
    + "\nWrite commands as - `command` exit 0, evidence: `path`, and criteria as "
    "- <exact text> => met, evidence: `path`. A missing section means rework."
)
"""What a worker is told about the form of its answer."""

_NUMBER = re.compile(r"^\d+\s*[.)]\s*")
_NONE = re.compile(r"^(none|n/a|no files? (were )?changed|nothing)\.?$", re.IGNORECASE)
# Bounded repetitions only: a worker may send a megabyte of spaces or backquotes.
_CODE = re.compile(r"^(`{1,3})(.+?)\1(?!`)\s*(.*)$", re.DOTALL)
_EXIT = re.compile(
    r"\bexit(?:s|ed)?(?:[ _-](?:code|status|with)){0,2} {0,3}[:=]? {0,3}`?(-?\d{1,10})\b",
    re.IGNORECASE,
)
_EVIDENCE = re.compile(r"\bevidence(?:[ _]path)? {0,3}[:=] {0,3}(`[^`]+`|[^\s`]+)", re.IGNORECASE)
_CRITERION = re.compile(
    r"^(?P<text>.+?)(?:=>|->|→) {0,3}(?P<met>not met|unmet|met)\b(?P<rest>.*)$",
    re.IGNORECASE | re.DOTALL,
)
_SPAN = re.compile(r"`([^`]+)`")
_FIELD = re.compile(r"^(?P<key>[A-Za-z][A-Za-z _-]{0,30}?)\s*:\s*(?P<value>.+)$")
_IDENTITY = ("task_id", "run_id", "step_id", "attempt_id", "thread_id", "result", "reason_code")
_RESULT_KEYS = ("task_id", "step_id")
_MAX_TITLE = 80
_ITEM_LEVEL = 2  # of a paragraph: list, item, paragraph


class Start(NamedTuple):
    """Where a section starts: its title, the line of the title, the first line of its body."""

    title: str
    line: int
    body: int


def might_answer(text: str) -> bool:
    """Tell cheaply whether a Markdown parser could find an answer in `text`."""
    folded = text.casefold()
    fenced = "task_id" in folded and ("```" in folded or "~~~" in folded)
    return fenced or any(word in folded for word in _TITLE_WORDS)


def parse_markdown(text: str) -> list[Token]:
    """Parse the blocks of `text`; inline markup stays as it is."""
    return _parser().parse(text)


def find_result_blocks(tokens: list[Token]) -> list[dict[str, Any]]:
    """Find each fenced `json` block at the top level that holds a StepResult.

    Blocks in quotations, lists, other fences and comments are somebody else's words. A block that
    names `task_id` and is not JSON is an error: it was meant as the answer.
    """
    found = []
    for token in tokens:
        if token.type != "fence" or token.level != 0:
            continue
        if token.info.strip().split(" ")[0].lower() not in {"json", "step_result"}:
            continue
        try:
            value = parse_json(token.content)
        except AnswerError as error:
            if '"task_id"' in token.content:
                raise AnswerError(f"the json block in line {_line(token)}: {error}") from error
            continue
        if isinstance(value, dict) and _is_result(value):
            found.append(value)
    return found


def _is_result(value: dict[str, Any]) -> bool:
    return ("result" in value or "verdict" in value) and any(key in value for key in _RESULT_KEYS)


def parse_sections(text: str, starts: list[Start]) -> dict[str, Any]:
    """Read the eight sections into the keys of a StepResult. Raises AnswerError by name.

    Args:
        text: the whole answer.
        starts: of `find_sections`.
    """
    bodies = _bodies(text, starts)
    result = _identification(bodies[SECTIONS[0]])
    result["summary"] = bodies[SECTIONS[1]].strip()
    result["files_changed"] = [_path(item) for item in _items(bodies[SECTIONS[2]], SECTIONS[2])]
    result["commands_executed"] = [
        _command(item) for item in _items(bodies[SECTIONS[3]], SECTIONS[3])
    ]
    result["verification_results"] = [
        _criterion(item) for item in _items(bodies[SECTIONS[4]], SECTIONS[4])
    ]
    result["evidence_map"] = _evidence_map(bodies[SECTIONS[5]])
    result["risks"] = list(_items(bodies[SECTIONS[6]], SECTIONS[6], strict=False))
    return result


@cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt  # noqa: PLC0415  only text answers need it

    parser = MarkdownIt("commonmark")
    parser.block.ruler.disable("reference")
    parser.core.ruler.disable("inline")  # blocks are enough, and several times faster
    return parser


def _line(token: Token) -> int:
    return token.map[0] + 1 if token.map else 0


def _title(line: str) -> str | None:
    """Give the section whose title `line` is, or None."""
    if len(line) > _MAX_TITLE:
        return None
    bare = _NUMBER.sub("", line.strip().strip("*_").strip()).strip("*_: ").casefold()
    bare = re.sub(r"\s*/\s*", " / ", re.sub(r"\s+", " ", bare.replace(" and ", " & ")))
    return next((title for title in SECTIONS if title.casefold() == bare), None)


def find_sections(tokens: list[Token]) -> list[Start]:
    """Find where each of the eight titles starts a section."""
    found = []
    numbered = False
    for opening, content in itertools.pairwise(tokens):
        if opening.level == 0 and opening.type.startswith("ordered_list_"):
            numbered = opening.type == "ordered_list_open"
        if content.type != "inline" or opening.map is None:
            continue
        first = content.content.split("\n")[0]
        title = _title(first) if _starts_section(opening, first, numbered=numbered) else None
        if title:
            end = opening.map[1] if opening.type == "heading_open" else opening.map[0] + 1
            found.append(Start(title, opening.map[0], end))
    return found


def _starts_section(opening: Token, first: str, *, numbered: bool) -> bool:
    """Whether the block is a heading, a bold line, or directly an item of a numbered list."""
    if opening.level == 0:
        bare = first.strip().rstrip(":")
        return opening.type == "heading_open" or (bare.startswith("**") and bare.endswith("**"))
    return numbered and opening.level == _ITEM_LEVEL and opening.type == "paragraph_open"


def is_complete(starts: list[Start]) -> bool:
    """Whether each of the eight sections is there, in whatever order."""
    return {start.title for start in starts} == set(SECTIONS)


def _bodies(text: str, starts: list[Start]) -> dict[str, str]:
    titles = [start.title for start in starts]
    if missing := [title for title in SECTIONS if title not in titles]:
        raise AnswerError(f"section missing: {', '.join(missing)}")
    if twice := [title for title in SECTIONS if titles.count(title) > 1]:
        raise AnswerError(f"two results: the section {twice[0]!r} stands twice")
    for found, expected in zip(titles, SECTIONS, strict=True):
        if found != expected:
            raise AnswerError(f"section out of order: {found!r} stands where {expected!r} belongs")
    lines = text.split("\n")
    ends = [start.line for start in starts[1:]] + [len(lines)]
    bodies = {
        start.title: textwrap.dedent("\n".join(lines[start.body : end]))
        for start, end in zip(starts, ends, strict=True)
    }
    if empty := [title for title, body in bodies.items() if not body.strip()]:
        raise AnswerError(f"section empty: {', '.join(empty)}")
    return bodies


def _paragraphs(body: str) -> Iterator[str]:
    """Give each paragraph and list item of a body; nothing from quotations, code or tables."""
    quoted = 0
    for token in parse_markdown(body):
        if token.type == "blockquote_open":
            quoted += 1
        elif token.type == "blockquote_close":
            quoted -= 1
        elif token.type == "inline" and not quoted:
            yield token.content


def _items(body: str, title: str, *, strict: bool = True) -> Iterator[str]:
    """Give the list items; `None` means an empty list. Prose between them is an error."""
    tokens = parse_markdown(body)
    depth, quoted = 0, 0
    for token in tokens:
        depth += {"list_item_open": 1, "list_item_close": -1}.get(token.type, 0)
        quoted += {"blockquote_open": 1, "blockquote_close": -1}.get(token.type, 0)
        if token.type != "inline" or quoted:
            continue
        content = " ".join(line.strip() for line in token.content.split("\n"))
        if _NONE.match(content):
            continue
        if depth:
            yield content
        elif strict:
            raise AnswerError(f"{title}: {content[:60]!r} is not a list item")
        else:
            yield content


def _identification(body: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for paragraph in _paragraphs(body):
        for line in paragraph.split("\n"):
            match = _FIELD.match(line.replace("**", "").strip())
            if match is None:
                continue
            key = re.sub(r"[ -]+", "_", match["key"].strip().lower())
            key = {"verdict": "result"}.get(key, key)
            if key not in _IDENTITY:
                continue
            value = match["value"].strip().strip("`").strip()
            if key in found and found[key] != value:
                raise AnswerError(f"Step Identification: {key} is given twice, differently")
            found[key] = value.upper() if key == "result" else value
    if missing := [key for key in ("task_id", "step_id", "result") if key not in found]:
        raise AnswerError(f"Step Identification: {', '.join(missing)} missing")
    return found


def _path(item: str) -> str:
    """Give the path of an item: its leading code span, or all of it."""
    if match := _CODE.match(item):
        return match[2].strip()
    if " " in item:
        raise AnswerError(f"Files Changed: write the path {item[:60]!r} between backquotes")
    return item


def _evidence(rest: str) -> str:
    match = _EVIDENCE.search(rest)
    return match[1].strip("`").rstrip(".,;)") if match else ""


def _command(item: str) -> dict[str, Any]:
    match = _CODE.match(item)
    if match is None:
        raise AnswerError(f"Commands Executed: {item[:60]!r} has no command between backquotes")
    codes = _EXIT.findall(match[3])
    if len(codes) != 1:
        raise AnswerError(f"Commands Executed: {match[2][:60]!r} needs one exit code")
    return {
        "command": match[2].strip(),
        "exit_code": int(codes[0]),
        "evidence_path": _evidence(match[3]),
    }


def _criterion(item: str) -> dict[str, Any]:
    match = _CRITERION.match(item)
    if match is None:
        raise AnswerError(f"Verification Results: {item[:60]!r} needs '=> met' or '=> not met'")
    return {
        "criteria": match["text"].strip().strip("`"),
        "met": match["met"].lower() == "met",
        "evidence_path": _evidence(match["rest"]),
    }


def _evidence_map(body: str) -> dict[str, list[str]]:
    """Read `AC1: `path`, `path``; items without a criterion's id are only logs."""
    found: dict[str, list[str]] = {}
    for item in _items(body, SECTIONS[5], strict=False):
        name, colon, rest = item.partition(":")
        if colon and re.fullmatch(r"[A-Za-z]+-?\d+", name.strip()):
            found.setdefault(name.strip(), []).extend(_SPAN.findall(rest))
    return found
