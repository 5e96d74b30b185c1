"""Every lie that a worker of the demo tells, refused for its own reason."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from orchestrator.protocol.verdict import Colour, Verdict
from tests.unit.qa.attempts import (
    COMMAND,
    base_run,
    changed,
    claimed,
    facts,
    pack,
    ran,
    refusals,
    result,
    review,
    run,
    seed_facts,
    seed_pack,
    seed_result,
    unknowns,
    worker,
)

RED = run(exit_code=1, tests=ran(3, failed=1))


def pass_without_work() -> Verdict:
    return review(the_facts=facts(changes=[], tree="tree-0", commands=[
        run(tree="tree-0", exit_code=1, tests=ran(3, failed=1))]))  # fmt: skip


def outside_its_paths() -> Verdict:
    return review(the_facts=facts(changes=[changed(), changed("setup/install.sh")]))


def weakened_test() -> Verdict:
    return review(
        pack(allowed_paths=["**"]),
        result(files_changed=["tests/test_parser.py"]),
        facts(changes=[changed("tests/test_parser.py")]),
    )


def deleted_test() -> Verdict:
    return review(
        pack(allowed_paths=["**"]),
        result(files_changed=["src/test_parser.py"]),
        facts(changes=[changed("src/test_parser.py", "deleted")], commands=[run(tests=ran(2))]),
    )


def forged_exit_code() -> Verdict:
    return review(the_facts=facts(commands=[RED]))


def forged_evidence() -> Verdict:
    return review(
        seed_pack(), seed_result(), seed_facts(claimed_files=[claimed(produced_in_attempt=False)])
    )


def hangs() -> Verdict:
    return review(
        the_facts=facts(worker=worker(ending="runtime_exceeded", exit_code=None)), answered=False
    )


def silent() -> Verdict:
    return review(
        the_facts=facts(worker=worker(ending="silence_exceeded", exit_code=None)), answered=False
    )


def eats_memory() -> Verdict:
    return review(
        the_facts=facts(worker=worker(ending="memory_exceeded", exit_code=None)), answered=False
    )


def dies() -> Verdict:
    return review(
        the_facts=facts(worker=worker(ending="signalled", exit_code=None, signal=11)),
        answered=False,
    )


def garbage() -> Verdict:
    return review(the_facts=facts(worker=worker(parse_error="no JSON object")), answered=False)


def honest_failure() -> Verdict:
    claims = [{"command": COMMAND, "exit_code": 1}]
    return review(the_result=result(commands_executed=claims), the_facts=facts(commands=[RED]))


LIES = [
    (pass_without_work, "NO_CHANGE"),
    (outside_its_paths, "SCOPE_VIOLATION"),
    (weakened_test, "PROTECTED_FILE"),
    (deleted_test, "PROTECTED_FILE"),
    (forged_exit_code, "CLAIM_MISMATCH"),
    (forged_evidence, "EVIDENCE_INVALID"),
    (hangs, "WORKER_TIMEOUT"),
    (silent, "WORKER_SILENT"),
    (eats_memory, "WORKER_MEMORY"),
    (dies, "WORKER_DIED"),
    (garbage, "UNPARSEABLE_RESULT"),
    (honest_failure, "COMMAND_FAILED"),
]


@pytest.mark.parametrize(("lie", "reason"), LIES, ids=[lie.__name__ for lie, _ in LIES])
def test_each_lie_is_refused_for_its_own_reason(lie: Callable[[], Verdict], reason: str) -> None:
    verdict = lie()
    assert verdict.colour is Colour.REFUSED
    assert verdict.reason_code == reason


@pytest.mark.parametrize(
    "path",
    [
        "tests/test_a.py", "src/tests/helper.py", "pkg/a_test.go", "src/a.test.tsx", "spec/a_spec.rb",
        "src/test/java/AppTest.java", "conftest.py", "src/conftest.py", "pytest.ini", "tox.ini",
        "sitecustomize.py", "src/evil.pth", "pytest.py", "_pytest/x.py", "jest.config.js",
        ".coveragerc", "Tests/Test_A.py", ".github/workflows/ci.yml", ".gitlab-ci.yml",
        ".husky/pre-commit", ".githooks/x", ".pre-commit-config.yaml", "CLAUDE.md", "src/AGENTS.md",
        ".claude/settings.json", ".codex/config.toml", ".cursor/rules/a.mdc", ".gemini/x",
        "opencode.json", ".mcp.json", ".gitattributes", "sub/.gitmodules", "progress/state.db",
        "workflow/p/events.jsonl", ".orchestrator/config.yaml", "contracts/step_packs/S1.json",
        "orchestrator.yaml", "uv.lock", "package.json", "go.mod", "requirements-dev.txt", ".env",
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["modified", "deleted"])
def test_a_wide_pattern_never_unlocks_what_decides(path: str, kind: str) -> None:
    verdict = review(
        pack(allowed_paths=["**", "src/**", "*"]),
        result(files_changed=[path]),
        facts(changes=[changed(path, kind)]),
    )
    assert any(rule.startswith(("protected.", "dependency.")) for rule in refusals(verdict))


@pytest.mark.parametrize("path", ["progress/state.db", ".orchestrator/x", "orchestrator.yaml"])
def test_the_controllers_own_files_cannot_be_unlocked(path: str) -> None:
    verdict = review(
        pack(allowed_paths=[path, "**"]),
        result(files_changed=[path]),
        facts(changes=[changed(path)]),
    )
    assert "protected.controller" in refusals(verdict)


def test_a_folder_without_wildcard_does_not_unlock_the_tests_inside() -> None:
    verdict = review(
        pack(allowed_paths=["src"]),
        result(files_changed=["src/tests/test_a.py"]),
        facts(changes=[changed("src/tests/test_a.py")]),
    )
    assert refusals(verdict) == {"protected.tests"}


def test_naming_the_tests_does_not_unlock_the_runner_at_the_root() -> None:
    verdict = review(
        pack(allowed_paths=["tests/**", "**"]),
        result(files_changed=["conftest.py"]),
        facts(changes=[changed("conftest.py", "added")]),
    )
    assert refusals(verdict) == {"protected.test_config"}


def test_a_test_moved_out_of_the_tests_is_a_changed_test() -> None:
    verdict = review(
        pack(allowed_paths=["**"]),
        result(files_changed=["src/old.py", "tests/test_a.py"]),
        facts(changes=[changed("src/old.py", "renamed", old_path="tests/test_a.py")]),
    )
    assert "protected.tests" in refusals(verdict)


def test_forbidden_wins_over_allowed() -> None:
    verdict = review(
        pack(allowed_paths=["src/**", "src/parser.py"], forbidden_paths=["src/parser.py"])
    )
    assert refusals(verdict) == {"scope.forbidden"}


def test_a_forbidden_pattern_that_starts_with_a_hash_is_not_a_comment() -> None:
    verdict = review(
        pack(allowed_paths=["**"], forbidden_paths=["#secret"]),
        result(files_changed=["#secret"]),
        facts(changes=[changed("#secret")]),
    )
    assert refusals(verdict) == {"scope.forbidden"}


def test_both_ends_of_a_rename_are_in_scope() -> None:
    verdict = review(
        pack(),
        result(files_changed=["src/a.py", "docs/a.md"]),
        facts(changes=[changed("src/a.py", "renamed", old_path="docs/a.md")]),
    )
    assert refusals(verdict) == {"scope.outside_allowed"}
    assert [f.where for f in verdict.findings] == ["docs/a.md"]


def test_a_mode_change_outside_is_refused() -> None:
    verdict = review(
        pack(), result(files_changed=["run.sh"]), facts(changes=[changed("run.sh", "mode")])
    )
    assert refusals(verdict) == {"scope.outside_allowed"}


@pytest.mark.parametrize(
    "target",
    ["/etc/passwd", "../../x", "../.git/config", "../progress/state.db", "C:\\x", "\\\\h\\s"],
)
def test_a_link_that_leads_out_is_refused(target: str) -> None:
    change = changed("src/l", "added", new_mode="120000", link_target=target)
    verdict = review(pack(), result(files_changed=["src/l"]), facts(changes=[change]))
    assert refusals(verdict) == {"scope.symlink_escape"}


def test_fewer_tests_behind_a_runner_that_fell_silent_are_refused() -> None:
    verdict = review(the_facts=facts(commands=[run(tests=None)]))
    assert refusals(verdict) == {"check.fewer_tests"}


def test_a_check_killed_at_its_limit_that_ended_on_base_is_the_works_fault() -> None:
    slow = run(ending="runtime_exceeded", exit_code=None, wall_ms=9000)
    assert refusals(review(the_facts=facts(commands=[slow]))) == {"check.hangs"}
    as_slow = base_run(wall_ms=8000)
    verdict = review(the_facts=facts(commands=[slow], base_commands=[as_slow]))
    assert (refusals(verdict), unknowns(verdict)) == (set(), {"check.timed_out"})


def test_a_missing_program_is_the_works_fault_only_where_the_base_had_it() -> None:
    missing = run(exit_code=127, tests=None)
    claims = result(commands_executed=[])
    lost = review(the_result=claims, the_facts=facts(commands=[missing]))
    assert refusals(lost) == {"check.failed"}
    never = review(
        the_result=claims,
        the_facts=facts(commands=[missing], base_commands=[base_run(exit_code=127)]),
    )
    assert (refusals(never), unknowns(never)) == (set(), {"check.could_not_run"})
    assert never.reason_code == "CHECK_COULD_NOT_RUN"


def test_a_run_of_another_command_or_on_another_tree_is_no_run() -> None:
    for stray in (run(command="true"), run(tree="tree-7"), run(index=4)):
        verdict = review(the_facts=facts(commands=[stray]))
        assert unknowns(verdict) == {"check.not_run"}


def test_a_listed_command_without_a_gate_has_to_pass() -> None:
    verdict = review(
        pack(gates=[]), result(commands_executed=[]), facts(commands=[run(exit_code=1)])
    )
    assert refusals(verdict) == {"check.failed"}


def test_a_worker_that_says_fail_is_not_also_charged_with_what_it_left_out() -> None:
    verdict = review(
        the_result=result(result="FAIL", verification_results=[], commands_executed=[])
    )
    assert refusals(verdict) == {"worker.says_fail"}
    assert verdict.reason_code == "WORKER_REPORTED_FAIL"


def test_a_wide_pattern_does_not_open_the_environment_of_the_checks() -> None:
    path = ".venv/lib/python3.11/site-packages/pytest/__init__.py"
    for allowed, expected in (
        (["**"], {"scope.environment_changed"}),
        (["src/**", ".venv/**"], set()),
    ):
        verdict = review(
            pack(allowed_paths=allowed),
            the_facts=facts(changes=[changed(), changed(path, ignored=True)]),
        )
        assert refusals(verdict) == expected


@pytest.mark.parametrize("name", ["sitecustomize.py", "usercustomize.py", "evil.pth"])
def test_a_new_file_that_python_runs_by_itself_is_refused(name: str) -> None:
    path = f".venv/lib/python3.11/site-packages/{name}"
    verdict = review(the_facts=facts(changes=[changed(), changed(path, "added", ignored=True)]))
    assert refusals(verdict) == {"scope.environment_changed"}


def test_a_new_repository_outside_the_trees_is_refused_also_under_allowed_paths() -> None:
    hidden = changed("src/inner/", "added", ignored=True, nested_repo=True)
    assert refusals(review(the_facts=facts(changes=[changed(), hidden]))) == {"scope.nested_repo"}


@pytest.mark.parametrize(
    ("path", "refused"),
    [(".git/hooks/pre-commit", True), (".git/config", True), (".git/info/attributes", True),
     ("sub/.git/config", True), (".git/index", False), (".git/HEAD", False), (".git/logs/HEAD", False)],
)  # fmt: skip
def test_gits_settings_are_refused_and_its_bookkeeping_is_not(path: str, refused: bool) -> None:
    verdict = review(the_facts=facts(changes=[changed(), changed(path, ignored=True)]))
    assert refusals(verdict) == ({"scope.git_internals"} if refused else set())


def test_one_more_test_does_not_make_a_green_base_red() -> None:
    more = [run(tests=ran(4))]
    base = [base_run(exit_code=0, tests=ran(3))]
    strict = review(pack(red_first=True), None, facts(commands=more, base_commands=base))
    assert refusals(strict) == {"check.passes_on_base"}
    assert review(the_facts=facts(commands=more, base_commands=base)).findings == ()
