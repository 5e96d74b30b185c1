"""For each rule, an attempt that breaks it and the severity it must have there."""

from __future__ import annotations

from collections.abc import Callable

from orchestrator.protocol.changes import Change
from orchestrator.protocol.evidence import PatternCount
from orchestrator.protocol.verdict import Severity, Verdict
from tests.unit.qa.attempts import (
    AC1,
    AC2,
    COMMAND,
    PREFIX,
    base_run,
    changed,
    claimed,
    evidence,
    facts,
    gate,
    link,
    pack,
    ran,
    result,
    review,
    run,
    seed_facts,
    seed_pack,
    seed_result,
    worker,
)

OWN = f"{PREFIX}/outputs/own.txt"
R, U, W = Severity.REFUSAL, Severity.UNKNOWN, Severity.WARNING

EVIDENCE_ONLY = [gate("G1", "required_command_evidence_only", ["AC1"], command_index=0)]
PLAIN_GATES = [gate("G1", "required_command_exit_0", ["AC1"], command_index=0)]


def ended(ending: str, **more: object) -> Verdict:
    return review(
        the_facts=facts(worker=worker(ending=ending, exit_code=None, **more)), answered=False
    )


def touching(*changes: Change, allowed: tuple[str, ...] = ("**",), **more: object) -> Verdict:
    every = [changed(), *changes]
    return review(
        pack(allowed_paths=list(allowed)),
        result(files_changed=[change.path for change in every if not change.ignored]),
        facts(changes=every, **more),
    )


def checked(the_pack: object = None, base: object = None, **more: object) -> Verdict:
    return review(
        the_pack,
        None,
        facts(commands=[run(**more)], base_commands=[base_run() if base is None else base]),
    )


