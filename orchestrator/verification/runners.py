"""How many tests ran, read from the end of a test runner's output.

A count is used against the work only (no test ran, fewer than before, failures behind exit code
0), never as proof that it is right: a test can print anything. Where a runner ends with one
summary the last match counts, because it comes after all that tests print; where every binary or
package has its own, they are added up. None where the output names no number.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from orchestrator.protocol.evidence import TestCount

TAIL_BYTES: Final = 65536  # how much of the end of an output is worth reading

_ANSI: Final = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")


@dataclass(frozen=True, slots=True)
class _Counts:
    executed: int
    passed: int | None = None
    failed: int | None = None
    skipped: int | None = None


@dataclass(frozen=True, slots=True)
class Runner:
    """One row: who it is, the command that shows it, what its output has, how to read it."""

    name: str
    command: str  # regular expression, searched in the command
    needle: str  # plain text without which the output is not worth a look
    read: Callable[[str], _Counts | None]


def count_tests(output: str, command: str = "") -> TestCount | None:
    """Read the count of tests.

    Args:
        output: the end of what the command printed, stdout and stderr joined.
        command: the command; its own runner is asked first.
    """
    text = (
        _ANSI.sub("", output.replace("\r\n", "\n"))
        if "\x1b" in output or "\r" in output
        else output
    )
    for runner in _in_order(command):
        if runner.needle in text and (counts := runner.read(text)) is not None:
            return TestCount(
                runner=runner.name,
                executed=counts.executed,
                passed=counts.passed,
                failed=counts.failed,
                skipped=counts.skipped,
            )
    return None


@lru_cache(maxsize=256)
def _in_order(command: str) -> tuple[Runner, ...]:
    named = tuple(runner for runner in RUNNERS if re.search(runner.command, command))
    return named + tuple(runner for runner in RUNNERS if runner not in named)


def _last(pattern: str, text: str) -> re.Match[str] | None:
    found = None
    for found in re.finditer(pattern, text, re.MULTILINE):  # noqa: B007  the last one is wanted
        pass
    return found


def _words(summary: str) -> dict[str, int]:
    """Read `3 passed, 1 failed` as numbers by word."""
    return {word.lower(): int(number) for number, word in re.findall(r"(\d+) ([A-Za-z]+)", summary)}


_PYTEST: Final = (
    r"^=* ?((?:\d+ (?:passed|failed|skipped|errors?|xfailed|xpassed|deselected|warnings?|rerun|"
    r"subtests passed)(?:, )?)+|no tests ran)(?: in [\d.:]+.*)?=*$"
)


def _pytest(text: str) -> _Counts | None:
    found = _last(_PYTEST, text)
    if found is None:
        return None
    if found.group(1) == "no tests ran":
        return _Counts(0, 0, 0, 0)
    n = _words(found.group(1))
    if not n.keys() & {
        "passed",
        "failed",
        "skipped",
        "error",
        "errors",
        "xfailed",
        "xpassed",
        "deselected",
    }:
        return None
    failed = n.get("failed", 0) + n.get("error", 0) + n.get("errors", 0)
    ran = n.get("passed", 0) + n.get("failed", 0) + n.get("xfailed", 0) + n.get("xpassed", 0)
    return _Counts(ran, n.get("passed", 0), failed, n.get("skipped", 0))


def _unittest(text: str) -> _Counts | None:
    found = _last(r"^Ran (\d+) tests? in [\d.]+s$", text)
    if found is None:
        return None
    total = int(found.group(1))
    result = re.search(
        r"^(?:OK|FAILED|NO TESTS RAN)(?: \((.*)\))?$", text[found.end() :], re.MULTILINE
    )
    parts = dict(re.findall(r"(\w+)=(\d+)", (result.group(1) or "") if result else ""))
    failed = int(parts.get("failures", 0)) + int(parts.get("errors", 0))
    skipped = int(parts.get("skipped", 0))
    ran = max(total - skipped, 0)
    return _Counts(ran, max(ran - failed, 0), failed, skipped)


def _go(text: str) -> _Counts | None:
    ends = re.findall(r"^\s*--- (PASS|FAIL|SKIP): ", text, re.MULTILINE)
    if ends:
        passed, failed, skipped = (ends.count(word) for word in ("PASS", "FAIL", "SKIP"))
        return _Counts(passed + failed, passed, failed, skipped)
    packages = re.findall(r"^(?:ok|\?|FAIL)\s+\S+.*$", text, re.MULTILINE)
    empty = [line for line in packages if line.endswith(("[no test files]", "[no tests to run]"))]
    return _Counts(0, 0, 0, 0) if packages and len(packages) == len(empty) else None


def _cargo(text: str) -> _Counts | None:
    rows = re.findall(
        r"^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored;", text, re.MULTILINE
    )
    return _summed([(int(p), int(f), int(i)) for p, f, i in rows])


def _nextest(text: str) -> _Counts | None:
    found = _last(r"^\s*Summary .*?(\d+) tests? run: (.*)$", text)
    if found is None:
        return None
    n = _words(found.group(2))
    return _Counts(int(found.group(1)), n.get("passed", 0), n.get("failed", 0), n.get("skipped", 0))


def _jest(text: str) -> _Counts | None:
    found = _last(r"^\s*Tests:\s+((?:\d+ \w+,? ?)*)$", text)
    if found is not None:
        n = _words(found.group(1))
        passed, failed = n.get("passed", 0), n.get("failed", 0)
        return _Counts(passed + failed, passed, failed, n.get("skipped", 0) + n.get("todo", 0))
    if re.search(r"^No tests found", text, re.MULTILINE):
        return _Counts(0, 0, 0, 0)
    return None


def _vitest(text: str) -> _Counts | None:
    found = _last(r"^\s*Tests\s+((?:\d+ [a-z ]+(?: \| )?)+)\(\d+\)\s*$", text)
    if found is not None:
        n = _words(found.group(1))
        passed, failed = n.get("passed", 0), n.get("failed", 0)
        return _Counts(passed + failed, passed, failed, n.get("skipped", 0) + n.get("todo", 0))
    return _Counts(0, 0, 0, 0) if "No test files found" in text else None


def _mocha(text: str) -> _Counts | None:
    found = _last(r"^\s*(\d+) passing(?: \(.*\))?$", text)
    if found is None:
        return None
    rest = text[found.end() :]
    failing = re.search(r"^\s*(\d+) failing$", rest, re.MULTILINE)
    pending = re.search(r"^\s*(\d+) pending$", rest, re.MULTILINE)
    passed, failed = int(found.group(1)), int(failing.group(1)) if failing else 0
    return _Counts(passed + failed, passed, failed, int(pending.group(1)) if pending else 0)


_NODE: Final = "^[#\u2139] (tests|pass|fail|skipped|todo) (\\d+)$"  # TAP, and the spec reporter


def _node(text: str) -> _Counts | None:
    rows = re.findall(_NODE, text, re.MULTILINE)
    n = {word: int(number) for word, number in rows}
    if "tests" not in n:
        return None
    skipped = n.get("skipped", 0) + n.get("todo", 0)
    return _Counts(max(n["tests"] - skipped, 0), n.get("pass"), n.get("fail"), skipped)


def _phpunit(text: str) -> _Counts | None:
    fine = _last(r"^OK \((\d+) tests?, \d+ assertions?\)$", text)
    if fine is not None:
        return _Counts(int(fine.group(1)), int(fine.group(1)), 0, 0)
    found = _last(r"^Tests: (\d+), Assertions: .*$", text)
    if found is None:
        return _Counts(0, 0, 0, 0) if "No tests executed!" in text else None
    n = {word.lower(): int(number) for word, number in re.findall(r"(\w+): (\d+)", found.group())}
    skipped = n.get("skipped", 0) + n.get("incomplete", 0)
    failed = n.get("failures", 0) + n.get("errors", 0)
    ran = max(n["tests"] - skipped, 0)
    return _Counts(ran, max(ran - failed, 0), failed, skipped)


def _rspec(text: str) -> _Counts | None:
    found = _last(r"^(\d+) examples?, (\d+) failures?(?:, (\d+) pending)?", text)
    return None if found is None else _with_total(found)


def _exunit(text: str) -> _Counts | None:
    found = _last(r"^(?:\d+ doctests?, )?(\d+) tests?, (\d+) failures?(?:, (\d+) skipped)?", text)
    return None if found is None else _with_total(found)


def _with_total(found: re.Match[str]) -> _Counts:
    total, failed, skipped = (int(group or 0) for group in found.groups())
    ran = max(total - skipped, 0)
    return _Counts(ran, max(ran - failed, 0), failed, skipped)


def _minitest(text: str) -> _Counts | None:
    found = _last(r"^(\d+) runs, \d+ assertions, (\d+) failures, (\d+) errors, (\d+) skips", text)
    if found is None:
        return None
    total, failures, errors, skipped = (int(group) for group in found.groups())
    ran = max(total - skipped, 0)
    return _Counts(ran, max(ran - failures - errors, 0), failures + errors, skipped)


def _maven(text: str) -> _Counts | None:
    rows = re.findall(
        r"Tests run: (\d+), Failures: (\d+), Errors: (\d+), Skipped: (\d+)\s*$", text, re.MULTILINE
    )  # a line of one class goes on with "Time elapsed"; the sum of a module ends here
    numbers = [tuple(int(group) for group in row) for row in rows]
    return _summed([(t - f - e - s, f + e, s) for t, f, e, s in numbers])


def _gradle(text: str) -> _Counts | None:
    rows = re.findall(
        r"^(\d+) tests completed(?:, (\d+) failed)?(?:, (\d+) skipped)?", text, re.MULTILINE
    )
    numbers = [tuple(int(group or 0) for group in row) for row in rows]
    return _summed([(t - f - s, f, s) for t, f, s in numbers])


def _dotnet(text: str) -> _Counts | None:
    rows = re.findall(r"Failed:\s+(\d+), Passed:\s+(\d+), Skipped:\s+(\d+), Total:\s+\d+", text)
    return _summed([(int(p), int(f), int(s)) for f, p, s in rows])


def _ctest(text: str) -> _Counts | None:
    found = _last(r"^\d+% tests passed, (\d+) tests failed out of (\d+)", text)
    if found is None:
        return _Counts(0, 0, 0, 0) if "No tests were found!!!" in text else None
    failed, total = int(found.group(1)), int(found.group(2))
    return _Counts(total, total - failed, failed)


def _deno(text: str) -> _Counts | None:
    found = _last(
        r"^(?:ok|FAILED) \| (\d+) passed(?: \(.*?\))? \| (\d+) failed(?: \| (\d+) ignored)?", text
    )
    if found is None:
        return None
    passed, failed, ignored = (int(group or 0) for group in found.groups())
    return _Counts(passed + failed, passed, failed, ignored)


def _bun(text: str) -> _Counts | None:
    if re.search(r"^Ran \d+ tests? across", text, re.MULTILINE) is None:
        return None
    n = {
        word: int(number)
        for number, word in re.findall(r"^\s*(\d+) (pass|fail|skip|todo)$", text, re.MULTILINE)
    }
    passed, failed = n.get("pass", 0), n.get("fail", 0)
    return _Counts(passed + failed, passed, failed, n.get("skip", 0) + n.get("todo", 0))


def _swift(text: str) -> _Counts | None:
    found = _last(
        r"Executed (\d+) tests?, with (?:(\d+) tests? skipped and )?(\d+) failures?", text
    )
    if found is None:
        return None
    total, skipped, failed = (int(group or 0) for group in found.groups())
    ran = max(total - skipped, 0)
    return _Counts(ran, max(ran - failed, 0), failed, skipped)


def _prove(text: str) -> _Counts | None:
    found = _last(r"^Files=\d+, Tests=(\d+),", text)
    return None if found is None else _Counts(int(found.group(1)))


def _summed(rows: list[tuple[int, int, int]]) -> _Counts | None:
    """Add up (passed, failed, skipped) of several summaries; None where there is none."""
    if not rows:
        return None
    passed, failed, skipped = (sum(column) for column in zip(*rows, strict=True))
    return _Counts(max(passed, 0) + failed, max(passed, 0), failed, skipped)


RUNNERS: Final[tuple[Runner, ...]] = (
    Runner("pytest", r"\bpy\.?test\b", " in ", _pytest),
    Runner("unittest", r"\bunittest\b|manage\.py test|\bnose2?\b|\btrial\b", "Ran ", _unittest),
    Runner("cargo", r"\bcargo\b", "test result: ", _cargo),
    Runner("nextest", r"\bnextest\b", "Summary", _nextest),
    Runner("go", r"\bgo test\b", "", _go),
    Runner("vitest", r"\bvitest\b", "est", _vitest),
    Runner("jest", r"\bjest\b", "ests", _jest),
    Runner("mocha", r"\bmocha\b", " passing", _mocha),
    Runner("node", r"\bnode\b.*--test", " tests ", _node),
    Runner("phpunit", r"\bphpunit\b|\bpest\b", "ests", _phpunit),
    Runner("rspec", r"\brspec\b", "example", _rspec),
    Runner("minitest", r"\brake\b|\bminitest\b|\brails test\b", " assertions, ", _minitest),
    Runner("maven", r"\bmvnw?\b", "Tests run: ", _maven),
    Runner("gradle", r"\bgradlew?\b", "tests completed", _gradle),
    Runner("dotnet", r"\bdotnet test\b", "Passed:", _dotnet),
    Runner("ctest", r"\bctest\b", "ests", _ctest),
    Runner("deno", r"\bdeno\b", " passed", _deno),
    Runner("bun", r"\bbun\b", "Ran ", _bun),
    Runner("swift", r"\bswift test\b|\bxcodebuild\b", "Executed ", _swift),
    Runner("exunit", r"\bmix test\b", "failure", _exunit),
    Runner("prove", r"\bprove\b", "Files=", _prove),
)
