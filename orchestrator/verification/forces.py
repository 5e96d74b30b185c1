"""Can a command fail at all? A check that cannot shows nothing.

`always_succeeds` reads a command the way a shell would and asks which exit codes its parts can
have. Only what is certain is said: an unknown program, a `test -f x`, a `python -c 'import pkg'`
can fail, and so has force. `failure_masked` names the weaker case, where the exit code comes from
another program than the one that checks (a pipe without pipefail).

What cannot be seen here (a runner that selects no test) is found in the output of the run.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from orchestrator.qa.shell import Token, UnreadableCommandError, tokens, without_comment

_NEVER_FAIL: Final = frozenset({"true", ":", "echo", "printf", "pwd", "date", "whoami", "hostname",
                                "sleep", "env", "printenv", "clear", "uname", "id"})  # fmt: skip
_COPIERS: Final = frozenset({"cat", "tee", "head", "tail", "sort", "wc", "sed", "awk", "uniq", "tr",
                             "cut", "column", "less", "more", "nl", "ts", "true", ":"})  # fmt: skip
# wrapper -> options of its own that take a value
_WRAPPERS: Final[dict[str, frozenset[str]]] = {
    "command": frozenset(),
    "exec": frozenset(),
    "time": frozenset({"-f", "-o"}),
    "nice": frozenset({"-n"}),
    "nohup": frozenset(),
    "sudo": frozenset({"-u", "-g"}),
    "stdbuf": frozenset({"-i", "-o", "-e"}),
    "setsid": frozenset(),
    "xvfb-run": frozenset(),
    "env": frozenset({"-u", "-C"}),
    "timeout": frozenset({"-s", "-k", "--signal", "--kill-after"}),
}
_RUN_WRAPPERS: Final = frozenset({"uv", "poetry", "pipenv", "pdm", "hatch", "rye", "pixi", "conda"})
_SHELLS: Final = frozenset({"sh", "bash", "dash", "zsh", "ksh"})
_VERSION_ONLY: Final = frozenset(
    {
        "python", "python3", "pytest", "py.test", "node", "npm", "npx", "yarn", "pnpm", "git", "go",
        "cargo", "rustc", "ruff", "mypy", "tox", "nox", "jest", "vitest", "make", "gcc", "clang",
        "java", "mvn", "gradle", "dotnet", "ruby", "php", "bash", "uv", "pip", "black", "flake8",
        "eslint", "tsc", "cmake", "docker", "deno", "bun", "pylint", "coverage",
    }
)  # fmt: skip
_ASSIGNMENT: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
_KEYWORDS: Final = frozenset({"if", "for", "while", "until", "case", "select", "function", "[["})

# runner -> arguments with which it runs no test
_NO_TESTS: Final[dict[str, frozenset[str]]] = {
    "pytest": frozenset({"--collect-only", "--co", "--fixtures", "--fixtures-per-test",
                         "--markers", "--setup-plan", "--setup-only", "--version", "--help"}),
    "jest": frozenset({"--listTests", "--showConfig"}),
    "vitest": frozenset({"list"}),
    "mocha": frozenset({"--dry-run", "--list-files"}),
    "rspec": frozenset({"--dry-run"}),
    "tox": frozenset({"-l", "--listenvs", "-a", "--notest"}),
    "nox": frozenset({"-l", "--list"}),
    "ctest": frozenset({"-N", "--show-only"}),
    "make": frozenset({"-n", "--dry-run", "--just-print"}),
    "phpunit": frozenset({"--list-tests", "--list-suites"}),
    "dotnet": frozenset({"--list-tests"}),
}  # fmt: skip
_ZERO_OPTIONS: Final[dict[str, frozenset[str]]] = {
    "ruff": frozenset({"--exit-zero", "-e"}),
    "flake8": frozenset({"--exit-zero"}),
    "pylint": frozenset({"--exit-zero"}),
    "bandit": frozenset({"--exit-zero"}),
    "black": frozenset({"--version"}),
}


@dataclass(frozen=True, slots=True)
class _Codes:
    """Which exit codes are possible, why zero is certain, and whether the shell ends here."""

    zero: bool = True
    other: bool = True
    why: str = ""
    ends: bool = False


_ANY: Final = _Codes()
_FAILS: Final = _Codes(zero=False)


def _sure(why: str, *, ends: bool = False) -> _Codes:
    return _Codes(zero=True, other=False, why=why, ends=ends)


@lru_cache(maxsize=512)
def always_succeeds(command: str) -> str | None:
    """Say why a command cannot fail when the work is wrong; None where it can, or may."""
    found = _read(command)
    if not found:
        return None
    codes = _Reader(found).sequence()
    return codes.why if codes.zero and not codes.other else None


@lru_cache(maxsize=512)
def failure_masked(command: str) -> str | None:
    """Say how a command can hide a failure although it can fail itself; None where it does not."""
    found = _read(command)
    if not found or "pipefail" in command:
        return None
    for place, token in enumerate(found):
        if not (token.operator and token.text in {"|", "|&"}) or place + 1 >= len(found):
            continue
        following = found[place + 1]
        if not following.operator and _base(following.text) in _COPIERS:
            return f"the exit code is that of {following.text}, not of what it reads from"
    return None


def _read(command: str) -> tuple[Token, ...]:
    try:
        return tokens(without_comment(command))
    except UnreadableCommandError:
        return ()


class _Reader:
    """Reads and-or lists and pipelines, and folds their possible exit codes."""

    def __init__(self, found: Sequence[Token]) -> None:
        self._tokens = found
        self._place = 0
        self._errexit = False

    def sequence(self, closing: str | None = None) -> _Codes:
        """Fold a list of commands: the last one gives the exit code, unless `exit` comes first."""
        last, failed = _sure("there is no command in it"), False
        while (token := self._now()) is not None:
            if closing is not None and token.text == closing and not token.quoted:
                self._place += 1
                break
            if token.operator and token.text in {";", "\n", "&", ")", ";;"}:
                self._place += 1
                if token.text == "&":
                    last = _sure("it runs in the background, and nothing waits for it")
                continue
            last = self._and_or()
            if last.ends:
                break
            failed = failed or (self._errexit and last.other)
        if failed and not last.other:
            return _ANY
        return last

    def _and_or(self) -> _Codes:
        codes = self._pipeline()
        while (token := self._now()) is not None and token.operator and token.text in {"&&", "||"}:
            self._place += 1
            codes = _joined(codes, token.text, self._pipeline())
        return codes

    def _pipeline(self) -> _Codes:
        negated = False
        while (token := self._now()) is not None and token.text == "!" and not token.quoted:
            self._place += 1
            negated = not negated
        codes = self._command()
        while (token := self._now()) is not None and token.operator and token.text in {"|", "|&"}:
            self._place += 1
            codes = self._stage(codes)
        if negated:
            return _Codes(zero=codes.other, other=codes.zero, why="it is negated")
        return codes

    def _stage(self, before: _Codes) -> _Codes:
        token = self._now()
        name = _base(token.text) if token is not None and not token.operator else ""
        after = self._command()
        # a copier at the end is told as masking, not as certain success
        return _ANY if name in _COPIERS and before.other else after

    def _command(self) -> _Codes:
        token = self._now()
        if token is not None and token.text == "(" and token.operator:
            self._place += 1
            inner = self.sequence(")")
            self._skip_redirections()
            return _Codes(inner.zero, inner.other, inner.why)
        if token is not None and token.text == "{" and not token.quoted:
            self._place += 1
            inner = self.sequence("}")
            self._skip_redirections()
            return inner
        words = self._words()
        if words and words[0].text in _KEYWORDS and not words[0].quoted:
            self._place = len(self._tokens)  # a compound command: nothing certain is said
            return _ANY
        return self._simple(words)

    def _words(self) -> list[Token]:
        words: list[Token] = []
        while (token := self._now()) is not None:
            if token.operator:
                if not _redirects(token.text):
                    break
                self._skip_redirection(words, token)
                continue
            words.append(token)
            self._place += 1
        return words

    def _skip_redirection(self, words: list[Token], token: Token) -> None:
        if words and words[-1].text.isdigit() and words[-1].end == token.start:
            words.pop()  # the 2 of 2>&1
        self._place += 2

    def _skip_redirections(self) -> None:
        while (token := self._now()) is not None and token.operator and _redirects(token.text):
            self._place += 2

    def _simple(self, words: list[Token]) -> _Codes:
        texts = [word.text for word in words]
        if texts[:1] == ["set"]:
            self._set(texts[1:])
            return _sure("it only sets options of the shell")
        if texts[:1] == ["trap"] and "EXIT" in texts[2:] and re.search(r"\bexit 0\b", texts[1]):
            self._place = len(self._tokens)
            return _sure("a trap turns every ending into exit 0")
        return _simple_codes(texts)

    def _set(self, options: list[str]) -> None:
        for option in options:
            if re.fullmatch(r"[-+][a-z]*e[a-z]*", option):
                self._errexit = option.startswith("-")
        if "errexit" in options:
            self._errexit = options[max(options.index("errexit") - 1, 0)] == "-o"

    def _now(self) -> Token | None:
        return self._tokens[self._place] if self._place < len(self._tokens) else None


def _redirects(operator: str) -> bool:
    return operator not in {"&&", "||", ";", ";;", "&", "|", "|&", "(", ")", "\n"}


def _joined(left: _Codes, operator: str, right: _Codes) -> _Codes:
    if operator == "&&":
        if not left.zero:
            return left
        why = f"{left.why}, and {right.why}" if left.why and right.why else right.why
        return _Codes(right.zero, left.other or right.other, why, right.ends and not left.other)
    if not left.other:
        return left
    why = f"a failure is caught: {right.why}" if right.why else ""
    return _Codes(left.zero or right.zero, right.other, why, right.ends and not left.zero)


def _simple_codes(texts: list[str]) -> _Codes:
    while texts and _ASSIGNMENT.match(texts[0]):
        texts = texts[1:]
    texts = _unwrapped(texts)
    if not texts:
        return _sure("it only sets variables")
    name, rest = _base(texts[0]), texts[1:]
    special = _SPECIAL.get(name)
    if special is not None:
        return special(rest)
    if name in _NEVER_FAIL:
        return _sure(f"{name} always exits with 0")
    if name == "false":
        return _FAILS
    if name.startswith("python"):
        return _python(rest)
    return _known_tool(name, rest)


def _known_tool(name: str, rest: list[str]) -> _Codes:
    name = "pytest" if name == "py.test" else name
    if rest and name in _VERSION_ONLY and rest[0] in {"--version", "-V", "--help", "version"}:
        return _sure(f"{name} {rest[0]} only prints")
    for option in rest:
        if option in _NO_TESTS.get(name, ()):
            return _sure(f"{name} {option} runs no test")
        if option in _ZERO_OPTIONS.get(name, ()):
            return _sure(f"{name} {option} exits with 0 whatever it finds")
    if name == "go" and rest[:1] == ["test"]:
        return _go_test(rest)
    return _ANY


def _go_test(rest: list[str]) -> _Codes:
    joined = " ".join(rest)
    if re.search(r"(^| )--?list[ =]", joined):
        return _sure("go test -list runs no test")
    if re.search(r"(^| )--?run[ =]\^\$( |$)", joined):
        return _sure("go test -run '^$' runs no test")
    return _ANY


def _exit(rest: list[str]) -> _Codes:
    if not rest or rest[0] == "0":
        return _sure("it ends with exit 0", ends=True)
    return _Codes(zero=not rest[0].isdigit(), other=True, ends=True)


def _ls(rest: list[str]) -> _Codes:
    named = [word for word in rest if not word.startswith("-") and word not in {".", "./", "/"}]
    return _ANY if named else _sure("ls of the current folder always succeeds")


def _cat(rest: list[str]) -> _Codes:
    named = [word for word in rest if not word.startswith("-") and word != "/dev/null"]
    return _ANY if named else _sure("cat of nothing always succeeds")


def _test(rest: list[str]) -> _Codes:
    words = [word for word in rest if word != "]"]
    if any("$" in word or "`" in word for word in words):
        return _ANY
    why = "it compares constants"
    if len(words) == 1 or (len(words) == 2 and words[0] == "-n"):  # noqa: PLR2004
        return _sure(why) if words[-1] else _FAILS
    if len(words) == 3:  # noqa: PLR2004  left, operator, right
        left, operator, right = words
        equal = {"=": left == right, "==": left == right, "!=": left != right}.get(operator)
        if equal is None and left.isdigit() and right.isdigit():
            a, b = int(left), int(right)
            equal = {"-eq": a == b, "-ne": a != b, "-lt": a < b, "-le": a <= b, "-gt": a > b,
                     "-ge": a >= b}.get(operator)  # fmt: skip
        if equal is not None:
            return _sure(why) if equal else _FAILS
    return _ANY


def _shell(rest: list[str]) -> _Codes:
    if len(rest) > 1 and re.fullmatch(r"-[a-z]*c", rest[0]):
        found = _read(rest[1])
        return _Reader(found).sequence() if found else _ANY
    return _known_tool("bash", rest)


def _eval(rest: list[str]) -> _Codes:
    found = _read(" ".join(rest))
    return _Reader(found).sequence() if found else _ANY


def _python(rest: list[str]) -> _Codes:
    for place, word in enumerate(rest):
        if word == "-c":
            return _python_code(rest[place + 1] if place + 1 < len(rest) else "")
        if word == "-m":
            return _known_tool(rest[place + 1], rest[place + 2 :]) if rest[place + 1 :] else _ANY
        if word in {"-V", "--version", "--help", "-h"} and place == 0:
            return _sure(f"python {word} only prints")
        if not word.startswith("-"):
            return _ANY
    return _ANY


def _python_code(code: str) -> _Codes:
    try:
        body = ast.parse(code).body
    except (SyntaxError, ValueError):
        return _ANY
    if all(_harmless(statement) for statement in body):
        return _sure("the Python code cannot fail")
    return _ANY


def _harmless(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Pass):
        return True
    if isinstance(statement, ast.Import):
        return all(alias.name in {"sys", "os"} for alias in statement.names)
    if isinstance(statement, ast.Assert):
        return isinstance(statement.test, ast.Constant) and bool(statement.test.value)
    if isinstance(statement, ast.Expr):
        return _harmless_value(statement.value)
    return False


def _harmless_value(value: ast.expr) -> bool:
    if isinstance(value, ast.Constant):
        return True
    if not isinstance(value, ast.Call) or value.keywords:
        return False
    name = ast.unparse(value.func)
    constants = [arg.value for arg in value.args if isinstance(arg, ast.Constant)]
    if len(constants) != len(value.args):
        return False
    return name == "print" or (
        name in {"sys.exit", "exit", "quit", "os._exit", "SystemExit"}
        and all(constant in {0, None} for constant in constants)
    )


def _unwrapped(texts: list[str]) -> list[str]:
    """Take `timeout 5`, `env A=1`, `uv run` and their kind away."""
    while texts:
        name = _base(texts[0])
        if name in _RUN_WRAPPERS and texts[1:2] == ["run"]:
            texts = _without_options(texts[2:], frozenset({"--with", "-p", "--python", "-e", "-n"}))
        elif name in _WRAPPERS and len(texts) > 1:
            inner = _without_options(texts[1:], _WRAPPERS[name])
            if name == "timeout":
                inner = inner[1:]
            while inner and _ASSIGNMENT.match(inner[0]):
                inner = inner[1:]
            if not inner:
                return texts
            texts = inner
        else:
            return texts
    return texts


def _without_options(texts: list[str], with_value: frozenset[str]) -> list[str]:
    while texts and texts[0].startswith("-"):
        texts = texts[2:] if texts[0] in with_value else texts[1:]
    return texts


def _base(name: str) -> str:
    return name.rpartition("/")[2]


_SPECIAL: Final[dict[str, Callable[[list[str]], _Codes]]] = {
    "exit": _exit,
    "ls": _ls,
    "cat": _cat,
    "test": _test,
    "[": _test,
    "eval": _eval,
    **dict.fromkeys(_SHELLS, _shell),
}