CASES: list[tuple[str, Severity, Callable[[], Verdict]]] = [
    ("worker.timeout", R, lambda: ended("runtime_exceeded")),
    ("worker.silent", R, lambda: ended("silence_exceeded")),
    ("worker.memory", R, lambda: ended("memory_exceeded")),
    ("worker.flooded", R, lambda: ended("output_exceeded")),
    ("worker.died", R, lambda: ended("signalled", signal=11)),
    ("worker.cancelled", U, lambda: ended("cancelled")),
    ("worker.not_started", U, lambda: ended("not_started")),
    ("worker.exit_code", R, lambda: review(the_facts=facts(worker=worker(exit_code=3)))),
    (
        "worker.unparseable",
        R,
        lambda: review(the_facts=facts(worker=worker(parse_error="not JSON")), answered=False),
    ),
    ("worker.no_answer", R, lambda: review(answered=False)),
    (
        "worker.left_processes",
        W,
        lambda: review(the_facts=facts(worker=worker(stragglers_killed=2))),
    ),
    (
        "worker.says_blocked",
        R,
        lambda: review(the_result=result(result="BLOCKED", reason_detail="which API?")),
    ),
    ("worker.says_fail", R, lambda: review(the_result=result(result="FAIL"))),
    (
        "work.control_files",
        R,
        lambda: review(the_facts=facts(control_files_touched=["progress/task_queue.json"])),
    ),
    ("work.nothing_changed", R, lambda: review(the_facts=facts(changes=[], tree="tree-0"))),
    # scope
    ("scope.path_trick", R, lambda: touching(changed("src/../x.py", "added"))),
    ("scope.git_internals", R, lambda: touching(changed(".git/hooks/pre-commit", ignored=True))),
    ("scope.hidden_characters", R, lambda: touching(changed("src/a\u202ecod.py", "added"))),
    (
        "scope.name_collision",
        R,
        lambda: touching(changed("src/A.py", "added"), changed("src/a.py", "added")),
    ),
    ("scope.symlink_escape", R, lambda: touching(link("src/l", "../../etc/passwd"))),
    ("scope.symlink_unread", U, lambda: touching(link("src/l", None))),
    ("scope.nested_repo", R, lambda: touching(changed("src/in/x", "added", nested_repo=True))),
    ("scope.gitlink", R, lambda: touching(changed("vendor/lib", "added", new_mode="160000"))),
    (
        "scope.forbidden",
        R,
        lambda: review(
            pack(forbidden_paths=["src/frozen/**"]),
            result(files_changed=["src/frozen/a.py"]),
            facts(changes=[changed("src/frozen/a.py")]),
        ),
    ),
    ("scope.nothing_allowed", R, lambda: review(pack(allowed_paths=[]))),
    ("scope.outside_allowed", R, lambda: touching(changed("docs/a.md"), allowed=("src/**",))),
    (
        "scope.litter",
        W,
        lambda: touching(changed(".coverage", "added"), allowed=("src/**",)),
    ),
    (
        "scope.litter",
        R,
        lambda: touching(
            changed("lib/__pycache__/a.cpython-311.pyc", "added"), allowed=("src/**",)
        ),
    ),
    (
        "scope.ignored_changed",
        W,
        lambda: touching(changed("build/out.js", "added", ignored=True), allowed=("src/**",)),
    ),
    (
        "scope.environment_changed",
        R,
        lambda: touching(
            changed(".venv/lib/python3/site-packages/pytest/__init__.py", ignored=True),
            allowed=("src/**",),
        ),
    ),
    (
        "scope.environment_changed",
        W,
        lambda: touching(
            changed("node_modules/a/index.js", "added", ignored=True), allowed=("src/**",)
        ),
    ),
    # protected
    (
        "protected.pack",
        R,
        lambda: review(pack(protected_paths=["src/parser.py"])),
    ),
    ("protected.controller", R, lambda: touching(changed("orchestrator.yaml"))),
    ("protected.secrets", R, lambda: touching(changed(".env", ignored=True), allowed=("src/**",))),
    ("protected.hooks", R, lambda: touching(changed(".pre-commit-config.yaml"))),
    ("protected.git_config", R, lambda: touching(changed(".gitattributes", "added"))),
    ("protected.agent_config", R, lambda: touching(changed("CLAUDE.md"))),
    ("protected.ci", R, lambda: touching(changed(".github/workflows/ci.yml"))),
    ("protected.test_config", R, lambda: touching(changed("conftest.py", "added"))),
    (
        "protected.check_script",
        R,
        lambda: review(
            pack(allowed_paths=["**"], commands_to_run=[COMMAND, "./check.sh"]),
            None,
            facts(changes=[changed(), changed("check.sh")]),
        ),
    ),
    (
        "protected.check_script",
        W,
        lambda: review(
            pack(allowed_paths=["**"], commands_to_run=["python src/main.py"]),
            result(files_changed=["src/main.py"], commands_executed=[]),
            facts(
                changes=[changed("src/main.py")],
                commands=[run(command="python src/main.py")],
            ),
        ),
    ),
    ("protected.tests", R, lambda: touching(changed("tests/test_a.py"))),
    ("protected.tests_added", W, lambda: touching(changed("tests/test_new.py", "added"))),
    # dependencies
    ("dependency.lockfile", R, lambda: touching(changed("uv.lock"))),
    ("dependency.manifest", R, lambda: touching(changed("pyproject.toml"))),
    ("dependency.added", R, lambda: touching(dependencies_added=["leftpad"])),
    # checks
    ("check.no_force", R, lambda: checked(always_succeeds="echo always exits with 0")),
    ("check.ran_no_test", R, lambda: checked(tests=ran(0))),
    ("check.failed", R, lambda: checked(exit_code=1)),
    ("check.failed_inside", R, lambda: checked(tests=ran(3, failed=1))),
    ("check.hangs", R, lambda: checked(ending="runtime_exceeded", exit_code=None, wall_ms=9000)),
    ("check.fewer_tests", R, lambda: checked(tests=ran(2))),
    ("check.more_skipped", W, lambda: checked(tests=ran(3, skipped=1))),
    (
        "check.more_skipped",
        R,
        lambda: review(
            pack(allowed_paths=["src/**", "tests/**"]),
            result(files_changed=["tests/test_a.py"]),
            facts(changes=[changed("tests/test_a.py")], commands=[run(tests=ran(3, skipped=1))]),
        ),
    ),
    ("check.passes_on_base", W, lambda: checked(base=base_run(exit_code=0))),
    (
        "check.passes_on_base",
        R,
        lambda: checked(pack(red_first=True), base=base_run(exit_code=0)),
    ),
    (
        "check.base_not_run",
        U,
        lambda: review(pack(red_first=True), None, facts(base_commands=[])),
    ),
    ("check.changed_tree", R, lambda: checked(changed_paths=["src/parser.py"])),
    (
        "check.changed_tree",
        W,
        lambda: checked(changed_paths=["out.txt"], base=base_run(changed_paths=["out.txt"])),
    ),
    (
        "check.no_output",
        R,
        lambda: checked(
            pack(gates=EVIDENCE_ONLY), exit_code=1, stdout=evidence("a", 0), stderr=None
        ),
    ),
    (
        "check.no_output",
        W,
        lambda: checked(pack(gates=EVIDENCE_ONLY), stdout=evidence("a", 0), stderr=None),
    ),
    ("check.masked", W, lambda: checked(failure_masked="the exit code is that of tee")),
    ("check.not_run", U, lambda: review(the_facts=facts(commands=[]))),
    (
        "check.could_not_run",
        U,
        lambda: review(the_facts=facts(commands=[run(exit_code=127)], base_commands=[])),
    ),
    (
        "check.timed_out",
        U,
        lambda: review(
            the_facts=facts(
                commands=[run(ending="runtime_exceeded", exit_code=None)], base_commands=[]
            )
        ),
    ),
    # claims
    ("claims.exit_code_differs", R, lambda: checked(exit_code=1)),
    (
        "claims.exit_code_differs",
        W,
        lambda: review(the_result=result(commands_executed=[{"command": COMMAND, "exit_code": 2}])),
    ),
    (
        "claims.criterion_unmet",
        R,
        lambda: review(
            the_result=result(
                verification_results=[
                    {"criteria": AC1, "met": False},
                    {"criteria": AC2, "met": True},
                ]
            )
        ),
    ),
    (
        "claims.criterion_missing",
        R,
        lambda: review(the_result=result(verification_results=[{"criteria": AC1, "met": True}])),
    ),
    ("claims.criterion_missing", W, lambda: review(the_result=result(verification_results=[]))),
    (
        "claims.criterion_unexpected",
        R,
        lambda: review(
            the_result=result(
                verification_results=[
                    {"criteria": text, "met": True} for text in (AC1, AC2, "AC9: more")
                ]
            )
        ),
    ),
    (
        "claims.criterion_twice",
        R,
        lambda: review(
            the_result=result(
                verification_results=[
                    {"criteria": AC1, "met": True},
                    {"criteria": AC1, "met": False},
                    {"criteria": AC2, "met": True},
                ]
            )
        ),
    ),
    (
        "claims.criterion_reworded",
        W,
        lambda: review(
            the_result=result(
                verification_results=[
                    {"criteria": "AC1", "met": True},
                    {"criteria": AC2, "met": True},
                ]
            )
        ),
    ),
    ("claims.wrong_step", R, lambda: review(the_result=result(task_id="T-2"))),
    ("claims.wrong_step", W, lambda: review(the_result=result(attempt_id="A_1"))),
    (
        "claims.file_missing",
        R,
        lambda: review(the_facts=facts(changes=[changed(), changed("src/b.py", "added")])),
    ),
    (
        "claims.file_missing",
        W,
        lambda: review(pack(gates=PLAIN_GATES), result(files_changed=[])),
    ),
    (
        "claims.file_extra",
        R,
        lambda: review(the_result=result(files_changed=["src/parser.py", "src/other.py"])),
    ),
    (
        "claims.self_check",
        R,
        lambda: review(
            the_result=result(
                files_changed=["docs/a.md"],
                scope_guard={"self_check": {"all_changed_files_within_allowed": True}},
            ),
            the_facts=facts(changes=[changed("docs/a.md")]),
        ),
    ),
    (
        "claims.self_check",
        W,
        lambda: review(
            the_result=result(
                scope_guard={"self_check": {"all_changed_files_within_allowed": False}}
            )
        ),
    ),
    (
        "claims.command_missing",
        R,
        lambda: review(seed_pack(), seed_result(commands_executed=[]), seed_facts()),
    ),
    ("claims.command_missing", W, lambda: review(the_result=result(commands_executed=[]))),
    (
        "claims.evidence_prefix",
        R,
        lambda: review(
            seed_pack(), seed_result(evidence_map={"AC1": ["/etc/passwd"]}), seed_facts()
        ),
    ),
    (
        "claims.evidence_prefix",
        W,
        lambda: review(the_result=result(evidence_map={"AC1": ["out.txt"], "AC2": ["out.txt"]})),
    ),
    (
        "claims.evidence_missing",
        R,
        lambda: review(
            seed_pack(), seed_result(), seed_facts(claimed_files=[claimed(exists=False)])
        ),
    ),
    (
        "claims.evidence_missing",
        W,
        lambda: review(pack(), seed_result(), facts(claimed_files=[claimed(exists=False)])),
    ),
    (
        "claims.evidence_stale",
        R,
        lambda: review(
            seed_pack(),
            seed_result(),
            seed_facts(claimed_files=[claimed(produced_in_attempt=False)]),
        ),
    ),
    (
        "claims.evidence_stale",
        W,
        lambda: review(
            pack(), seed_result(), facts(claimed_files=[claimed(produced_in_attempt=False)])
        ),
    ),
    (
        "claims.evidence_unread",
        U,
        lambda: review(seed_pack(), seed_result(), seed_facts(claimed_files=[], patterns=[])),
    ),
    ("claims.evidence_unread", W, lambda: review(pack(), seed_result())),
    (
        "claims.pattern_unmatched",
        R,
        lambda: review(
            seed_pack(),
            seed_result(),
            seed_facts(patterns=[PatternCount(id="E1_commands", pattern="x", matches=0)]),
        ),
    ),
    (
        "claims.map_missing",
        R,
        lambda: review(seed_pack(), seed_result(evidence_map={}), seed_facts()),
    ),
    (
        "claims.map_missing",
        W,
        lambda: review(
            pack(),
            seed_result(evidence_map={"AC1": [f"{PREFIX}/outputs/own.txt"]}),
            seed_facts(),
        ),
    ),
    (
        "claims.map_unknown",
        R,
        lambda: review(
            seed_pack(),
            seed_result(evidence_map={name: [OWN] for name in ("AC1", "AC2", "AC7")}),
            seed_facts(),
        ),
    ),
    (
        "claims.map_unknown",
        W,
        lambda: review(
            pack(),
            seed_result(evidence_map={name: [OWN] for name in ("AC1", "AC2", "AC7")}),
            seed_facts(),
        ),
    ),
]
