"""Which commands cannot fail, and which only look as if."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.verification.forces import always_succeeds, failure_masked

WITHOUT_FORCE = [
    "true", ":", "/bin/true", "exit 0", "exit", "echo ok", "printf done", "echo a && echo b",
    "pytest || true", "pytest -q || :", "pytest || exit 0", "pytest || echo failed", "pytest; true",
    "pytest ; echo done", "pytest; exit 0", "pytest\ntrue", "pytest &", "(pytest) || true",
    "{ pytest; } || true", "( pytest; true )", "sh -c 'pytest || true'", 'bash -lc "exit 0"',
    "set +e; pytest; true", "! false", "false || true", "trap 'exit 0' EXIT; pytest",
    "eval 'pytest || true'", "timeout 60 true", "env A=1 true", "A=1 true", "A=1",
    "uv run true", "poetry run echo x", "nice -n 5 true", "command true",
    "python -c pass", "python3 -c 'print(1)'", "python -c 'import sys; sys.exit(0)'", "python -c ''",
    "python -c 'assert True'", "python --version", "pytest --version", "node --version",
    "pytest --collect-only", "pytest --co -q", "python -m pytest --collect-only tests",
    "uv run pytest --co", "go test -list . ./...", "go test -run '^$' ./...", "jest --listTests",
    "ctest -N", "make -n test", "rspec --dry-run", "test 1 = 1", "[ 1 -eq 1 ]", "test ok",
    "test 1 -lt 2", "ls", "ls -la", "cat", "cat /dev/null", "sleep 1", "pwd", "date",
    "ruff check --exit-zero .", "flake8 --exit-zero", "pytest > out.txt || true",
    "pytest 2>&1 || true", "exit 0 # run the tests", "true && true || false",
]  # fmt: skip

WITH_FORCE = [
    "pytest", "python -m pytest -q", "git status --short", "git diff --check", "test -f x",
    "[ -d src ]", "python -c 'import pkg'", "python -c 'import json; json.load(open(\"a\"))'",
    "python -c 'assert 1 == 2'", "python -c 'import sys; sys.exit(1)'", "python -m pkg --version",
    "./app --version", "mytool --help", "grep -q x file", "grep -c x file", "cat file", "ls missing",
    "cargo test --no-run", "go build ./...", "go vet ./...", "go test ./... -run TestX",
    "make test", "npm test", "npx jest", "cd sub && pytest", "pytest && echo ok",
    "pytest || exit 1", "pytest || (echo bad; exit 1)", "true && pytest", "echo start; pytest",
    "set -e; pytest; echo done", "set -o errexit; pytest; echo done", "set -eu\npytest\necho ok",
    "! grep -r TODO src", "! pytest", 'test "$(cat a)" = b', "[ $x = 1 ]", "test a = b",
    "if pytest; then exit 0; else exit 1; fi", "for f in a b; do test -f $f; done",
    "echo ok | grep -q ok", "cat a | python check.py", "false", "exit 1", "exit 3",
    "echo 'a || true' > f && pytest", "grep '|| true' ci.sh", "python -c \"x = 'true'; raise SystemExit(2)\"",
    "sh check.sh", "bash -c pytest", "timeout 60 pytest", "env CI=1 pytest", "uv run pytest -q",
    "pytest -k 'not slow'", "mypy --strict src", "ruff check .", "ruff format --check .",
    "node --test", "diff a b", "cmp a b", "python script.py --help", "[[ -f x ]]", "", "'unclosed",
    "pytest -p no:cacheprovider --tb=short", "tox -e py311", "coverage run -m pytest",
]  # fmt: skip


@pytest.mark.parametrize("command", WITHOUT_FORCE)
def test_a_command_that_cannot_fail_is_found_out(command: str) -> None:
    assert always_succeeds(command)


@pytest.mark.parametrize("command", WITH_FORCE)
def test_a_command_that_can_fail_has_force(command: str) -> None:
    assert always_succeeds(command) is None


@pytest.mark.parametrize(
    "command", ["pytest | cat", "pytest | tee out.txt", "make test 2>&1 | tail -n 5", "a |& head"]
)
def test_a_pipe_that_hides_the_exit_code_is_told_and_not_called_certain(command: str) -> None:
    assert failure_masked(command)
    assert always_succeeds(command) is None


@pytest.mark.parametrize(
    "command",
    ["set -o pipefail; pytest | tee o", "git log | grep -q x", "pytest", "a || b", "'|' | x"],
)
def test_a_pipe_that_ends_in_a_check_hides_nothing(command: str) -> None:
    assert failure_masked(command) is None


@given(st.text(alphabet=" abc|&;()<>'\"\\$`#!{}\n0", max_size=40))
def test_no_command_at_all_breaks_the_reading(command: str) -> None:
    always_succeeds(command)
    failure_masked(command)
