"""A command string as argv: run without a shell where a shell would do nothing.

A shell is used only for what needs one (pipes, lists, redirection, expansion, builtins), and is
recorded. `/bin/sh`, or `bash` where the command uses what only bash knows. A trailing `# comment`
is not part of the command. A placeholder (`<run_id>`) means that the pack was never filled in:
there is nothing to run, which is a fault of the pack and not of the work.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from orchestrator.qa.shell import Token, UnreadableCommandError, tokens, without_comment

SHELL: Final = "/bin/sh"

# words that only a shell can run, or that a program of that name does otherwise
_BUILTINS: Final = frozenset(
    {
        ":", ".", "alias", "bg", "break", "cd", "command", "continue", "declare", "eval", "exec",
        "exit", "export", "fg", "getopts", "hash", "local", "popd", "pushd", "read", "readonly",
        "return", "set", "shift", "shopt", "source", "times", "trap", "type", "typeset", "ulimit",
        "umask", "unalias", "unset", "wait",
        "if", "for", "while", "until", "case", "{", "!", "[[", "function", "select",
    }
)  # fmt: skip
_ASSIGNMENT: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\+?=")
_PLACEHOLDER: Final = re.compile(r"<[A-Za-z][A-Za-z0-9_. /-]*>")
_ONLY_BASH: Final = re.compile(
    r"\bpipefail\b|(^|[\s;|&(])(\[\[|source|shopt|declare)\s|[<>]\(|\$'|\|&|&>|<<<"
)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A command, ready to be started; `fault` says why it must not be."""

    command: str  # as the pack has it
    argv: tuple[str, ...]
    used_shell: bool = False
    fault: str | None = None


@lru_cache(maxsize=512)
def prepare(command: str) -> Prepared:
    """Turn a command of a StepPack into argv."""
    text = without_comment(command)
    if not text:
        return Prepared(command, (), fault="the command is empty")
    if (placeholder := find_placeholder(text)) is not None:
        return Prepared(command, (), fault=f"the placeholder {placeholder} was never filled in")
    try:
        found = tokens(text)
    except UnreadableCommandError as error:
        return Prepared(command, (), fault=f"the command cannot be read: {error}")
    if needs_shell(found):
        shell = "bash" if _ONLY_BASH.search(text) else SHELL
        return Prepared(command, (shell, "-c", text), used_shell=True)
    return Prepared(command, tuple(token.text for token in found))


def needs_shell(found: tuple[Token, ...]) -> bool:
    """Say whether a shell would do more with these tokens than start the program."""
    if not found or any(token.operator or token.live for token in found):
        return True
    first = found[0]
    return not first.quoted and (
        first.text in _BUILTINS or _ASSIGNMENT.match(first.text) is not None
    )


def find_placeholder(command: str) -> str | None:
    """Find `<name>` outside quotes, as packs write what should have been filled in."""
    if "<" not in command:
        return None
    for match in _PLACEHOLDER.finditer(command):
        before = command[: match.start()]
        if before.count("'") % 2 == 0 and before.count('"') % 2 == 0 and not before.endswith("<"):
            return match.group()
    return None
