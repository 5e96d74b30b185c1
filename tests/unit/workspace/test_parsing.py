"""What git says, read exactly; what nobody should believe, not believed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.recovery.leftovers import sort_leftovers
from orchestrator.workspace.diff import carryable, changes_of, ignored_changes, parse_raw, shown
from orchestrator.workspace.git import parse_version
from orchestrator.workspace.index import is_control, parse_entries
from orchestrator.workspace.manifest import line_counts
from orchestrator.workspace.model import ExcludedFile, IgnoredState, Signature, Snapshot
from orchestrator.workspace.objects import commit_bytes, is_own_ref, object_id
from orchestrator.workspace.rollback import in_scope
from orchestrator.workspace.status import parse_status

SIGN = (1, 2, 3, 4, 0o100644)
OTHER = (1, 2, 3, 5, 0o100644)
A, B = b"a" * 40, b"b" * 40
ZERO = b"0" * 40


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("git version 2.39.5\n", (2, 39)),
        ("git version 2.25.0.windows.1", (2, 25)),
        ("git version 2.50.1 (Apple Git-155)", (2, 50)),
        ("hg 5", (0, 0)),
    ],
)
def test_a_version_is_two_numbers(text: str, version: tuple[int, int]):
    assert parse_version(text) == version


def test_the_id_of_an_object_is_gits():
    assert object_id("blob", b"", "sha1") == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
    assert object_id("tree", b"", "sha1") == "4b825dc642cb6eb9a060e54bf8d69288fbee4904"


def test_a_commit_is_the_same_bytes_for_the_same_arguments():
    body = commit_bytes("t" * 40, "subject\n\nbody\n\n", "p" * 40, 7)
    assert body == (
        b"tree " + b"t" * 40 + b"\nparent " + b"p" * 40 + b"\n"
        b"author orchestrator <orchestrator@localhost> 7 +0000\n"
        b"committer orchestrator <orchestrator@localhost> 7 +0000\n\nsubject\n\nbody\n"
    )


@pytest.mark.parametrize(
    "ref",
    [
        "refs/heads/main",
        "refs/orchestrator",
        "refs/orchestrator/",
        "refs/orchestrator/a..b",
        "refs/orchestrator/a.lock",
        "refs/orchestrator/a.lock/b",
        "refs/orchestrator/a.",
        "refs/orchestrator/.a",
        "refs/orchestrator/a\n",
        "refs/orchestrator/a b",
        "refs/orchestrator//a",
        "refs/orchestrator/../heads/a",
    ],
)
def test_a_name_that_git_or_we_refuse_is_no_ref_of_ours(ref: str):
    assert not is_own_ref(ref)


def test_status_separates_changed_staged_untracked_nested_and_ignored():
    zeros, mode = "0" * 40, "100644 100644 100644"
    out = "\0".join(
        [
            f"1 .M N... {mode} {zeros} {zeros} a b",
            f"1 M. N... {mode} {zeros} {zeros} only staged",
            f"u UU N... {mode} 100644 {zeros} {zeros} {zeros} both\nlines",
            "? new",
            "? nested/",
            "? progress/x",
            "! ignored/",
            "! .orchestrator/",
            "",
        ]
    )
    found = parse_status(out.encode())
    assert found.changed == ["a b", "both\nlines"]
    assert found.staged
    assert (found.untracked, found.nested, found.ignored) == (["new"], ["nested/"], ["ignored/"])


def test_index_lines_keep_odd_names():
    (entry,) = parse_entries(b"h 100644 " + A + b" 0\ta\tb\n\xff\0")
    assert (entry.tag, entry.mode, entry.stage, entry.path) == ("h", "100644", "0", "a\tb\n\udcff")


def test_a_diff_with_names_of_every_kind_is_read_with_its_counts():
    out = b"".join(
        [
            b":100644 100644 " + A + b" " + B + b" M\0a\tb\n\0",
            b":000000 100755 " + ZERO + b" " + B + b" A\0-new\0",
            b":100644 100644 " + A + b" " + A + b" R100\0old name\0new name\0",
            b":100644 100755 " + A + b" " + A + b" M\0mode\0",
            b":160000 160000 " + A + b" " + B + b" M\0sub\0",
            b"1\t2\ta\tb\n\0",
            b"-\t-\t-new\0",
            b"0\t0\t\0old name\0new name\0",
            b"0\t0\tmode\0",
            b"1\t1\tsub\0",
        ]
    )
    found = {c.path: c for c in changes_of(out)}
    assert {path: c.kind for path, c in found.items()} == {
        "a\tb\n": "modified",
        "-new": "added",
        "new name": "renamed",
        "mode": "mode",
        "sub": "modified",
    }
    assert (found["a\tb\n"].lines_added, found["a\tb\n"].lines_removed) == (1, 2)
    assert (found["-new"].old_mode, found["-new"].old_oid, found["-new"].lines_added) == (None,) * 3
    assert found["new name"].old_path == "old name"
    assert found["sub"].nested_repo
    assert len(parse_raw(out)[0]) == 5


def test_an_odd_byte_is_shown_and_ordinary_names_are_not_touched():
    assert shown("plain") == "plain"
    assert shown("ünï\\x") == "ünï\\x"
    assert shown("a\udcff") == "a\\xff"


@given(st.lists(st.binary(max_size=6)), st.lists(st.binary(max_size=6)))
def test_line_counts_balance(old: list[bytes], new: list[bytes]):
    before, after = b"\n".join(old), b"\n".join(new)
    added, removed = line_counts(before, after)
    if b"\0" in before + after:
        assert added is None
    else:
        assert added is not None
        assert removed is not None
        assert len(before.splitlines()) - removed == len(after.splitlines()) - added


@pytest.mark.parametrize(
    ("path", "scope", "inside"),
    [
        ("src/a", None, True),
        ("src/a", ["src/"], True),
        ("src/a", ["src"], True),
        ("src", ["src/"], True),
        ("srcx", ["src"], False),
        ("a", ["src", "b"], False),
        ("a", [], False),
    ],
)
def test_a_scope_is_made_of_whole_names(path: str, scope: list[str] | None, inside: bool):
    assert in_scope(path, scope) is inside


def test_only_the_top_level_belongs_to_the_controller():
    assert is_control("progress")
    assert is_control(".orchestrator/x")
    assert not is_control("src/progress/x")
    assert not is_control("progress.md")


def test_ignored_changes_name_what_came_went_and_changed():
    before = IgnoredState(entries={"same": SIGN, "gone": SIGN, "edited": SIGN})
    after = IgnoredState(entries={"same": SIGN, "new": SIGN, "edited": OTHER})
    found = {c.path: (c.kind, c.ignored) for c in ignored_changes(before, after)}
    assert found == {
        "gone": ("deleted", True),
        "new": ("added", True),
        "edited": ("modified", True),
    }
    assert ignored_changes(before, before) == []


def test_a_directory_that_is_folded_on_one_side_only_counts_as_changed():
    before = IgnoredState(roots=("d/",), entries={"d/a": SIGN})
    after = IgnoredState(roots=("d/",), folded={"d/": "digest"})
    assert [c.path for c in ignored_changes(before, after)] == ["d/"]
    assert carryable(before, after) == ()


def test_caches_that_a_run_writes_to_are_not_carried():
    roots = ("src/__pycache__/", ".venv/", "a.pyc", ".env")
    state = IgnoredState(roots=roots, entries={".env": SIGN})
    assert carryable(state, state) == (".env", ".venv/")


@given(
    st.dictionaries(st.text(max_size=5), st.tuples(*[st.integers(0, 2**63)] * 5), max_size=5),
    st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3),
)
def test_an_ignored_state_survives_json(entries: dict[str, Signature], folded: dict[str, str]):
    state = IgnoredState(("a/",), ("b/",), entries, folded)
    assert IgnoredState.from_json(state.to_json()) == state


def test_what_is_new_is_moved_whole_and_the_users_git_directory_never():
    before = IgnoredState(roots=("old/",), entries={"old/a": SIGN, ".git/config": SIGN})
    now = IgnoredState(
        roots=("old/", "new/"),
        entries={
            "old/a": SIGN,
            "old/b": SIGN,
            "new/x": SIGN,
            ".git/config": OTHER,
            ".git/hooks/evil": SIGN,
            "src/.git/config": SIGN,
        },
    )
    snapshot = Snapshot("t", planted=("src/",))
    found = sort_leftovers(before, now, snapshot, (), None, now.entries.get)
    assert found.new == ("new/", "old/b", "src/.git")
    assert found.changed == (".git/config", ".git/hooks/evil")


def test_without_a_first_look_nothing_is_moved_by_guess():
    now = IgnoredState(roots=("new/",), entries={"new/x": SIGN})
    big = ExcludedFile("big", 1, "size")
    found = sort_leftovers(None, now, Snapshot("t"), [big], None, now.entries.get)
    assert (found.new, found.changed) == ((), ())
    assert found.is_protected("big")
