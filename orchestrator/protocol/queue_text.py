"""The queue file, one task at a time: a hundred thousand tasks cost little more than their text.

Two forms are read: the object `{"schema_version": 1, "kind": "task_queue", "tasks": [...]}`, and
a bare array of tasks. A `task_key` that is there twice is refused here, as is a task that depends
on itself; longer cycles are found by `triage`, which knows the whole graph.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import suppress
from typing import NoReturn

from pydantic import ValidationError

from orchestrator.errors import ContractError
from orchestrator.protocol import json_text
from orchestrator.protocol.faults import KeyPath
from orchestrator.protocol.limits import MAX_PROBLEMS, MAX_QUEUE_BYTES, Limits
from orchestrator.protocol.positions import LineIndex
from orchestrator.protocol.reading import kind_of, read_model, refusal
from orchestrator.protocol.report import Problem, problems_of
from orchestrator.protocol.task import Task, TaskQueue, twice
from orchestrator.protocol.utf8 import decode_utf8

_UNLIMITED = Limits(json_bytes=MAX_QUEUE_BYTES, nodes=2**31)  # read well before


def read_task_queue(data: bytes, source: str) -> TaskQueue:
    """Read a whole queue file, JSON (both forms) or YAML (the object form).

    Raises:
        ContractError: with every problem in `problems`.
    """
    if kind_of(source) == "yaml":
        return read_model(data, TaskQueue, source=source)
    reading = _Reading(data, source)
    tasks = tuple(reading.tasks())
    return reading.header.model_copy(update={"tasks": tasks})


def iter_tasks(data: bytes, source: str) -> Iterator[Task]:
    """Yield the tasks of a JSON queue file in their order.

    The error comes when the file is found wrong, after tasks may have been yielded: take them
    inside one transaction, so that a broken file changes nothing.

    Raises:
        ContractError: with every problem in `problems`.
    """
    return _Reading(data, source).tasks()


def place_of(data: bytes, path: KeyPath) -> tuple[int, int]:
    """Return line and column of a value, as far as the path goes; (1, 1) where nothing is read."""
    text, _ = decode_utf8(data, MAX_QUEUE_BYTES)
    node = json_text.scan(text, limits=_UNLIMITED).root
    if node is None:
        return (1, 1)
    if node.items and path[:1] == ("tasks",):
        path = path[1:]  # the bare array
    for key in path:
        child = node.child(key)
        if child is None:
            break
        node = child
    return LineIndex(text).place(node.at)


class _StopReadingError(Exception):
    """There is no use in reading on; why is noted already."""


class _Reading:
    """One pass over the text; `header` holds the rest of the file once `tasks` is exhausted."""

    def __init__(self, data: bytes, source: str) -> None:
        self._source = source
        self._text, marks = decode_utf8(data, MAX_QUEUE_BYTES)
        self._problems = [Problem(mark.at, mark.path, mark.what) for mark in marks]
        self._hopeless = any(mark.fatal for mark in marks)
        self._first: dict[str, int] = {}  # task_key -> offset of its task
        self.header = TaskQueue()

    def tasks(self) -> Iterator[Task]:
        if not self._hopeless:
            with suppress(_StopReadingError):
                yield from self._document()
        if self._problems:
            found = sorted(dict.fromkeys(self._problems), key=lambda one: one.at)
            name = TaskQueue.__name__
            raise refusal(found, self._text, source=self._source, name=name, error=ContractError)

    def _document(self) -> Iterator[Task]:
        start = json_text.skip_space(self._text, 0)
        if self._text[start : start + 1] == "[":
            end = yield from self._array(start, ())
            rest = json_text.skip_space(self._text, end)
            if rest < len(self._text):
                self._stop(rest, (), "the document ended before this; remove it")
            return
        begin = self._find_array(start)
        if begin is None:
            self._read_header(0, 0)
            return
        end = yield from self._array(begin, ("tasks",))
        self._read_header(begin + 1, end - 1)

    def _find_array(self, start: int) -> int | None:
        """Return the offset of the array under `tasks`; None where there is none to be found."""
        if self._text[start : start + 1] != "{":
            return None
        at = json_text.skip_space(self._text, start + 1)
        while self._text[at : at + 1] == '"':
            key, at = self._header_value(at)
            at = json_text.skip_space(self._text, at)
            if self._text[at : at + 1] != ":":
                return None
            at = json_text.skip_space(self._text, at + 1)
            if key == "tasks":
                return at if self._text[at : at + 1] == "[" else None
            _, at = self._header_value(at)
            at = json_text.skip_space(self._text, at)
            if self._text[at : at + 1] != ",":
                return None
            at = json_text.skip_space(self._text, at + 1)
        return None

    def _header_value(self, at: int) -> tuple[object, int]:
        try:
            return json_text.decode_fast_at(self._text, at)
        except json_text.LookCloser:
            tree = json_text.scan_at(self._text, at)
            if tree.root is None:  # unreadable from here on: the scan of the whole says why
                self._problems += problems_of(json_text.scan(self._text), TaskQueue)
                raise _StopReadingError from None
            return tree.root.value, tree.end

    def _read_header(self, cut: int, resume: int) -> None:
        """Read the document with the text between the two offsets left out."""
        before, after = self._text[:cut], self._text[resume:]
        try:
            self.header = TaskQueue.model_validate(json_text.decode_fast(before + after))
        except (json_text.LookCloser, ValidationError):
            blank = " " * (resume - cut)  # so that every offset stays what it is
            self._problems += problems_of(json_text.scan(before + blank + after), TaskQueue)

    def _array(self, start: int, path: KeyPath) -> Generator[Task, None, int]:
        """Yield the tasks of one array; return the offset of its end."""
        text, index = self._text, 0
        at = json_text.skip_space(text, start + 1)
        if text[at : at + 1] == "]":
            return at + 1
        while True:
            here: KeyPath = (*path, index)
            task, end = self._task(at, here)
            if task is not None and not self._problems:
                yield task
            at = json_text.skip_space(text, end)
            if text[at : at + 1] == "]":
                return at + 1
            if text[at : at + 1] != ",":
                ends = at >= len(text)
                what = "the file ends inside the tasks; is it cut off?"
                self._stop(at, here, what if ends else "expected ',' or ']' after this task")
            following = json_text.skip_space(text, at + 1)
            if text[following : following + 1] == "]":
                self._stop(at, here, "a comma with nothing after it; remove the comma")
            at, index = following, index + 1

    def _task(self, at: int, path: KeyPath) -> tuple[Task | None, int]:
        try:
            value, end = json_text.decode_fast_at(self._text, at)
            task = Task.model_validate(value)
        except (json_text.LookCloser, ValidationError):
            return self._look_closer(at, path)
        self._note_key(task.task_key, at, path)
        return task, end

    def _look_closer(self, at: int, path: KeyPath) -> tuple[Task | None, int]:
        tree = json_text.scan_at(self._text, at, path=path)
        found = problems_of(tree, Task, prefix=path)
        self._problems += found
        if tree.root is None or len(self._problems) > MAX_PROBLEMS:
            raise _StopReadingError
        value = tree.root.value
        if isinstance(value, dict):
            self._note_key(value.get("task_key", value.get("task_id")), at, path)
        return None if found else Task.model_validate(value), tree.end

    def _note_key(self, key: object, at: int, path: KeyPath) -> None:
        if not isinstance(key, str):
            return
        first = self._first.setdefault(key, at)
        if first != at:
            self._problems.append(Problem(at, path, twice(key), see=first))

    def _stop(self, at: int, path: KeyPath, what: str) -> NoReturn:
        self._problems.append(Problem(at, path, what))
        raise _StopReadingError
