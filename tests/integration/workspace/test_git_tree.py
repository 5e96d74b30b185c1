"""What only git can do, and what only git could be led to do."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import textwrap
from datetime import UTC, datetime
from pathlib import Path

import pytest

from orchestrator.errors import WorkspaceError
from orchestrator.recovery.checkpoint import Checkpoints
from orchestrator.workspace.git import Git
from orchestrator.workspace.tree import GitTree
from tests.integration.workspace.plain_git import git

AT = datetime(2026, 2, 19, 12, 0, 0, tzinfo=UTC)


def names(place: Path) -> list[str]:
    return sorted(entry.name for entry in place.iterdir())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "project"
    (made / "src").mkdir(parents=True)
    (made / "src/app.py").write_text("x = 1\n")
    (made / "readme").write_text("hello\n")
    (made / ".gitignore").write_text("*.log\n")
    git(made, "init", "-q")
    git(made, "add", "-A")
    git(made, "commit", "-qm", "first")
    return made


@pytest.fixture
def space(root: Path, tmp_path: Path) -> GitTree:
    return GitTree.open(root, scratch=tmp_path / "scratch")


def reopen(space: GitTree) -> GitTree:
    return GitTree.open(space.root, scratch=space.scratch)


# --- the user's own repository is left alone -------------------------------------------------------


def test_the_users_index_head_branches_and_status_are_the_same_afterwards(space: GitTree):
    (space.root / "readme").write_text("staged\n")
    git(space.root, "add", "readme")
    (space.root / "readme").write_text("edited\n")
    (space.root / "untracked").write_text("u\n")

    def look() -> list[object]:
        git_dir = space.root / ".git"
        return [
            (git_dir / "index").read_bytes(),
            (git_dir / "HEAD").read_bytes(),
            (git_dir / "config").read_bytes(),
            git(space.root, "for-each-ref", "refs/heads", "refs/tags", "refs/remotes"),
            (names(git_dir)),
            (names(git_dir / "hooks")),
        ]

    before, status = look(), git(space.root, "status", "--porcelain")
    index = (space.root / ".git/index").read_bytes()
    (space.root / ".git/index").write_bytes(index)
    points = Checkpoints(space)
    before = look()
    made = points.create("T-1", "r", at=AT)
    (space.root / "src/app.py").write_text("broken\n")
    (space.root / "more").write_text("more\n")
    space.export(space.snapshot().tree, space.scratch / "copy")
    points.restore(made.checkpoint_id)
    points.prune(0)
    assert look() == before
    assert git(space.root, "status", "--porcelain") == status


def test_a_checkpoint_survives_gc_and_git_itself_finds_nothing_wrong(space: GitTree):
    (space.root / "new.py").write_text("new\n")
    points = Checkpoints(space)
    made = points.create("T-1", "r", at=AT)
    git(space.root, "pack-refs", "--all")
    git(space.root, "gc", "--prune=now", "--quiet")
    git(space.root, "fsck", "--strict")
    assert git(space.root, "cat-file", "-p", made.ref).startswith(f"tree {made.tree}\n")
    (space.root / "new.py").unlink()
    points.restore(made.checkpoint_id)
    assert (space.root / "new.py").read_text() == "new\n"


def test_nothing_changed_costs_one_process_and_a_checkpoint_none(space: GitTree):
    first = space.snapshot()
    points = Checkpoints(space)
    before = space.spawned
    made = points.create("T-1", "r", at=AT, snapshot=first, ignored=space.ignored_state(first))
    assert space.spawned == before
    assert space.snapshot().tree == made.tree
    space.export(made.tree, space.scratch / "copy")
    space.export(made.tree, space.scratch / "copy")
    assert space.spawned == before + 2
    assert space.child_seconds > 0


def test_the_private_index_stays_warm_over_processes(space: GitTree):
    (space.root / "new").write_text("new\n")
    tree = space.snapshot().tree
    other = reopen(space)
    before = other.spawned
    assert other.snapshot().tree == tree
    assert other.spawned == before + 1


# --- repositories of every shape -------------------------------------------------------------------


def test_another_repository_in_the_same_place_is_read_anew(root: Path, tmp_path: Path):
    scratch = tmp_path / "scratch"
    before = GitTree.open(root, scratch=scratch).snapshot().tree
    shutil.rmtree(root)
    root.mkdir()
    (root / "other").write_text("nothing of the first one\n")
    git(root, "init", "-q")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "another first")
    space = GitTree.open(root, scratch=scratch)
    assert space.snapshot().tree == git(root, "rev-parse", "HEAD^{tree}") != before


def test_objects_that_gc_dropped_are_written_again(root: Path, tmp_path: Path):
    scratch = tmp_path / "scratch"
    (root / "untracked").write_text("no commit and no ref knows this\n")
    before = GitTree.open(root, scratch=scratch).snapshot().tree
    git(root, "gc", "-q", "--prune=now")
    space = GitTree.open(root, scratch=scratch)
    (root / "src/app.py").write_text("x = 2\n")
    assert space.snapshot().tree != before
    assert space.read_blob(git(root, "hash-object", "untracked"))


def test_our_own_directory_does_not_grow_with_the_snapshots(space: GitTree):
    space.snapshot()
    sizes = set()
    for number in range(5):
        (space.root / "src/app.py").write_text(f"x = {number}{number}\n")
        space.snapshot()
        sizes.add(sum(not path.endswith("/") for path in space.own_state()))
    assert len(sizes) == 1


def test_a_repository_without_a_commit_is_fine(tmp_path: Path):
    root = tmp_path / "p"
    root.mkdir()
    git(root, "init", "-q")
    space = GitTree.open(root, scratch=tmp_path / "s")
    points = Checkpoints(space)
    made = points.create("T-1", "r", at=AT)
    (root / "a").write_text("a\n")
    assert [c.path for c in space.changes(made.tree, space.snapshot().tree)] == ["a"]
    points.restore(made.checkpoint_id)
    assert names(root) == [".git"]


def test_a_linked_work_tree_is_fine(space: GitTree, tmp_path: Path):
    git(space.root, "worktree", "add", "-q", str(tmp_path / "linked"))
    linked = GitTree.open(tmp_path / "linked", scratch=tmp_path / "s2")
    assert linked.snapshot().tree == space.snapshot().tree
    made = Checkpoints(linked).create("T-1", "r", at=AT)
    assert made.commit in git(space.root, "for-each-ref", "refs/orchestrator")


def test_a_sha256_repository_is_fine(tmp_path: Path):
    root = tmp_path / "p"
    root.mkdir()
    git(root, "init", "-q", "--object-format=sha256")
    (root / "a").write_text("a\n")
    git(root, "add", "-A")
    space = GitTree.open(root, scratch=tmp_path / "s")
    points = Checkpoints(space)
    made = points.create("T-1", "r", at=AT)
    assert len(made.tree) == len(made.commit) == 64
    (root / "a").write_text("b\n")
    points.restore(made.checkpoint_id)
    assert (root / "a").read_text() == "a\n"
    git(root, "fsck", "--strict")


@pytest.mark.parametrize("version", ["3", "4"])
def test_other_index_versions_are_read(root: Path, tmp_path: Path, version: str):
    tree = GitTree.open(root, scratch=tmp_path / "s1").snapshot().tree
    git(root, "update-index", "--index-version", version)
    assert GitTree.open(root, scratch=tmp_path / "s2").snapshot().tree == tree


def test_a_split_index_is_read(root: Path, tmp_path: Path):
    tree = GitTree.open(root, scratch=tmp_path / "s1").snapshot().tree
    git(root, "update-index", "--split-index")
    assert GitTree.open(root, scratch=tmp_path / "s2").snapshot().tree == tree


def test_a_conflicted_index_is_read_as_what_lies_on_the_disk(root: Path, tmp_path: Path):
    git(root, "checkout", "-qb", "other")
    (root / "readme").write_text("other\n")
    git(root, "commit", "-qam", "other")
    git(root, "checkout", "-q", "-")
    (root / "readme").write_text("mine\n")
    git(root, "commit", "-qam", "mine")
    with pytest.raises(subprocess.CalledProcessError):
        git(root, "merge", "other")
    space = GitTree.open(root, scratch=tmp_path / "s")
    space.export(space.snapshot().tree, tmp_path / "s/copy")
    assert (tmp_path / "s/copy/readme").read_bytes() == (root / "readme").read_bytes()


def test_a_tracked_file_that_is_ignored_stays_in_the_tree(root: Path, tmp_path: Path):
    (root / "kept.log").write_text("1\n")
    git(root, "add", "-f", "kept.log")
    space = GitTree.open(root, scratch=tmp_path / "s")
    before = space.snapshot().tree
    (root / "kept.log").write_text("2\n")
    assert [c.path for c in space.changes(before, space.snapshot().tree)] == ["kept.log"]


@pytest.mark.parametrize("flag", ["--assume-unchanged", "--skip-worktree"])
def test_an_edit_cannot_hide_behind_an_index_flag(root: Path, tmp_path: Path, flag: str):
    git(root, "update-index", flag, "readme")
    space = GitTree.open(root, scratch=tmp_path / "s")
    before = space.snapshot().tree
    (root / "readme").write_text("edited\n")
    git(root, "update-index", flag, "src/app.py")
    (root / "src/app.py").write_text("edited\n")
    found = space.changes(before, space.snapshot().tree)
    assert [c.path for c in found] == ["readme", "src/app.py"]


def test_a_forged_index_is_not_believed_after_the_first_opening(space: GitTree):
    tree = space.snapshot().tree
    (space.root / "readme").write_text("HELLO\n")
    git(space.root, "add", "readme")
    blob = git(space.root, "rev-parse", "HEAD:readme")
    raw = (space.root / ".git/index").read_bytes()
    new = git(space.root, "rev-parse", ":readme")
    (space.root / ".git/index").write_bytes(raw.replace(bytes.fromhex(new), bytes.fromhex(blob)))
    assert reopen(space).snapshot().tree != tree


def test_files_with_a_filter_or_line_endings_are_recorded_as_they_lie(root: Path, tmp_path: Path):
    (root / ".gitattributes").write_text("*.txt text eol=crlf\n*.bin filter=lfs\n*.id ident\n")
    git(root, "config", "filter.lfs.clean", "echo pointer")
    git(root, "config", "filter.lfs.smudge", "cat")
    (root / "a.txt").write_bytes(b"1\r\n2\r\n")
    (root / "b.bin").write_bytes(b"large\n")
    (root / "c.id").write_bytes(b"$Id: x $\n")
    git(root, "add", "-A")
    git(root, "config", "filter.lfs.clean", f"touch {tmp_path}/ran")
    space = GitTree.open(root, scratch=tmp_path / "s")
    tree = space.snapshot().tree
    space.export(tree, tmp_path / "s/copy")
    for name in ("a.txt", "b.bin", "c.id"):
        assert (tmp_path / "s/copy" / name).read_bytes() == (root / name).read_bytes()
    assert not (tmp_path / "ran").exists()


def test_a_sparse_checkout_is_refused(root: Path, tmp_path: Path):
    git(root, "sparse-checkout", "set", "--no-cone", "readme")
    with pytest.raises(WorkspaceError, match="sparse"):
        GitTree.open(root, scratch=tmp_path / "s").snapshot()


def test_a_bare_repository_is_refused(tmp_path: Path):
    git(tmp_path, "init", "-q", "--bare", "bare.git")
    with pytest.raises(WorkspaceError, match="bare"):
        GitTree.open(tmp_path / "bare.git", scratch=tmp_path / "s")


def test_a_directory_below_the_top_level_is_refused_and_the_top_is_named(
    root: Path, tmp_path: Path
):
    with pytest.raises(WorkspaceError, match="inside the repository") as caught:
        GitTree.open(root / "src", scratch=tmp_path / "s")
    assert str(root) in caught.value.mend


def test_the_users_own_ignore_rules_hold(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "home/.config/git").mkdir(parents=True)
    (tmp_path / "home/.config/git/ignore").write_text("*.swp\n")
    (root / ".git/info").mkdir(exist_ok=True)
    (root / ".git/info/exclude").write_text("local\n")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    space = GitTree.open(root, scratch=tmp_path / "s")
    before = space.snapshot().tree
    (root / "a.swp").write_text("x")
    (root / "local").write_text("x")
    after = space.snapshot()
    assert after.tree == before
    assert after.ignored_roots == ("a.swp", "local")


# --- git as a confused deputy ----------------------------------------------------------------------


def everything(space: GitTree) -> None:
    """Every operation there is, on a changed tree."""
    (space.root / "src/app.py").write_text("changed\n")
    (space.root / "fresh.py").write_text("x\n")
    points = Checkpoints(space)
    one = points.create("T-1", "r", at=AT)
    (space.root / "fresh.py").write_text("y\n")
    two = space.snapshot()
    space.changes(one.tree, two.tree)
    space.ignored_state(two)
    space.export(two.tree, space.scratch / "copy")
    points.plan(one.checkpoint_id)
    points.restore(one.checkpoint_id)
    points.list()
    points.prune(0)


def trap(tmp_path: Path) -> str:
    script = tmp_path / "trap"
    script.write_text(f"#!/bin/sh\necho $0 $@ >> {tmp_path}/ran\ncat 2>/dev/null\n")
    script.chmod(0o755)
    return str(script)


def evil_config(git_dir: Path, script: str) -> None:
    with (git_dir / "config").open("a") as file:
        file.write(
            f"[core]\n\tfsmonitor = {script}\n\thooksPath = {git_dir}/evil\n"
            f"\tpager = {script}\n\teditor = {script}\n\tsshCommand = {script}\n"
            f"\tgitProxy = {script}\n\talternateRefsCommand = {script}\n"
            f"[diff]\n\texternal = {script}\n"
            f'[diff "x"]\n\tcommand = {script}\n\ttextconv = {script}\n'
            f'[filter "x"]\n\tclean = {script}\n\tsmudge = {script}\n\tprocess = {script}\n'
            f'[merge "x"]\n\tdriver = {script}\n'
            f"[alias]\n\tstatus = !{script}\n"
        )
    for place in ("evil", "hooks"):
        (git_dir / place).mkdir(exist_ok=True)
        for hook in ("reference-transaction", "post-index-change", "post-checkout", "pre-commit"):
            (git_dir / place / hook).write_text(f"#!/bin/sh\n{script} {hook}\n")
            (git_dir / place / hook).chmod(0o755)


def test_configuration_hooks_filters_and_external_diffs_of_a_worker_do_not_run(
    space: GitTree, tmp_path: Path
):
    evil_config(space.root / ".git", trap(tmp_path))
    (space.root / ".gitattributes").write_text("* filter=x diff=x merge=x\n")
    everything(space)
    everything(reopen(space))
    assert not (tmp_path / "ran").exists()


def test_the_trap_of_these_tests_is_a_real_one(space: GitTree, tmp_path: Path):
    evil_config(space.root / ".git", trap(tmp_path))
    subprocess.run(["git", "update-index", "--refresh"], cwd=space.root, check=False)
    subprocess.run(["git", "diff"], cwd=space.root, check=False, capture_output=True)
    assert (tmp_path / "ran").exists()


def test_a_git_file_that_leads_elsewhere_runs_nothing_and_hides_nothing(
    space: GitTree, tmp_path: Path
):
    before = space.snapshot().tree
    evil = tmp_path / "evil"
    evil.mkdir()
    git(evil, "init", "-q")
    evil_config(evil / ".git", trap(tmp_path))
    (space.root / ".git").rename(tmp_path / "hidden")
    (space.root / ".git").write_text(f"gitdir: {evil}/.git\n")
    (space.root / "src/app.py").write_text("changed\n")
    with pytest.raises(WorkspaceError):  # the objects are gone: said, and not guessed
        space.snapshot()
    (tmp_path / "hidden").rename(space.root / ".git2")
    (space.root / ".git").unlink()
    (space.root / ".git2").rename(space.root / ".git")
    assert space.snapshot().tree != before
    assert not (tmp_path / "ran").exists()


def test_a_redirected_commondir_is_refused_at_the_next_opening(space: GitTree, tmp_path: Path):
    evil = tmp_path / "evil"
    evil.mkdir()
    git(evil, "init", "-q")
    evil_config(evil / ".git", trap(tmp_path))
    (space.root / ".git/commondir").write_text(f"{evil}/.git\n")
    everything(space)
    with pytest.raises(WorkspaceError, match="commondir"):
        reopen(space)
    assert not (tmp_path / "ran").exists()


def test_a_work_tree_that_was_pointed_at_anothers_git_directory_is_refused(
    space: GitTree, tmp_path: Path
):
    git(space.root, "worktree", "add", "-q", str(tmp_path / "one"))
    git(space.root, "worktree", "add", "-q", str(tmp_path / "two"))
    shutil.copy(tmp_path / "one/.git", tmp_path / "two/.git")
    with pytest.raises(WorkspaceError, match="another work tree"):
        GitTree.open(tmp_path / "two", scratch=tmp_path / "s2")


@pytest.mark.parametrize("shape", ["nested", "bare", "tracked directory", "committed"])
def test_a_planted_repository_runs_nothing(space: GitTree, tmp_path: Path, shape: str):
    script = trap(tmp_path)
    place = space.root / ("src" if shape == "tracked directory" else "planted")
    place.mkdir(exist_ok=True)
    git(place, "init", "-q", *(["--bare"] if shape == "bare" else []))
    if shape == "committed":
        (place / "f").write_text("f\n")
        git(place, "add", "-A")
        git(place, "commit", "-qm", "x")
    evil_config(place if shape == "bare" else place / ".git", script)
    everything(space)
    everything(reopen(space))
    assert not (tmp_path / "ran").exists()


def test_a_repository_planted_over_tracked_files_hides_no_edit_and_is_moved_away(space: GitTree):
    points = Checkpoints(space)
    made = points.create("T-1", "r", at=AT)
    git(space.root / "src", "init", "-q")
    (space.root / "src/app.py").write_text("evil\n")
    (space.root / "src/new.py").write_text("evil, and new\n")
    after = space.snapshot()
    assert after.planted == ("src/",)
    found = [c.path for c in space.changes(made.tree, after.tree)]
    assert found == ["src/app.py", "src/new.py"]
    done = points.restore(made.checkpoint_id)
    assert done.moved_aside == ("src/.git",)
    assert (names(space.root / "src")) == ["app.py"]


def test_hooks_and_configuration_written_by_a_worker_are_reported(space: GitTree):
    points = Checkpoints(space)
    made = points.create("T-1", "r", at=AT)
    before = space.ignored_state()
    (space.root / ".git/hooks/post-commit").write_text("#!/bin/sh\n")
    with (space.root / ".git/config").open("a") as file:
        file.write("[core]\n\tfsmonitor = evil\n")
    found = {c.path: c.kind for c in space.ignored_changes(before, space.ignored_state())}
    assert found == {".git/hooks/post-commit": "added", ".git/config": "modified"}
    done = points.restore(made.checkpoint_id)
    assert done.not_restorable == (".git/config", ".git/hooks/post-commit")
    assert (space.root / ".git/hooks/post-commit").exists()


def test_attributes_cannot_hide_the_lines_of_a_change(space: GitTree):
    before = space.snapshot().tree
    (space.root / ".gitattributes").write_text("* -diff binary export-ignore\n")
    (space.root / "src/app.py").write_text("x = 2\n")
    found = {c.path: c.lines_added for c in space.changes(before, space.snapshot().tree)}
    assert found == {".gitattributes": 1, "src/app.py": 1}


def test_an_exclude_file_written_by_a_worker_hides_nothing(space: GitTree):
    before = space.snapshot().tree
    (space.root / ".git/info").mkdir(exist_ok=True)
    (space.root / ".git/info/exclude").write_text("*\n")
    (space.root / "evil.py").write_text("evil\n")
    assert [c.path for c in space.changes(before, space.snapshot().tree)] == ["evil.py"]


def test_a_directory_called_git_in_capitals_is_named_and_breaks_nothing(space: GitTree):
    before = space.snapshot().tree
    (space.root / ".GIT").mkdir()
    (space.root / ".GIT/config").write_text("evil\n")
    after = space.snapshot()
    assert after.tree == before
    assert [(f.path, f.reason) for f in after.excluded] == [(".GIT/config", "name")]


@pytest.mark.parametrize("name", [".gitignore", "src/.gitignore", ".gitattributes"])
def test_a_fifo_that_would_hang_git_is_refused_and_a_rollback_moves_it(space: GitTree, name: str):
    points = Checkpoints(space)
    made = points.create("T-1", "r", at=AT)
    (space.root / name).unlink(missing_ok=True)
    os.mkfifo(space.root / name)
    with pytest.raises(WorkspaceError, match="special file"):
        space.snapshot()
    assert name in points.restore(made.checkpoint_id).moved_aside
    assert space.snapshot().tree == made.tree
    assert not (space.root / name).is_fifo()


def test_a_git_that_hangs_is_killed(space: GitTree, tmp_path: Path):
    os.mkfifo(tmp_path / "fifo")
    git = Git({"GIT_DIR": str(space.root / ".git")}, timeout_sec=0.2)
    with pytest.raises(WorkspaceError, match="was killed"):
        git.run(["hash-object", str(tmp_path / "fifo")])


def test_a_ref_directory_that_is_a_link_is_refused(space: GitTree, tmp_path: Path):
    (tmp_path / "outside").mkdir()
    (space.root / ".git/refs/orchestrator").symlink_to(tmp_path / "outside")
    with pytest.raises(WorkspaceError, match="link"):
        Checkpoints(space).create("T-1", "r", at=AT)
    assert names(tmp_path / "outside") == []


@pytest.mark.parametrize("ref", ["refs/heads/main", "refs/orchestrator/../heads/x", "HEAD", ""])
def test_a_ref_outside_our_namespace_is_never_written(space: GitTree, ref: str):
    with pytest.raises(ValueError, match="refs/orchestrator"):
        space.commit(space.snapshot().tree, "x", None, ref)


# --- submodules ------------------------------------------------------------------------------------


@pytest.fixture
def with_submodule(root: Path, tmp_path: Path) -> GitTree:
    library = tmp_path / "library"
    library.mkdir()
    git(library, "init", "-q")
    (library / "lib.py").write_text("1\n")
    git(library, "add", "-A")
    git(library, "commit", "-qm", "lib")
    git(root, "submodule", "--quiet", "add", str(library), "lib")
    git(root, "commit", "-qm", "submodule")
    return GitTree.open(root, scratch=tmp_path / "scratch")


def test_a_dirty_submodule_is_seen_and_cannot_be_restored(with_submodule: GitTree):
    space = with_submodule
    points = Checkpoints(space)
    made = points.create("T-1", "r", at=AT)
    assert space.snapshot().nested == ("lib/",)
    before = space.ignored_state()
    (space.root / "lib/lib.py").write_text("2\n")
    (change,) = space.ignored_changes(before, space.ignored_state())
    assert (change.path, change.nested_repo) == ("lib/lib.py", True)
    assert space.snapshot().tree == made.tree
    assert points.restore(made.checkpoint_id).not_restorable == ("lib/lib.py",)


def test_a_submodule_at_another_commit_is_a_change_of_its_pointer(with_submodule: GitTree):
    space = with_submodule
    points = Checkpoints(space)
    made = points.create("T-1", "r", at=AT)
    (space.root / "lib/lib.py").write_text("2\n")
    git(space.root / "lib", "commit", "-qam", "two")
    (space.root / "readme").write_text("edited\n")
    found = {c.path: c for c in space.changes(made.tree, space.snapshot().tree)}
    assert found["lib"].nested_repo
    assert found["lib"].is_submodule
    done = points.restore(made.checkpoint_id)
    assert done.changed == ("readme",)
    assert {"lib", "lib/lib.py"} <= set(done.not_restorable)
    assert points.restore(made.checkpoint_id).changed == ()


def test_an_untouched_submodule_can_be_carried_into_a_copy(with_submodule: GitTree):
    space, copy = with_submodule, with_submodule.scratch / "copy"
    tree, state = space.snapshot().tree, space.ignored_state()
    carry = space.carryable(state, space.ignored_state())
    assert carry == ("lib/",)
    space.export(tree, copy, carry)
    space.export(tree, copy, carry)
    assert (copy / "lib/lib.py").read_text() == "1\n"
    (space.root / "lib/lib.py").write_text("2\n")
    assert space.carryable(state, space.ignored_state()) == ()


def test_the_configuration_of_a_submodule_does_not_run(with_submodule: GitTree, tmp_path: Path):
    space = with_submodule
    evil_config(space.root / ".git/modules/lib", trap(tmp_path))
    (space.root / "lib/lib.py").write_text("2\n")
    everything(space)
    assert not (tmp_path / "ran").exists()


# --- a kill in the middle --------------------------------------------------------------------------


def test_the_lock_of_a_killed_git_does_not_stop_the_next_run(space: GitTree):
    made = Checkpoints(space).create("T-1", "r", at=AT)
    (space.scratch / "git/index.lock").write_text("")
    (space.root / "src/app.py").write_text("half\n")
    (space.root / "readme").unlink()
    Checkpoints(reopen(space)).restore(made.checkpoint_id)
    assert (space.root / "readme").read_text() == "hello\n"
    assert reopen(space).snapshot().tree == made.tree


@pytest.mark.slow
def test_a_rollback_killed_at_any_moment_is_finished_by_the_next(space: GitTree):
    for number in range(150):
        (space.root / f"src/f{number}.py").write_text(f"{number}\n")
    points = Checkpoints(space)
    made = points.create("T-1", "r", at=AT)
    program = textwrap.dedent(f"""
        import sys
        from pathlib import Path
        from orchestrator.recovery.checkpoint import Checkpoints
        from orchestrator.workspace.tree import GitTree
        space = GitTree.open(Path({str(space.root)!r}), scratch=Path({str(space.scratch)!r}))
        print("ready", flush=True)
        Checkpoints(space).restore({made.checkpoint_id!r})
    """)
    for number in range(5):
        for name in range(150):
            (space.root / f"src/f{name}.py").write_text(f"broken {number}\n")
        child = subprocess.Popen(
            [sys.executable, "-c", program],
            stdout=subprocess.PIPE,
            start_new_session=True,
            cwd=Path(__file__).parents[3],
        )
        assert child.stdout is not None
        child.stdout.readline()
        wait_a_little(child, number * 0.006)
        os.kill(child.pid, signal.SIGKILL)
        child.communicate()
    Checkpoints(reopen(space)).restore(made.checkpoint_id)
    assert reopen(space).snapshot().tree == made.tree
    assert (space.root / "src/f7.py").read_text() == "7\n"


def wait_a_little(child: subprocess.Popen[bytes], seconds: float) -> None:
    try:
        child.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        return
