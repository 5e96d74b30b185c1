"""All problems of one document, in the order in which they stand in it.

Three sources: the text itself (`Tree.marks`), the fields (pydantic), and what must hold between
fields (`Wire.faults`). A problem of a value that is there in several copies is told once, at the
first place where a person wrote it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from orchestrator.protocol.base import FAULTS_ELSEWHERE, Wire
from orchestrator.protocol.faults import Fault, KeyPath, one_line, render_path
from orchestrator.protocol.limits import MAX_PROBLEMS
from orchestrator.protocol.messages import explain, is_unknown_key, model_under
from orchestrator.protocol.positions import LineIndex, Node, Tree

_LONGEST_SOURCE = 300


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to mend; `at` and `see` are offsets in characters."""

    at: int
    path: KeyPath
    what: str
    see: int | None = None
    see_name: str = ""


def problems_of(
    tree: Tree,
    model: type[Wire],
    *,
    more_faults: Callable[[Mapping[str, Any]], Iterable[Fault]] | None = None,
    quotes_help: bool = False,
    prefix: KeyPath = (),
) -> list[Problem]:
    """Collect every problem of `tree` read as `model`; `prefix` is the path of its root."""
    found = [Problem(mark.at, mark.path, mark.what, mark.see) for mark in tree.marks]
    root = tree.root
    if root is not None:
        odd = {path[len(prefix) :] for path in tree.odd}
        told = [*_field_problems(root, model, quotes_help=quotes_help)]
        if isinstance(root.value, dict):
            faults = [*model.faults(root.value), *(more_faults(root.value) if more_faults else ())]
            told += [_of_fault(root, fault) for fault in faults]
        found += [
            Problem(one.at, (*prefix, *one.path), one.what, one.see, one.see_name)
            for one in told
            if not any(one.path[:length] in odd for length in range(len(one.path) + 1))
        ]
    return sorted(dict.fromkeys(found), key=lambda one: one.at)


def lines(problems: list[Problem], text: str, source: str) -> list[str]:
    """Write each problem as `file:line:col: path: message`."""
    index = LineIndex(text)
    shown = one_line(source, _LONGEST_SOURCE) or "-"
    told = []
    for problem in problems[:MAX_PROBLEMS]:
        line, column = index.place(problem.at)
        what = problem.what
        if problem.see is not None:
            name = f"{problem.see_name} is" if problem.see_name else "the first is"
            what += " ({} at {}:{})".format(name, *index.place(problem.see))
        told.append(f"{shown}:{line}:{column}: {render_path(problem.path)}: {what}")
    if (more := len(problems) - MAX_PROBLEMS) > 0:
        line, column = index.place(problems[MAX_PROBLEMS].at)
        told.append(f"{shown}:{line}:{column}: (more): {more} more problems from here on")
    return told


def _of_fault(root: Node, fault: Fault) -> Problem:
    at, path = _place(root, fault.path, on_key=True)
    if fault.other is None:
        return Problem(at, path, fault.what)
    see, _ = _place(root, fault.other, on_key=True)
    return Problem(at, path, fault.what, see, render_path(fault.other))


def _field_problems(root: Node, model: type[Wire], *, quotes_help: bool) -> Iterator[Problem]:
    try:
        model.model_validate(root.value, context=FAULTS_ELSEWHERE)
    except ValidationError as refused:
        errors = refused.errors(include_url=False)
    else:
        return
    grouped: dict[tuple[str, tuple[KeyPath, ...]], ErrorDetails] = {}
    for error in errors:
        if _is_echo(error):
            continue
        what = explain(error, model, quotes_help=quotes_help)
        grouped.setdefault((what, model.places(_written(root, error["loc"], model))), error)
    for (what, places), error in grouped.items():
        yield _of_field(root, error, what, places)


def _is_echo(error: ErrorDetails) -> bool:
    """Say whether a list counts as too short only because its entries were refused."""
    given = error["input"]
    return (
        error["type"] == "too_short"
        and isinstance(given, list)
        and len(given) >= error["ctx"]["min_length"]
    )


def _of_field(root: Node, error: ErrorDetails, what: str, places: tuple[KeyPath, ...]) -> Problem:
    missing = error["type"] == "missing"
    there = [one for one in places if _is_there(root, one[:-1] if missing else one)]
    first, *others = there or places[:1]
    at, path = _place(root, first, on_key=is_unknown_key(error))
    if there and others:
        what += f" (the same in {', '.join(render_path(one) for one in others)})"
    return Problem(at, path, what)


def _written(root: Node, loc: tuple[int | str, ...], model: type[Wire]) -> KeyPath:
    """Turn pydantic's location into the keys as they stand in the file."""
    written: list[str | int] = []
    node: Node | None = root
    here: type[Wire] | None = model
    for key in loc:
        name = key
        if node is not None and here is not None and key not in node.fields:
            others = (other for other, ours in here.other_names.items() if ours == key)
            name = next((other for other in others if other in node.fields), key)
        written.append(name)
        node = node.child(name) if node is not None else None
        here = model_under(here, key)
    return tuple(written)


def _is_there(root: Node, path: KeyPath) -> bool:
    node: Node | None = root
    for key in path:
        node = node.child(key) if node is not None else None
    return node is not None


def _place(root: Node, path: KeyPath, *, on_key: bool) -> tuple[int, KeyPath]:
    """Return the offset of the value (or its key) at `path`, or of the nearest thing above."""
    node, at = root, root.at
    for key in path:
        child = node.child(key)
        if child is None:
            return node.at, path
        at = node.keys[key] if on_key and isinstance(key, str) else child.at
        node = child
    return at, path
