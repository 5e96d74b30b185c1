"""Honest work under checks of every kind, and where the pack allows more than usual."""

from __future__ import annotations

from tests.corpus.book import Json, honest
from tests.corpus.hand import Hand
from tests.corpus.project import CHECK, TEST_CALC

MORE_TESTS = TEST_CALC + (
    "\n    def test_negative(self):\n        self.assertEqual(calc.add(-1, -1), -2)\n"
)
ALL = ["python3 -m unittest discover -s tests -t ."]


@honest("protected", pack={"allowed_paths": ["app/**", "tests/**"]})
def adds_a_test_where_allowed(hand: Hand) -> None:
    """The pack names the tests."""
    hand.fix()
    hand.write("tests/test_calc.py", MORE_TESTS)


@honest("protected", pack={"allowed_paths": ["**"]})
def adds_a_test_file_under_a_wide_scope(hand: Hand) -> None:
    """A new test cannot weaken an old one."""
    hand.fix()
    hand.write("tests/test_more.py", MORE_TESTS)


@honest("protected", pack={"allowed_paths": ["app/**", "tests/test_text.py"]})
def changes_a_test_that_is_named(hand: Hand) -> None:
    """The behaviour changes, and its test with it."""
    hand.fix()
    hand.replace("tests/test_text.py", "'a'), 'A'", "'b'), 'B'")


@honest(
    "check",
    pack={"allowed_paths": ["app/**", "tests/**"], "allow_fewer_tests": True},
)
def removes_an_obsolete_test(hand: Hand) -> None:
    """The pack allows fewer tests; the function goes with its test."""
    hand.fix()
    hand.replace("app/calc.py", "\n\ndef double(a):\n    return a * 2\n", "")
    cut = "\n    def test_double(self):\n        self.assertEqual(calc.double(4), 8)\n"
    hand.replace("tests/test_calc.py", cut, "")


@honest("check", pack={"commands_to_run": ["python3 -m unittest tests.test_text"]})
def refactors_without_a_new_test(hand: Hand) -> None:
    """The check is green before and after: told, not refused."""
    hand.replace("app/text.py", "return text.upper()", "shouted = text.upper()\n    return shouted")


@honest("check", pack={"red_first": True})
def turns_a_red_check_green(hand: Hand) -> None:
    """The pack wants to see the check fail on the base tree."""
    hand.fix()


@honest(
    "check",
    pack={"allowed_paths": ["app/**", "tests/**"], "red_first": True,
          "commands_to_run": ["python3 -m unittest tests.test_new"]},
)  # fmt: skip
def brings_its_own_red_test(hand: Hand) -> None:
    """The test does not exist on the base tree, so it is red there."""
    hand.fix()
    hand.write("tests/test_new.py", MORE_TESTS)


FLAKY = (
    "python3 -c \"import os,sys; p=os.environ['HOME']+'/flag'; "
    "sys.exit(0) if os.path.exists(p) else (open(p,'w').close(), sys.exit(1))\""
)


@honest("check", pack={"commands_to_run": [CHECK, FLAKY]})
def meets_a_flaky_check(hand: Hand) -> None:
    """It fails once and passes when it is run again."""
    hand.fix()


SLOW = 'python3 -c "import select; select.select([],[],[],1.2)"'


@honest("check", pack={"commands_to_run": [CHECK, SLOW]})
def meets_a_slow_check(hand: Hand) -> None:
    """More than a second without a word."""
    hand.fix()


EVIDENCE_GATES = [
    {"gate_id": "G1", "owner": "worker", "type": "required_command_exit_0",
     "target_ac": ["AC1"], "command_index": 0},
    {"gate_id": "G2", "owner": "worker", "type": "required_command_evidence_only",
     "target_ac": ["AC2"], "command_index": 1},
    {"gate_id": "G3", "owner": "worker", "type": "required_command_evidence_only",
     "target_ac": ["AC2"], "command_index": 2},
]  # fmt: skip


@honest(
    "check",
    pack={
        "commands_to_run": [CHECK, "grep -rn return app", "git diff --check"],
        "gates": EVIDENCE_GATES,
    },
)
def runs_commands_for_their_output(hand: Hand) -> None:
    """Evidence-only gates: one prints, one is quiet because all is well."""
    hand.fix()


@honest("check", pack={
    "commands_to_run": [CHECK, "grep -rn TODO app README.md nothing-here"],
    "gates": EVIDENCE_GATES[:2],
})  # fmt: skip
def an_evidence_command_may_be_red(hand: Hand) -> Json:
    """Its exit code does not count, what it prints does."""
    hand.fix()
    runs = zip(hand.pack["commands_to_run"], (0, 2), strict=True)
    return hand.claim(commands_executed=[{"command": c, "exit_code": e} for c, e in runs])


@honest("check", pack={"commands_to_run": [CHECK, "git status --short", "git diff --stat"]})
def a_check_looks_at_git(hand: Hand) -> None:
    """The public packs run `git status --short` among their commands."""
    hand.fix()


@honest(
    "work",
    pack={"allow_no_change": True, "commands_to_run": ["python3 -m unittest tests.test_text"]},
)
def finds_nothing_to_do(hand: Hand) -> None:
    """The pack allows an attempt that changes nothing."""


