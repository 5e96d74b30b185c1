"""Paths: what is a trick, what reads otherwise than it is written, what is the same."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import ContractError
from orchestrator.qa.globs import globs, representatives
from orchestrator.qa.names import (
    claimed_paths,
    collisions,
    hidden_characters,
    is_trick,
    link_escapes,
    plain,
    quoted,
    shown,
)
from orchestrator.qa.policy import LITTER, TESTS, unlocked
from orchestrator.qa.shell import UnreadableCommandError, tokens, without_comment


@pytest.mark.parametrize(
    "path",
    ["/etc/x", "a/../b", "..", "a//b", "./a", "", "a/.git/config", ".GIT/x", "a/.git ", "GIT~1/x",
     "a/.g\u200cit/config", ".git./x"],
)  # fmt: skip
def test_a_path_trick_is_seen(path: str) -> None:
    assert is_trick(path)


@pytest.mark.parametrize(
    "path", [".gitignore", "a/.github/x", "a..b/c", "git/x", ".gitkeep", "a/...", "digit~1"]
)
def test_an_ordinary_path_is_no_trick(path: str) -> None:
    assert not is_trick(path)


@pytest.mark.parametrize(
    "char", ["\u202e", "\u2066", "\u200b", "\ufeff", "\x07", "\x7f", "\u00a0", "\u2028", "\u3164"]
)
def test_a_character_that_hides_is_named(char: str) -> None:
    assert hidden_characters(f"src/a{char}b.py") == (f"U+{ord(char):04X}",)


@pytest.mark.parametrize(
    "path",
    [
        "src/größe.py",
        "数据/表.csv",
        "a b.txt",
        "\U0001f469\u200d\U0001f4bb.md",
        "\u0645\u06cc\u200c\u062e.txt",
    ],
)
def test_an_honest_name_hides_nothing(path: str) -> None:
    assert hidden_characters(path) == ()


def test_a_joiner_between_plain_letters_hides() -> None:
    assert hidden_characters("src/a\u200db.py") == ("U+200D",)


def test_names_collide_by_case_and_by_unicode_form() -> None:
    nfc, nfd = "src/é.py", unicodedata.normalize("NFD", "src/é.py")
    assert collisions(["src/A.py"], ["src/a.py", "src/b.py"]) == ("src/A.py",)
    assert collisions([nfd], [nfc]) == (nfd,)
    assert collisions(["src/straße"], ["src/STRASSE"]) == ("src/straße",)
    assert collisions(["src/b.py"], ["src/a.py", "src/b.py"]) == ()


@given(st.text(max_size=400))
def test_quoted_text_is_always_one_printable_ascii_line(text: str) -> None:
    assert quoted(text).isascii()
    assert quoted(text).isprintable()
    assert shown(text).isprintable()


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=30))
def test_plain_is_a_fixed_point(text: str) -> None:
    assert plain(plain(text)) == plain(text)


@pytest.mark.parametrize(
    ("entry", "path"),
    [("./a/b", "a/b"), ("a/b/", "a/b"), ("a\\b", "a/b"), ('"a b"', "a b"), ("`a`", "a"),
     (" M a", "a"), ("?? a", "a"), ("A\ta", "a"), ("R100\ta\tb", "b"), ("a -> b", "a"),
     ("a -> b", "b"), ('"\\303\\251"', "é"), (".//a", "a")],
)  # fmt: skip
def test_an_honest_spelling_is_understood(entry: str, path: str) -> None:
    assert path in claimed_paths(entry)


@pytest.mark.parametrize(
    ("path", "target", "escapes"),
    [("a/l", "../x", False), ("a/l", "../../x", True), ("l", "..", True), ("l", ".", False),
     ("a/b/l", "../../c/d", False), ("l", "/a", True), ("l", "", True), ("a/l", "../.git", True),
     ("l", "a/../../b", True)],
)  # fmt: skip
def test_a_link_is_judged_by_where_its_text_leads(path: str, target: str, escapes: bool) -> None:
    assert link_escapes(path, target) is escapes


@pytest.mark.parametrize(
    ("patterns", "path", "match"),
    [(("src/**",), "src/a/b", True), (("src/",), "src/a", True), (("/a.md",), "b/a.md", False),
     (("a.md",), "b/a.md", True), (("req*.txt",), "x/req-dev.txt", True),
     (("src/**", "!src/x"), "src/x", False), (("*.py",), "a/b.py", True), ((), "a", False),
     (("src/*.py",), "src/a/b.py", False), (("größe/**",), "gro\u0308ße/a", True)],
)  # fmt: skip
def test_patterns_mean_what_they_mean_in_gitignore(
    patterns: tuple[str, ...], path: str, match: bool
) -> None:
    assert globs(patterns).match(path) is match


def test_a_pattern_that_means_nothing_is_refused() -> None:
    with pytest.raises(ContractError):
        globs(("!",))


@pytest.mark.parametrize(
    ("pattern", "path", "opens"),
    [("tests/**", "tests/test_a.py", True), ("tests", "tests/a/b.py", True),
     ("tests/", "tests/a.py", True), ("**/tests/**", "pkg/tests/a.py", True),
     ("src/**/test_*.py", "src/a/test_b.py", True), ("*_test.go", "a/b_test.go", True),
     ("tests/test_a.py", "tests/test_a.py", True), ("test*/**", "tests/a.py", True),
     ("**", "tests/a.py", False), ("*", "tests/a.py", False), ("src/**", "src/tests/a.py", False),
     ("src", "src/tests/a.py", False), ("**/*.py", "tests/test_a.py", False),
     ("tests/a/**", "tests/b/c.py", False), ("[a-z]*/**", "tests/a.py", False)],
)  # fmt: skip
def test_only_a_pattern_that_names_the_tests_unlocks_them(
    pattern: str, path: str, opens: bool
) -> None:
    assert unlocked(path, TESTS, (pattern,)) is opens


def test_representatives_have_no_wildcard_left() -> None:
    for pattern in ("**/x/*.p?", "a/[bc]d", "/a/", "*"):
        assert all(not set(path) & set("*?[") for path in representatives(pattern))
    assert representatives("!src/**") == ()


@pytest.mark.parametrize("path", ["src/cache.py", "coverage.py", "src/tmp.txt", "docs/a.md~x"])
def test_a_product_file_is_no_litter(path: str) -> None:
    assert not LITTER.holds(path)


@pytest.mark.parametrize(
    ("command", "bare"),
    [("pytest -q  # fast", "pytest -q"), ("grep '#' a", "grep '#' a"), ("a#b c", "a#b c"),
     ('echo "# x" # y', 'echo "# x"'), ("# only", ""), ("a", "a"), ("a 'b", "a 'b")],
)  # fmt: skip
def test_a_trailing_comment_is_no_part_of_a_command(command: str, bare: str) -> None:
    assert without_comment(command) == bare


def test_an_open_quote_cannot_be_read() -> None:
    for command in ("a 'b", 'a "b', "a `b", "a $(b", "a ${b"):
        with pytest.raises(UnreadableCommandError):
            tokens(command)
