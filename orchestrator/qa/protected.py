"""Protected files: what decides about the work is not the work's to change.

The sets and the rule that unlocks them are in `policy`. Three decisions on top:

- a new test file under a broad pattern (`**`) is told and not refused: it cannot weaken an
  existing test, and honest workers add tests. Whatever configures the runner is not a test file.
- a file under a tests folder belongs to the tests, also `tests/conftest.py`: whoever may write the
  tests may write their fixtures.
- a file that a required command runs as the check (`./check.sh`, `sh ci/lint.sh`,
  `python tools/verify.py`) is protected; a script of another name that an interpreter runs is
  told only, because it is often the product itself. A Makefile, tox.ini or noxfile counts when a
  required command goes through that tool.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from orchestrator.protocol.changes import Change
from orchestrator.protocol.verdict import Finding, Severity
from orchestrator.qa.case import Case, ends
from orchestrator.qa.findings import finding
from orchestrator.qa.globs import globs, has_wildcard
from orchestrator.qa.names import plain, shown
from orchestrator.qa.policy import PathSet, unlocked

# tool in a command -> files that it takes its orders from
_DRIVERS: Final[dict[str, tuple[str, ...]]] = {
    "make": ("makefile", "gnumakefile"),
    "gmake": ("makefile", "gnumakefile"),
    "just": ("justfile", ".justfile"),
    "task": ("taskfile.yml", "taskfile.yaml"),
    "invoke": ("tasks.py",),
    "rake": ("rakefile",),
    "grunt": ("gruntfile.js",),
    "gulp": ("gulpfile.js",),
}
# added beside an old one, the tool reads it in place of that
_COMES_FIRST: Final = frozenset({"gnumakefile", ".justfile"})
_SHELLS: Final = frozenset({"sh", "bash", "dash", "zsh", "ksh"})
_INTERPRETERS: Final = frozenset(
    {"python", "python3", "node", "ruby", "perl", "php", "deno", "bun", "tsx", "ts-node", "Rscript"}
)
_CHECKING_NAME: Final = re.compile(
    r"(^|[^a-z])(checks?|tests?|verify|lint|gate|ci|validate)([^a-z]|$)"
)
_WORD: Final = re.compile(r"[^\s;|&()<>\"'`]+")


def review_protected(case: Case) -> Iterator[Finding]:
    """Give every finding about protected files, in the order of the changes."""
    scripts = check_scripts(case.pack.commands_to_run)
    more = globs(case.pack.protected_paths)
    for change in case.in_tree:
        for path in ends(change):
            if more.match(path):
                yield _finding(case, "protected.pack", change, path, "protected_paths")
            yield from _sets(case, change, path)
            yield from _script(case, change, path, scripts)
    for change in case.ignored:
        yield from _ignored(case, change)


def _sets(case: Case, change: Change, path: str) -> Iterator[Finding]:
    tests = case.policy.tests
    is_test = tests.holds(path)
    config = case.policy.test_config
    for group in case.policy.protected:
        if not group.holds(path) or _open(case, path, group):
            continue
        if is_test and group in {config, case.policy.git_config} and _open(case, path, tests):
            continue
        if group is tests and change.kind == "added" and not config.holds(path):
            yield finding("protected.tests_added", shown(path), "added")
            continue
        yield _finding(case, group.rule, change, path, group.title)


def _ignored(case: Case, change: Change) -> Iterator[Finding]:
    """Files that git ignores and that still decide something: secrets, agents, hooks, runners."""
    path = change.path
    if case.is_litter(change) or case.policy.environment.holds(path) or path.startswith(".git/"):
        return
    for group in case.policy.protected:
        if group is not case.policy.tests and group.holds(path) and not _open(case, path, group):
            yield _finding(case, group.rule, change, path, group.title)


def _open(case: Case, path: str, group: PathSet) -> bool:
    policy = case.pack.dependency_policy
    if group.rule == "protected.ci" and (
        policy.allow_ci_changes or policy.allow_ci_workflow_changes_in_scope
    ):
        return True
    return unlocked(path, group, case.pack.allowed_paths)


def _script(case: Case, change: Change, path: str, scripts: dict[str, bool]) -> Iterator[Finding]:
    surely = scripts.get(path)
    if surely is None:
        name = path.rpartition("/")[2].lower()
        surely = scripts.get(f"*/{name}")
    if surely is None:
        return
    if change.kind == "added" and path.rpartition("/")[2].lower() not in _COMES_FIRST:
        return
    if any(
        not has_wildcard(pattern) and pattern.strip().lstrip("/") == path
        for pattern in case.pack.allowed_paths
    ):
        return
    yield finding(
        "protected.check_script",
        shown(path),
        f"{change.kind}; a required command runs it",
        severity=Severity.REFUSAL if surely else Severity.WARNING,
    )


@lru_cache(maxsize=128)
def check_scripts(commands: tuple[str, ...]) -> dict[str, bool]:
    """Find the files that commands run as the check itself.

    Returns:
        path -> whether a change of it is refused (else told). `*/name` means that file name in
        any folder, in lower case.
    """
    found: dict[str, bool] = {}
    for command in commands:
        words = _WORD.findall(command)
        for place, word in enumerate(words):
            following = words[place + 1 :]
            if word in _SHELLS or word in _INTERPRETERS:
                script = _script_argument(following)
                if script:
                    surely = word in _SHELLS or bool(_CHECKING_NAME.search(script.lower()))
                    found[script] = surely or found.get(script, False)
            elif word in _DRIVERS:
                found.update({f"*/{name}": True for name in _DRIVERS[word]})
            elif place == 0 and "/" in word and not word.startswith("/"):
                found[plain(word)] = True
    return found


def _script_argument(words: list[str]) -> str | None:
    for word in words:
        if word in {"-c", "-m", "-e", "-p", "--eval", "-"} or word.startswith("--test"):
            return None
        if not word.startswith("-"):
            return plain(word) if not word.startswith("/") else None
    return None


def _finding(case: Case, rule: str, change: Change, path: str, title: str) -> Finding:
    gate = case.gate_of("qa_scope_guard_review")
    return finding(
        rule,
        shown(path),
        f"{change.kind}; it belongs to: {title}",
        gate_id=gate.gate_id if gate else None,
        criteria=case.criteria_of(gate),
    )
