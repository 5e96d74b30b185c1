"""The repository keeps its own rules, and each rule is seen to bite."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.guards.rules import documents, files, imports, source
from tests.guards.rules.tree import ROOT, Tree, plant

Rule = Callable[[Tree], list[str]]

RULES: tuple[Rule, ...] = (
    files.missing_files,
    files.secrets,
    files.machine_paths,
    files.too_large,
    files.wrong_modes,
    files.licence,
    files.changelog,
    source.unfinished,
    source.long_modules,
    source.sleeps_and_mocks,
    source.uncollected,
    source.undocumented_exit_codes,
    documents.broken_links,
    documents.missing_modules,
)

CODES = "| 0 | ok |\n"
# Each rule, a file that breaks it, and a part of the fault. Planted words are put together here,
# so that this file does not break the rules itself.
CANARIES: tuple[tuple[Rule, str, str, str], ...] = (
    (files.missing_files, "other.txt", "", "README.md: required"),
    (files.secrets, "a.txt", "id = AKIA" + "IOSFODNN7EXAMPLE", "a.txt:1: looks like an AWS"),
    (files.secrets, "a.txt", "\n\nghp" + "_" + "a1B2" * 9, "a.txt:3: looks like a GitHub token"),
    (files.secrets, "a.txt", "sk-" + "ant-" + "x" * 24, "a model provider's key"),
    (files.secrets, "a.pem", "", "a file of this name"),
    (
        files.secrets,
        "k",
        "-----BEGIN OPENSSH PRIVATE " + "KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA",
        "a private key",
    ),
    (
        files.secrets,
        "workflow/k",
        "PRIVATE" + "+KEY+workflow-ledger/p+0123abcd+" + "A" * 44,
        "a ledger's signing key",
    ),
    (files.secrets, "u", "https://me:" + "hunter22@example.org/x", "a password in an address"),
    (files.machine_paths, "docs/a.md", "see /home" + "/jsmith/x", "a path of one machine"),
    (files.machine_paths, "a.py", "P = '/root" + "/x'", "a path of one machine"),
    (files.machine_paths, "a.ini", "C:" + "\\Users\\jsmith", "a path of one machine"),
    (files.too_large, "big.bin", "x" * (files.MAX_BYTES + 1), "big.bin: 1048577 bytes"),
    (files.wrong_modes, "scripts/go", "echo", "scripts/go: a command, but not executable"),
    (files.wrong_modes, "go.sh", "#!/bin/sh\n", "go.sh: names an interpreter"),
    (files.licence, "LICENSE", "MIT", "LICENSE: lacks 'Apache License'"),
    (files.changelog, "CHANGELOG.md", "# Changelog\n## [1.0.0]\n", "no heading"),
    (source.unfinished, "orchestrator/a.py", "x = 1  # TO" + "DO later\n", "in a comment"),
    (source.unfinished, "orchestrator/a.py", "raise NotImplementedError\n", "raises Not"),
    (source.long_modules, "orchestrator/a.py", "x = 1\n" * 501, "501 lines, allowed 500"),
    (source.sleeps_and_mocks, "tests/test_a.py", "import time\ntime.sleep(1)\n", "py:2: sleeps"),
    (
        source.sleeps_and_mocks,
        "tests/test_a.py",
        "from time import sleep\nsleep(1)\n",
        "py:2: sleeps",
    ),
    (source.unfinished, "orchestrator/a.py", "raise NotImplementedError('x')\n", "raises Not"),
    (
        source.sleeps_and_mocks,
        "tests/test_a.py",
        "from unittest import mock\n",
        "imports unittest.mock",
    ),
    (source.sleeps_and_mocks, "tests/test_a.py", "def test_a(mocker): ...\n", "asks for mocker"),
    (source.uncollected, "tests/a.py", "def test_a(): ...\n", "is not called test_*.py"),
    (source.uncollected, "tests/test_a.py", "def check_a(): ...\n", "holds no test"),
    (source.uncollected, "orchestrator/test_a.py", "", "outside tests/"),
    (source.uncollected, "tests/conftest.py", "collect_ignore = ['x']\n", "out of collection"),
    (
        source.undocumented_exit_codes,
        "orchestrator/a.py",
        "class E(Exception):\n    exit_code = 99\n",
        "exit code 99",
    ),
    (
        source.undocumented_exit_codes,
        "orchestrator/a.py",
        "import sys\nsys.exit(42)\n",
        "exit code 42",
    ),
    (documents.broken_links, "docs/a.md", "[x](b.md)", "b.md leads nowhere"),
    (documents.broken_links, "docs/a.md", "[x](../../../etc/passwd)", "out of the repository"),
    (documents.broken_links, "docs/a.md", "# One\n[x](a.md#two)", "names no heading"),
    (documents.missing_modules, "docs/a.md", "`orchestrator/gone.py`", "which is not there"),
)

# What must not be called a fault: a guard that cries wolf is switched off.
HARMLESS: tuple[tuple[Rule, str, str], ...] = (
    (source.unfinished, "orchestrator/a.py", 'WORDS = ("TO' + 'DO", "FIX' + 'ME")\n'),
    (source.unfinished, "orchestrator/a.py", "try: f()\nexcept NotImplementedError: pass\n"),
    (source.sleeps_and_mocks, "tests/test_a.py", "CHILD = 'import time; time.sleep(60)'\n"),
    (source.undocumented_exit_codes, "orchestrator/a.py", "import sys\nsys.exit(0)\n"),
    (documents.broken_links, "docs/a.md", "```\n[x](gone.md)\n```\n[y](https://example.org)"),
    (documents.missing_modules, "docs/a.md", "`orchestrator/**/*.py` `scripts/<name>`"),
    (files.machine_paths, "docs/a.md", "a relative path/home/x/y and /home/user/x"),
    (files.secrets, "docs/a.md", "set the header to Bearer $TOKEN, or https://user:$PASS@host"),
    (files.wrong_modes, "scripts/lib.sh", "# sourced\n"),
)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_repository_keeps_the_rule(rule: Rule) -> None:
    faults = rule(Tree(ROOT))
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize(("rule", "path", "text", "fault"), CANARIES)
def test_a_planted_fault_is_found(
    rule: Rule, path: str, text: str, fault: str, tmp_path: Path
) -> None:
    base = {"docs/exit-codes.md": CODES, "pyproject.toml": "", path: text}
    found = rule(plant(tmp_path, base))
    assert any(fault in line for line in found), found


@pytest.mark.parametrize(("rule", "path", "text"), HARMLESS)
def test_what_only_looks_like_a_fault_is_let_through(
    rule: Rule, path: str, text: str, tmp_path: Path
) -> None:
    assert not rule(plant(tmp_path, {"docs/exit-codes.md": CODES, path: text}))


def test_every_rule_has_a_canary() -> None:
    assert {rule for rule, *_ in CANARIES} == set(RULES)


def test_an_executable_without_an_interpreter_is_found(tmp_path: Path) -> None:
    tree = plant(tmp_path, {"go": "echo\n"}, executable=("go",))
    assert files.wrong_modes(tree) == ["go: executable, but its first line names no interpreter"]


def test_the_path_of_the_checkout_itself_is_found(tmp_path: Path) -> None:
    tree = plant(tmp_path, {"a.txt": f"cd {tmp_path}/src"})
    assert files.machine_paths(tree) == [f"a.txt:1: a path of one machine: {tmp_path}"]


def test_ignored_files_are_not_looked_at_and_new_ones_are(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    tree = plant(tmp_path, {".gitignore": "/out/\n", "out/a": "", "new": ""})
    assert tree.paths == (".gitignore", "new")


def test_the_exit_codes_are_the_ones_promised() -> None:
    promised = {0, 1, 2, 3, 4, 5, 6, 7, 75, 124, 130, 143}
    assert source.documented_exit_codes(Tree(ROOT)) == promised


@pytest.mark.slow
def test_the_import_contracts_hold() -> None:
    done = imports.lint_imports(ROOT / "pyproject.toml")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_an_import_upward_breaks_a_contract(tmp_path: Path) -> None:
    contract = """
        [tool.importlinter]
        root_package = "planted"
        [[tool.importlinter.contracts]]
        name = "down"
        type = "layers"
        layers = ["planted.high", "planted.low"]
    """
    plant(
        tmp_path,
        {
            "pyproject.toml": contract,
            "planted/__init__.py": "",
            "planted/high.py": "",
            "planted/low.py": "import planted.high\n",
        },
    )
    done = imports.lint_imports(tmp_path / "pyproject.toml")
    assert done.returncode == 1
    assert "planted.low is not allowed to import planted.high" in done.stdout


@pytest.mark.slow
def test_every_test_file_is_collected() -> None:
    listed = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    collected = {line.split("::", 1)[0] for line in listed.splitlines() if "::" in line}
    there = {path for path in Tree(ROOT).under("tests", suffix=".py") if "/test_" in path}
    assert there <= collected, f"not collected: {sorted(there - collected)}\n{listed[-2000:]}"
