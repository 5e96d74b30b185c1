"""A command string cut into words and operators, as a POSIX shell reads it.

Only as much of the grammar as reading needs: quotes, escapes, comments, operators. Nothing is
expanded and nothing is run.
"""

from __future__ import annotations

import itertools
import string
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

_OPERATORS: Final = (
    "&&", "||", ";;", "|&", "&>>", "&>", "<<<", "<<-", "<<", ">>", ">&", "<&", ">|", "<>",
    "<(", ">(", ";", "&", "|", "(", ")", "<", ">", "\n",
)  # fmt: skip
_STARTS: Final = frozenset(operator[0] for operator in _OPERATORS)
_AFTER_DOLLAR: Final = frozenset(string.ascii_letters + string.digits + "_@*#?$!-")
_LIVE: Final = frozenset("*?[~")  # expanded when a word holds them bare


@dataclass(frozen=True, slots=True)
class Token:
    """A word or an operator.

    `text` is a word without its quotes, or the operator. `live` says that a shell would expand
    the word: `$`, a backtick, a bare `*`, `?`, `[` or a leading `~`. `start` and `end` are places
    in the command.
    """

    text: str
    operator: bool
    start: int
    end: int
    live: bool = False
    quoted: bool = False


class UnreadableCommandError(ValueError):
    """A quote or an escape is not closed."""


@lru_cache(maxsize=512)
def tokens(command: str) -> tuple[Token, ...]:
    """Cut a command into tokens; comments are left out.

    Raises:
        UnreadableCommandError: a quote is not closed.
    """
    return tuple(_scan(command))


def without_comment(command: str) -> str:
    """Give a command without its trailing `# comment`; a `#` in quotes or in a word stays."""
    if "#" not in command:
        return command.strip()
    try:
        found = tokens(command)
    except UnreadableCommandError:
        return command.strip()
    last = next((token for token in reversed(found) if token.text != "\n"), None)
    if last is None:
        return ""
    end = last.end
    between = any(
        "#" in command[left.end : right.start] for left, right in itertools.pairwise(found)
    )
    return command.strip() if between else command[:end].strip()


def _scan(command: str) -> Iterator[Token]:
    place, size = 0, len(command)
    while place < size:
        char = command[place]
        if char in " \t\r":
            place += 1
        elif command.startswith("\\\n", place):
            place += 2
        elif char == "#":
            while place < size and command[place] != "\n":
                place += 1
        elif char in _STARTS:
            text = next(op for op in _OPERATORS if command.startswith(op, place))
            yield Token(text, operator=True, start=place, end=place + len(text))
            place += len(text)
        else:
            token = _word(command, place)
            yield token
            place = token.end


def _word(command: str, start: int) -> Token:
    place, size = start, len(command)
    text: list[str] = []
    live = quoted = False
    while place < size:
        char = command[place]
        if char == "\\":
            text.append(command[place + 1 : place + 2].replace("\n", ""))
            place, quoted = place + 2, True
        elif char == "'":
            end = command.find("'", place + 1)
            if end < 0:
                raise UnreadableCommandError("a single quote is not closed")
            text.append(command[place + 1 : end])
            place, quoted = end + 1, True
        elif char == '"':
            inside, place, expands = _double_quoted(command, place)
            text.append(inside)
            live, quoted = live or expands, True
        elif char in "$`":
            end = _expansion(command, place)
            text.append(command[place:end])
            place, live = end, True
        elif char in " \t\r" or char in _STARTS:
            break
        else:
            live = live or (char in _LIVE and (char != "~" or place == start))
            text.append(char)
            place += 1
    return Token("".join(text), operator=False, start=start, end=place, live=live, quoted=quoted)


def _double_quoted(command: str, start: int) -> tuple[str, int, bool]:
    text: list[str] = []
    place, live = start + 1, False
    while place < len(command):
        char = command[place]
        if char == '"':
            return "".join(text), place + 1, live
        if char == "\\":
            following = command[place + 1 : place + 2]
            text.append(following if following in '$`"\\' else "\\" + following)
            place += 2
        elif char in "$`":
            end = _expansion(command, place)
            live = live or end > place + 1 or command[end : end + 1] in _AFTER_DOLLAR
            text.append(command[place:end])
            place = end
        else:
            text.append(char)
            place += 1
    raise UnreadableCommandError("a double quote is not closed")


def _expansion(command: str, start: int) -> int:
    """Give the place after `$name`, `${...}`, `$(...)` or a backtick pair."""
    if command[start] == "`":
        return _after(command, "`", start + 1)
    opening = command[start + 1 : start + 2]
    if opening not in {"(", "{"}:
        return start + 1
    closing, depth, place = ")" if opening == "(" else "}", 0, start + 1
    while place < len(command):
        char = command[place]
        if char == "\\":
            place += 1
        elif char == "'" and opening == "(":
            place = _after(command, "'", place + 1) - 1
        elif char in {opening, closing}:
            depth += 1 if char == opening else -1
            if depth == 0:
                return place + 1
        place += 1
    raise UnreadableCommandError(f"{command[start : start + 2]} is not closed")


def _after(command: str, mark: str, start: int) -> int:
    end = command.find(mark, start)
    if end < 0:
        raise UnreadableCommandError(f"{mark} is not closed")
    return end + 1
