"""A copy is what its tree's id says, whatever lies in the object store; git answers in it."""

from __future__ import annotations

import os
import subprocess
import zlib
from pathlib import Path

import pytest

from orchestrator.errors import WorkspaceError
from orchestrator.workspace.proof import read_index, tree_id
from orchestrator.workspace.tree import GitTree
from tests.integration.workspace.plain_git import git

NAMES = ("a-b", "a/b", "a.c", "a/c/d", "a0", "ä/ö", "z \n", "x/" + "y" * 200)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    place = tmp_path / "project"
    place.mkdir()
    git(place, "init", "-q", "-b", "main")
    for name in NAMES:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(f"{name}\n")
    (place / "link").symlink_to("a/b")
    (place / "run").write_text("x\n")
    (place / "run").chmod(0o755)
    git(place, "add", "-A")
    git(place, "commit", "-q", "-m", "base")
    return place


def test_the_id_of_a_tree_is_the_one_that_git_gives(root: Path) -> None:
    entries = read_index(root / ".git/index", 20)
    assert tree_id(entries, "sha1") == git(root, "rev-parse", "HEAD^{tree}")


def forge(root: Path, oid: str, kind: bytes, content: bytes) -> None:
    place = root / ".git/objects" / oid[:2] / oid[2:]
    place.unlink()
    place.write_bytes(zlib.compress(kind + b" %d\0" % len(content) + content))


def test_a_forged_blob_is_refused(root: Path, tmp_path: Path) -> None:
    tree = GitTree.open(root, scratch=tmp_path / "scratch")
    base = tree.snapshot().tree
    forge(root, git(root, "rev-parse", "HEAD:a-b"), b"blob", b"evil\n")
    with pytest.raises(WorkspaceError, match="does not hold what its name says") as refused:
        tree.export(base, tree.scratch / "copy")
    assert "a-b" in refused.value.where


def test_a_forged_folder_is_refused(root: Path, tmp_path: Path) -> None:
    tree = GitTree.open(root, scratch=tmp_path / "scratch")
    base = tree.snapshot().tree
    folder = git(root, "rev-parse", "HEAD:a/c")
    evil = bytes.fromhex(git(root, "rev-parse", "HEAD:a0"))
    forge(root, folder, b"tree", b"100644 d\0" + evil)
    with pytest.raises(WorkspaceError, match="does not hold what its name says"):
        tree.export(base, tree.scratch / "copy")


def test_a_forged_blob_is_not_read(root: Path, tmp_path: Path) -> None:
    tree = GitTree.open(root, scratch=tmp_path / "scratch")
    oid = git(root, "rev-parse", "HEAD:link")
    forge(root, oid, b"blob", b"a0")
    with pytest.raises(WorkspaceError, match="does not hold what its name says"):
        tree.read_blob(oid)


def test_git_answers_in_a_copy_as_it_answered_the_worker(root: Path, tmp_path: Path) -> None:
    tree = GitTree.open(root, scratch=tmp_path / "scratch")
    base = tree.snapshot().tree
    (root / "a0").write_text("changed\n")
    (root / "new").write_text("new\n")
    copy = tree.scratch / "copy"
    after = tree.snapshot().tree
    for _ in range(2):  # what was lent goes with the next export, and is lent again
        tree.export(after, copy)
        assert not (copy / ".git").exists()
        tree.lend_git(copy, base)
        assert git(copy, "status", "--short").split("\n") == [" M a0", "?? new"]
        assert tree.copy_changes(copy) == ()
    assert git(root, "status", "--short").split("\n") == [" M a0", "?? new"]


def test_a_foreign_hand_in_our_own_index_is_seen_and_its_work_undone(
    root: Path, tmp_path: Path
) -> None:
    tree = GitTree.open(root, scratch=tmp_path / "scratch")
    base, was = tree.snapshot().tree, tree.own_state()
    assert tree.own_state() == was
    (root / "a0").write_text("changed\n")
    pinned = {"GIT_DIR": str(tmp_path / "scratch/git"), "GIT_WORK_TREE": str(root)}
    pinned["GIT_OBJECT_DIRECTORY"] = str(root / ".git/objects")
    subprocess.run(
        ["git", "update-index", "--assume-unchanged", "a0"],
        cwd=root, env={**os.environ, **pinned}, check=True,
    )  # fmt: skip
    assert tree.own_state() != was
    tree.distrust()
    assert [change.path for change in tree.changes(base, tree.snapshot().tree)] == ["a0"]
