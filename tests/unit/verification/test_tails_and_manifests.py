"""Output fit to be quoted, the environment of checks, and what manifests name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.verification.manifests import added_dependencies, dependencies_of
from orchestrator.verification.surroundings import check_environment, stable_digest
from orchestrator.verification.tails import quotable_tail


def test_times_addresses_and_temporary_folders_are_masked() -> None:
    text = "2026-01-02T03:04:05Z <A at 0x7f00aa11> in 0.12s at 10:11:12 /tmp/pytest-of-x/a 35 ms"
    assert quotable_tail(text) == (
        "<time> <A at <address>> in <duration> at <time> <tmp>/a <duration>"
    )


def test_two_equal_failures_give_equal_tails() -> None:
    first = quotable_tail("E  assert 1 == 2\n1 failed in 0.03s")
    assert first == quotable_tail("E  assert 1 == 2\n1 failed in 1.79s")


@given(st.text(max_size=3000))
def test_a_tail_is_short_and_prints(text: str) -> None:
    tail = quotable_tail(text, 500)
    assert len(tail) <= 500
    assert "\x1b" not in tail
    assert "\x00" not in tail


STEERING = [
    "PYTEST_ADDOPTS", "PYTHONPATH", "PYTHONSTARTUP", "NODE_OPTIONS", "LD_PRELOAD",
    "LD_LIBRARY_PATH", "GIT_DIR", "GIT_WORK_TREE", "BASH_ENV", "ENV", "RUSTFLAGS", "GOFLAGS",
    "MAKEFLAGS", "JAVA_TOOL_OPTIONS", "AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN",
]  # fmt: skip


@pytest.mark.parametrize("name", STEERING)
def test_what_steers_a_check_or_is_secret_never_reaches_it(name: str) -> None:
    env = check_environment({name: "x", "PATH": "/bin", "HOME": "/h"}, temporary="/t")
    assert name not in env
    assert (env["PATH"], env["HOME"], env["TMPDIR"]) == ("/bin", "/h", "/t")


def test_the_owners_own_settings_come_last() -> None:
    env = check_environment({}, temporary="/t", extra={"PYTHONPATH": "src", "CI": "0"})
    assert (env["PYTHONPATH"], env["CI"]) == ("src", "0")


def test_a_private_home_keeps_the_toolchains_and_drops_user_packages() -> None:
    env = check_environment({"HOME": "/h"}, temporary="/t", home="/p")
    assert (env["HOME"], env["CARGO_HOME"], env["PYTHONNOUSERSITE"]) == ("/p", "/h/.cargo", "1")


def test_the_digest_leaves_out_the_private_folder() -> None:
    one, other = (check_environment({"PATH": "/b"}, temporary=t) for t in ("/t1", "/t2"))
    assert stable_digest(one) == stable_digest(other)
    assert stable_digest(one) != stable_digest({**one, "CI": "0"})


PYPROJECT = '[project]\ndependencies = ["a>=1"]\n[tool.ruff]\nline-length = 100\n'


@pytest.mark.parametrize(
    ("path", "before", "after", "added"),
    [
        ("pyproject.toml", PYPROJECT, PYPROJECT.replace("100", "88"), ()),
        ("pyproject.toml", PYPROJECT, PYPROJECT.replace('"a>=1"', '"a>=1", "b"'), ("b",)),
        (
            "pyproject.toml",
            PYPROJECT,
            PYPROJECT.replace("a>=1", "a @ https://x"),
            ("a @ https://x",),
        ),
        ("package.json", '{"scripts": {}}', '{"scripts": {"t": "x"}}', ()),
        ("package.json", "{}", '{"devDependencies": {"l": "^1"}}', ('l "^1"',)),
        ("requirements-dev.txt", "a==1\n", "# note\na==1  # why\nb\n", ("b",)),
        ("go.mod", "module x.y/z\n", "module x.y/z\nrequire a.b/c v1.2.3\n", ("a.b/c v1.2.3",)),
        ("Cargo.toml", "", '[dev-dependencies]\ns = "1"\n', ('s "1"',)),
        ("pyproject.toml", PYPROJECT, "not toml [", None),
        ("package.json", "{}", "[]", None),
        ("pom.xml", "<a/>", "<b/>", None),
    ],
)
def test_an_added_dependency_is_told_from_any_other_edit(
    path: str, before: str, after: str, added: tuple[str, ...] | None
) -> None:
    assert added_dependencies({path: before}, {path: after}) == added


def test_a_new_manifest_adds_all_that_it_names() -> None:
    assert added_dependencies({}, {"requirements.txt": "a\nb\n"}) == ("a", "b")


@given(st.text(max_size=200))
def test_no_text_at_all_breaks_the_reading_of_a_manifest(text: str) -> None:
    for name in ("pyproject.toml", "package.json", "go.mod", "Cargo.toml", "requirements.txt"):
        dependencies_of(name, text)
