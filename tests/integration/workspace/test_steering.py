"""What a worker does to git itself is taken back, and nothing is lost by it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from orchestrator.workspace.tree import GitTree
from tests.integration.workspace.plain_git import git

KEPT = "refs/orchestrator/moved/A_1"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    place = tmp_path / "project"
    place.mkdir()
    git(place, "init", "-q", "-b", "main")
    (place / "a.txt").write_text("one\n")
    git(place, "add", "-A")
    git(place, "commit", "-q", "-m", "base")
    return place


def taken_back(root: Path, tree: GitTree, quarantine: Path, *commands: tuple[str, ...]) -> str:
    was = tree.steering()
    for command in commands:
        git(root, *command)
    return " ".join(tree.take_back(was, quarantine, KEPT))


@pytest.mark.parametrize("packed", [False, True])
def test_a_commit_is_taken_back_softly_and_kept(root: Path, tmp_path: Path, packed: bool) -> None:
    if packed:
        git(root, "pack-refs", "--all")
    tree = GitTree.open(root, scratch=tmp_path / "scratch")
    base = git(root, "rev-parse", "main")
    was = tree.steering()
    (root / "a.txt").write_text("two\n")
    git(root, "commit", "-q", "-a", "-m", "mine")
    mine = git(root, "rev-parse", "main")
    told = tree.take_back(was, tmp_path / "quarantine", KEPT)
    assert "main moved" in " ".join(told)
    assert git(root, "rev-parse", "HEAD") == base
    assert git(root, "rev-parse", KEPT) == mine
    assert (root / "a.txt").read_text() == "two\n"


def test_another_branch_and_a_detached_head_are_taken_back(root: Path, tmp_path: Path) -> None:
    tree = GitTree.open(root, scratch=tmp_path / "scratch")
    for command in (("checkout", "-q", "-b", "mine"), ("checkout", "-q", "--detach")):
        assert "HEAD" in taken_back(root, tree, tmp_path / "quarantine", command)
        assert git(root, "symbolic-ref", "HEAD") == "refs/heads/main"


def test_the_first_commit_of_a_repository_is_taken_back(tmp_path: Path) -> None:
    place = tmp_path / "project"
    place.mkdir()
    git(place, "init", "-q", "-b", "main")
    tree = GitTree.open(place, scratch=tmp_path / "scratch")
    commit = ("commit", "-q", "--allow-empty", "-m", "first")
    assert "main moved" in taken_back(place, tree, tmp_path / "quarantine", commit)
    assert git(place, "for-each-ref", "--format=%(refname)") == KEPT


def test_a_planted_hook_goes_to_the_quarantine(root: Path, tmp_path: Path) -> None:
    tree = GitTree.open(root, scratch=tmp_path / "scratch")
    was = tree.steering()
    hook = root / ".git/hooks/pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\n")
    told = tree.take_back(was, tmp_path / "quarantine", KEPT)
    assert "hooks/pre-commit" in told[0]
    assert not hook.exists()
    assert (tmp_path / "quarantine/hooks/pre-commit").read_text() == "#!/bin/sh\n"


def test_a_folder_of_hooks_that_became_a_link_is_a_folder_again(root: Path, tmp_path: Path) -> None:
    hooks = root / ".git/hooks"
    hooks.mkdir(exist_ok=True)
    (hooks / "pre-push").write_text("#!/bin/sh\nexit 0\n")
    (hooks / "pre-push").chmod(0o755)
    tree = GitTree.open(root, scratch=tmp_path / "scratch")
    was = tree.steering()
    outside = tmp_path / "outside"
    hooks.rename(outside)
    hooks.symlink_to(outside)
    (outside / "pre-push").write_text("evil\n")
    tree.take_back(was, tmp_path / "quarantine", KEPT)
    assert not hooks.is_symlink()
    assert (hooks / "pre-push").read_text() == "#!/bin/sh\nexit 0\n"
    assert os.access(hooks / "pre-push", os.X_OK)
    assert (outside / "pre-push").read_text() == "evil\n"


def test_configuration_is_put_back_and_quiet_times_tell_nothing(root: Path, tmp_path: Path) -> None:
    tree = GitTree.open(root, scratch=tmp_path / "scratch")
    before = (root / ".git/config").read_bytes()
    assert taken_back(root, tree, tmp_path / "q") == ""
    assert "config changed" in taken_back(
        root, tree, tmp_path / "q", ("config", "core.fsmonitor", "evil")
    )
    assert (root / ".git/config").read_bytes() == before
    assert tree.take_back(tree.steering(), tmp_path / "q", KEPT) == ()