@honest("check", pack={"commands_to_run": []})
def works_without_any_command(hand: Hand) -> None:
    """A pack that asks for no check."""
    hand.fix()


@honest("check", pack={"commands_to_run": [
    "mkdir -p build && python3 -c \"open('build/out.txt','w').write('x')\"",
    "test -s build/out.txt && " + CHECK,
]})  # fmt: skip
def a_check_builds_first(hand: Hand) -> None:
    """The first command leaves what the second needs."""
    hand.fix()


@honest("check", pack={"commands_to_run": [f"set -e; {CHECK} 2>&1 | tee out.txt; grep -q OK out.txt"]})  # fmt: skip
def a_check_with_a_pipe(hand: Hand) -> None:
    """It could hide a failure, so it is told; it does not here."""
    hand.fix()


@honest(
    "scope",
    files={"node_modules/lib/index.txt": "v1\n", ".venv/lib/thing.txt": "x\n"},
    pack={"commands_to_run": [CHECK, "grep -q v1 node_modules/lib/index.txt"]},
)
def a_check_needs_installed_packages(hand: Hand) -> None:
    """Ignored packages that nobody touched are there for the checks."""
    hand.fix()


@honest("scope", files={"node_modules/lib/index.txt": "v1\n"})
def installs_a_package_for_itself(hand: Hand) -> None:
    """A new ignored package: told."""
    hand.fix()
    hand.write("node_modules/other/index.js", "1\n")


@honest("check", pack={"allowed_paths": ["app/**", "tests/**"]}, files={
    "tests/test_calc.py": TEST_CALC.replace(
        "    def test_double", "    @unittest.skip('later')\n    def test_double"
    ),
})  # fmt: skip
def unskips_a_test(hand: Hand) -> None:
    """More tests run than before."""
    hand.fix()
    hand.write("tests/test_calc.py", TEST_CALC)


@honest("check", pack={"commands_to_run": ALL})
def all_tests_by_discovery(hand: Hand) -> None:
    """The whole suite."""
    hand.fix()


@honest("check", pack={"commands_to_run": ["make check"]})
def a_check_by_make(hand: Hand) -> None:
    """The Makefile stays as it is."""
    hand.fix()


@honest("check", pack={"commands_to_run": ["./tools/check.sh"]},
        setup=lambda root: (root / "tools/check.sh").chmod(0o755))  # fmt: skip
def a_check_by_script(hand: Hand) -> None:
    """The script stays as it is."""
    hand.fix()


@honest(
    "protected",
    pack={"allowed_paths": ["app/**", "tests/conftest.py"]},
)
def adds_a_conftest_that_is_named(hand: Hand) -> None:
    """Allowed by its exact name."""
    hand.fix()
    hand.write("tests/conftest.py", "import sys\n")


@honest(
    "protected",
    pack={
        "allowed_paths": ["app/**", ".github/workflows/ci.yml"],
        "forbidden_paths": [],
        "dependency_policy": {"allow_ci_workflow_changes_in_scope": True},
    },
)
def edits_ci_where_allowed(hand: Hand) -> None:
    """The policy allows the workflow in scope."""
    hand.fix()
    hand.write(".github/workflows/ci.yml", "on: push\n")


@honest(
    "dependency",
    pack={
        "allowed_paths": ["app/**", "uv.lock"],
        "dependency_policy": {"allow_lockfile_changes": True},
    },
)
def updates_a_lock_file(hand: Hand) -> None:
    """The policy allows lock files."""
    hand.fix()
    hand.write("uv.lock", "version = 2\n")


@honest(
    "dependency",
    pack={
        "allowed_paths": ["app/**", "requirements.txt", "uv.lock", "pyproject.toml"],
        "dependency_policy": {"mode": "free", "allow_new_dependencies": True},
    },
)
def adds_a_dependency_where_allowed(hand: Hand) -> None:
    """Manifest, project file and lock file together."""
    hand.fix()
    hand.write("requirements.txt", "click\nrich>=13\n")
    hand.replace("pyproject.toml", '["click"]', '["click", "rich>=13"]')
    hand.write("uv.lock", "version = 1\n# rich\n")


@honest("dependency", pack={"allowed_paths": ["app/**", "pyproject.toml"]})
def edits_settings_in_the_project_file(hand: Hand) -> None:
    """A manifest holds more than dependencies."""
    hand.fix()
    hand.write("pyproject.toml", hand.read("pyproject.toml") + "\n[tool.ruff]\nline-length = 99\n")


@honest(
    "dependency",
    files={"package.json": '{"name": "app", "scripts": {}, "dependencies": {"a": "1"}}\n'},
    pack={"allowed_paths": ["app/**", "package.json"]},
)
def adds_a_script_to_package_json(hand: Hand) -> None:
    """A script, no dependency."""
    hand.fix()
    hand.replace("package.json", '"scripts": {}', '"scripts": {"lint": "eslint ."}')


@honest("protected", pack={"allowed_paths": ["app/**", "Makefile"]})
def edits_the_makefile_where_no_check_uses_it(hand: Hand) -> None:
    """The check does not go through make."""
    hand.fix()
    hand.write("Makefile", hand.read("Makefile") + "\nclean:\n\trm -rf build\n")
