"""The contract's template: Jinja2 in a sandbox, undefined names refused, every value inert.

A value that a template prints is escaped so that it is text in any Markdown reader, whether the
template remembers to or not. Only what our own filters build passes as it is:

    {{ x | code }}            a code span
    {{ x | paragraphs }}      text with its paragraphs kept
    {{ xs | bullets(none) }}  a list; `none` is the sentence for an empty one; as_code=true
    {{ xs | numbered(none) }} the same with numbers
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache, lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from orchestrator.errors import ContractError
from orchestrator.protocol.prose import code, inline

if TYPE_CHECKING:
    from jinja2 import Environment, Template

MAX_TEMPLATE_SIGNS: Final = 256 * 1024
TEMPLATE_NAME: Final = "master_contract.md.j2"


class Markdown(str):
    """Markdown of our own making, safe to print as it is."""

    __slots__ = ()


@cache
def default_template() -> str:
    """Return the template that comes with the package."""
    return (files(__package__) / "templates" / TEMPLATE_NAME).read_text(encoding="utf-8")


def render(source: str, values: Mapping[str, object], *, name: str = TEMPLATE_NAME) -> str:
    """Return the template `source` filled with `values`.

    Raises:
        ContractError: the template is too large, is not Jinja2, names something unknown, or
            does something that the sandbox forbids. Its `problems` name file and line.
    """
    from jinja2.exceptions import (  # noqa: PLC0415  37 ms, needed by tier 3 alone
        SecurityError,
        TemplateError,
        TemplateSyntaxError,
        UndefinedError,
    )

    if len(source) > MAX_TEMPLATE_SIGNS:
        what = f"the template has {len(source)} signs; at most {MAX_TEMPLATE_SIGNS} are read"
        raise _refused(what, name, 1, "shorten the template")
    try:
        return _compiled(source).render(values)
    except TemplateSyntaxError as error:
        what = f"the template is not Jinja2: {error.message}"
        raise _refused(what, name, error.lineno, "correct this line") from error
    except UndefinedError as error:
        known = ", ".join(sorted(values))
        mend = f"use one of: {known}"
        raise _refused(str(error), name, _line_of(error), mend) from error
    except SecurityError as error:
        mend = "a template may only print values and loop over them"
        raise _refused(str(error), name, _line_of(error), mend) from error
    except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError) as error:
        what = f"the template cannot be filled: {error}"
        raise _refused(what, name, _line_of(error), "correct this line") from error


def optional_lines(source: str) -> frozenset[int]:
    """Return the line numbers (from 1) of `source` inside an `if` or `for`: they may be absent.

    Raises:
        ContractError: the template is not Jinja2.
    """
    from jinja2.exceptions import TemplateSyntaxError  # noqa: PLC0415

    lines: set[int] = set()
    depth, since = 0, 0
    try:
        for line, word in _block_words(source):
            if word in {"if", "for"}:
                since = line if depth == 0 else since
                depth += 1
            elif word in {"endif", "endfor"} and depth:
                depth -= 1
                if depth == 0:
                    lines.update(range(since, line + 1))
    except TemplateSyntaxError as error:
        what = f"the template is not Jinja2: {error.message}"
        raise _refused(what, TEMPLATE_NAME, error.lineno, "correct this line") from error
    return frozenset(lines)


def _block_words(source: str) -> Iterator[tuple[int, str]]:
    opened = False
    for line, kind, value in _environment().lex(source):
        if kind == "block_begin":
            opened = True
        elif opened and kind == "name":
            yield line, value
            opened = False


@lru_cache(maxsize=8)
def _compiled(source: str) -> Template:
    return _environment().from_string(source)


@cache
def _environment() -> Environment:
    from jinja2 import StrictUndefined  # noqa: PLC0415
    from jinja2.sandbox import ImmutableSandboxedEnvironment  # noqa: PLC0415

    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined,
        autoescape=False,  # HTML's rules are not Markdown's; `finalize` escapes
        finalize=_inert,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["code"] = _code
    environment.filters["paragraphs"] = _paragraphs
    environment.filters["bullets"] = _bullets
    environment.filters["numbered"] = _numbered
    return environment


def _inert(value: object) -> object:
    from jinja2 import Undefined  # noqa: PLC0415

    if isinstance(value, (Markdown, Undefined)):
        return value  # an undefined one raises when it is printed
    return Markdown(inline(str(value)))


def _code(value: object) -> Markdown:
    return Markdown(code(str(value)))


def _paragraphs(value: object) -> Markdown:
    parts = re.split(r"\n\s*\n", str(value).replace("\r\n", "\n").replace("\r", "\n"))
    return Markdown("\n\n".join(text for part in parts if (text := inline(part))))


def _bullets(values: Iterable[object], none: str = "", *, as_code: bool = False) -> Markdown:
    return _items(values, none, as_code=as_code, mark=lambda _: "-")


def _numbered(values: Iterable[object], none: str = "", *, as_code: bool = False) -> Markdown:
    return _items(values, none, as_code=as_code, mark=lambda number: f"{number}.")


def _items(values: Iterable[object], none: str, *, as_code: bool, mark: object) -> Markdown:
    show = code if as_code else inline
    sign = mark if callable(mark) else str
    shown = [text for value in values if (text := show(str(value)))]
    if not shown:
        return Markdown(inline(none))
    return Markdown("\n".join(f"{sign(at)} {text}" for at, text in enumerate(shown, start=1)))


def _line_of(error: BaseException) -> int:
    """Return the line of the template where `error` rose: Jinja2 rewrites its traceback."""
    line, trace = 1, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<template>":
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def _refused(what: str, name: str, line: int, mend: str) -> ContractError:
    where = f"{name}:{line}"
    return ContractError(what, where=where, mend=mend, problems=(f"{where}:1: {what}",))
