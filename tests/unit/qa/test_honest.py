"""Honest attempts of many kinds: none of them may be refused."""

from __future__ import annotations

import unicodedata
from typing import Any

import pytest
from _pytest.mark import ParameterSet

from orchestrator.protocol.changes import Change
from orchestrator.protocol.verdict import Colour
from tests.unit.qa.attempts import (
    AC1,
    AC2,
    COMMAND,
    base_run,
    changed,
    evidence,
    facts,
    gate,
    link,
    pack,
    ran,
    refusals,
    result,
    review,
    run,
    unknowns,
)

NFD = unicodedata.normalize("NFD", "src/é.py")
NFC = unicodedata.normalize("NFC", "src/é.py")


def case(
    name: str,
    *changes: Change,
    listed: list[str] | None = None,
    asks: dict[str, Any] | None = None,
    saw: dict[str, Any] | None = None,
    says: dict[str, Any] | None = None,
) -> ParameterSet:
    files = [c.path for c in changes if not c.ignored] if listed is None else listed
    return pytest.param(changes, files, asks or {}, saw or {}, says or {}, id=name)


HONEST = [
    case("edit", changed("src/a.py")),
    case("new file", changed("src/b.py", "added")),
    case("new file in a new folder", changed("src/new/deep/b.py", "added")),
    case("deleted file", changed("src/a.py", "deleted")),
    case("renamed, both ends listed", changed("src/b.py", "renamed", old_path="src/a.py"),
         listed=["src/a.py", "src/b.py"]),
    case("renamed, new end listed", changed("src/b.py", "renamed", old_path="src/a.py")),
    case("renamed, as git writes it", changed("src/b.py", "renamed", old_path="src/a.py"),
         listed=["R  src/a.py -> src/b.py"]),
    case("binary", changed("src/logo.png", lines_added=None)),
    case("executable bit", changed("src/run", "mode")),
    case("file becomes a link", changed("src/l", "type", new_mode="120000", link_target="a.py")),
    case("link inside the tree", link("src/l", "../src/a.py")),
    case("link to a folder of the tree", link("src/l", "../data/raw")),
    case("Unicode name", changed("src/größe_數.py", "added")),
    case("NFD name, listed as NFC", changed(NFD, "added"), listed=[NFC]),
    case("NFC name, listed as NFD", changed(NFC, "added"), listed=[NFD]),
    case("space in name", changed("src/a b.py", "added")),
    case("space in name, quoted", changed("src/a b.py", "added"), listed=['"src/a b.py"']),
    case("octal name from git", changed("src/é.py", "added"), listed=['?? "src/\\303\\251.py"']),
    case("emoji sequence in name", changed("src/\U0001f469\u200d\U0001f4bb.md", "added")),
    case("dot slash", changed("src/a.py"), listed=["./src/a.py"]),
    case("backslashes", changed("src/a.py"), listed=["src\\a.py"]),
    case("absolute path", changed("src/a.py"), listed=["/srv/tree/src/a.py"]),
    case("backticks", changed("src/a.py"), listed=["`src/a.py`"]),
    case("git status line", changed("src/a.py"), listed=[" M src/a.py"]),
    case("git diff --name-status line", changed("src/a.py"), listed=["M\tsrc/a.py"]),
    case("new folder named once", changed("src/n/a.py", "added"), changed("src/n/b.py", "added"),
         listed=["src/n/"]),
    case("own evidence listed", changed("src/a.py"),
         listed=["src/a.py", ".artifacts/agent_runs/R/x.txt"]),
    case("ignored file listed", changed("src/a.py"), changed("build/o", "added", ignored=True),
         listed=["src/a.py", "build/o"]),
    case("other order", changed("src/a.py"), changed("src/b.py"), listed=["src/b.py", "src/a.py"]),
    case("listed twice", changed("src/a.py"), listed=["src/a.py", "./src/a.py"]),
    case("caches of the tools", changed("src/a.py"),
         changed("src/__pycache__/a.cpython-311.pyc", "added", ignored=True),
         changed(".pytest_cache/v/x", "added", ignored=True),
         changed(".mypy_cache/x", "added", ignored=True),
         changed("node_modules/.cache/babel/x", "added", ignored=True)),
    case("evidence in the tree", changed("src/a.py"),
         changed(".artifacts/agent_runs/R/o.txt", "added"), listed=["src/a.py"]),
    case("build folder that git ignores", changed("src/a.py"),
         changed("dist/a.whl", "added", ignored=True)),
    case("installed packages", changed("src/a.py"),
         changed(".venv/lib/python3.11/site-packages/a/b.py", "added", ignored=True)),
    case("tests, named by the pack", changed("tests/test_a.py"), changed("tests/conftest.py"),
         asks={"allowed_paths": ["src/**", "tests/**"]}),
    case("tests beside the source, named", changed("src/pkg/test_a.py"),
         asks={"allowed_paths": ["src/**/test_*.py"]}),
    case("one test, named", changed("tests/test_a.py"),
         asks={"allowed_paths": ["src/**", "tests/test_a.py"]}),
    case("new test under a wide pattern", changed("src/a.py"), changed("tests/test_b.py", "added"),
         asks={"allowed_paths": ["**"]}),
    case("product that looks like a test's name", changed("src/latest.py"),
         changed("src/contest.py"), changed("src/attestation.py"), changed("src/testing/api.py"),
         asks={"allowed_paths": ["src/**"]}),
    case("documents under a wide pattern", changed("README.md"), changed("docs/progress.md"),
         changed("src/workflow/engine.py"), asks={"allowed_paths": ["**"]}),
    case("CI, with the flag", changed(".github/workflows/ci.yml"),
         asks={"allowed_paths": ["**"], "dependency_policy": {"allow_ci_changes": True}}),
    case("CI, named", changed(".github/workflows/ci.yml"),
         asks={"allowed_paths": [".github/workflows/**"]}),
    case("manifest, with the flag", changed("pyproject.toml"),
         asks={"allowed_paths": ["**"],
               "dependency_policy": {"allow_dependency_manifest_changes": True}}),
    case("manifest, named, nothing added", changed("pyproject.toml"),
         asks={"allowed_paths": ["pyproject.toml"]}, saw={"dependencies_added": []}),
    case("new dependency, with the flag", changed("package.json"), changed("package-lock.json"),
         asks={"allowed_paths": ["**"], "dependency_policy": {"allow_new_dependencies": True}},
         saw={"dependencies_added": ["left-pad"]}),
    case("submodule, named", changed("vendor/lib", old_mode="160000", new_mode="160000"),
         asks={"allowed_paths": ["vendor/lib"]}),
    case("git attributes, named", changed(".gitattributes"),
         asks={"allowed_paths": [".gitattributes"]}),
    case("agent instructions, named", changed("AGENTS.md"), asks={"allowed_paths": ["AGENTS.md"]}),
    case("example of an environment file", changed(".env.example"),
         asks={"allowed_paths": ["**"]}),
    case("nothing to do, and allowed", asks={"allow_no_change": True}, saw={"tree": "tree-0",
         "commands": [run(tree="tree-0")]}),
    case("refactoring: passes before and after", changed("src/a.py"),
         saw={"base_commands": [base_run(exit_code=0, tests=ran(3))]}),
    case("more tests than before", changed("src/a.py"), saw={"commands": [run(tests=ran(9))]}),
    case("fewer tests, and allowed", changed("src/a.py"), asks={"allow_fewer_tests": True},
         saw={"commands": [run(tests=ran(1))]}),
    case("runner that names no count", changed("src/a.py"), saw={"commands": [run(tests=None)],
         "base_commands": [base_run(tests=None)]}),
    case("slow check", changed("src/a.py"), saw={"commands": [run(wall_ms=600_000)]}),
    case("no base run", changed("src/a.py"), saw={"base_commands": []}),
    case("base could not run", changed("src/a.py"),
         saw={"base_commands": [base_run(harness_fault="no pytest")]}),
    case("red first, and red", changed("src/a.py"), asks={"red_first": True}),
    case("check leaves coverage data", changed("src/a.py"),
         saw={"commands": [run(changed_paths=[".coverage", "src/__pycache__/a.pyc"],
                               tree_after="tree-9")]}),
    case("command ran three times, green at last", changed("src/a.py"),
         says={"commands_executed": [{"command": COMMAND, "exit_code": code} for code in (1, 2, 0)]}),
    case("further commands of its own", changed("src/a.py"),
         says={"commands_executed": [{"command": "git diff", "exit_code": 0},
                                     {"command": COMMAND, "exit_code": 0},
                                     {"command": "grep -q x y", "exit_code": 1}]}),
    case("command with other blanks and a comment", changed("src/a.py"),
         says={"commands_executed": [{"command": "python  -m pytest -q  # fast", "exit_code": 0}]}),
    case("criteria with other blanks", changed("src/a.py"),
         says={"verification_results": [{"criteria": f" {AC1}\n", "met": True},
                                        {"criteria": AC2.replace(" ", "  "), "met": True}]}),
    case("evidence-only command that fails and speaks", changed("src/a.py"),
         asks={"gates": [gate("G1", "required_command_evidence_only", ["AC1"], command_index=0)]},
         saw={"commands": [run(exit_code=1, stderr=evidence("e", 9))]},
         says={"commands_executed": [{"command": COMMAND, "exit_code": 1}]}),
    case("plain command backend that says little", changed("src/a.py"),
         asks={"gates": [gate("G1", "required_command_exit_0", ["AC1"], command_index=0)]},
         listed=[], says={"commands_executed": [], "verification_results": []}),
    case("bytecode cache under allowed paths, not ignored", changed("src/a.py"),
         changed("src/__pycache__/a.cpython-311.pyc", "added"), listed=["src/a.py"]),
    case("folded ignored folders", changed("src/a.py"),
         changed("node_modules/", ignored=True), changed("src/__pycache__/", ignored=True)),
    case("large change", *[changed(f"src/f{n}.py") for n in range(500)]),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "listed", "asks", "saw", "says"), HONEST)
def test_an_honest_attempt_is_accepted(
    changes: tuple[Change, ...],
    listed: list[str],
    asks: dict[str, Any],
    saw: dict[str, Any],
    says: dict[str, Any],
) -> None:
    verdict = review(
        pack(**asks), result(files_changed=listed, **says), facts(changes=list(changes), **saw)
    )
    assert (refusals(verdict), unknowns(verdict)) == (set(), set())
    assert verdict.colour is Colour.ACCEPTED
    assert verdict.reason_code == "PASS_ALL_CRITERIA"
    assert {answer.colour for answer in verdict.gates} == {Colour.ACCEPTED}


def test_there_are_at_least_forty_honest_attempts() -> None:
    assert len(HONEST) >= 40
