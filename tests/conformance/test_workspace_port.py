"""One suite over the git form and the file-copy form of a workspace."""

from __future__ import annotations

import os
import shutil
import socket
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.errors import NothingToDo, WorkspaceError
from orchestrator.recovery.checkpoint import Checkpoints
from orchestrator.workspace.files import FileTree
from orchestrator.workspace.model import IgnoredState, Snapshot
from orchestrator.workspace.open import open_workspace
from orchestrator.workspace.tree import GitTree
from tests.integration.workspace.plain_git import git

AT = datetime(2026, 2, 19, 12, 0, 0, tzinfo=UTC)
Space = GitTree | FileTree
Steps = list[tuple[str, str, str, bytes]]


def names(place: Path) -> list[str]:
    return sorted(entry.name for entry in place.iterdir())


def fill(root: Path) -> None:
    (root / "src").mkdir(parents=True)
    (root / "src/app.py").write_text("def f():\n    return 1\n")
    (root / "src/tool.sh").write_text("#!/bin/sh\n")
    (root / "src/tool.sh").chmod(0o755)
    (root / "data.bin").write_bytes(b"\0\1\2" * 50)
    (root / "crlf.txt").write_bytes(b"one\r\ntwo\r\n")
    (root / "empty").write_bytes(b"")
    (root / "link").symlink_to("src/app.py")
    (root / "dangling").symlink_to("/nowhere/at/all")
    (root / "with space and 'quote\" ü\n.txt").write_text("odd\n")
    (root / "-dash").write_text("dash\n")
    (root / ".gitignore").write_text("*.log\nbuild/\n__pycache__/\nnode_modules/\n*.pyc\n")
    (root / "node_modules").mkdir()
    (root / "node_modules/m.js").write_text("m\n")


def walk(root: Path) -> dict[str, tuple[str, bytes]]:
    """Everything but git's and the controller's own: kind with the x bit, and bytes."""
    found: dict[str, tuple[str, bytes]] = {}
    for here, dirs, files in os.walk(root):
        if Path(here) == root:
            dirs[:] = [d for d in dirs if d not in {".git", "progress", "workflow", ".artifacts"}]
        for name in [*dirs, *files]:
            path = Path(here) / name
            key = os.fsdecode(os.path.relpath(path, root))
            if path.is_symlink():
                found[key] = ("link", os.fsencode(path.readlink()))
            elif path.is_file():
                mode = "exec" if path.stat().st_mode & 0o100 else "file"
                found[key] = (mode, path.read_bytes())
    return found


@pytest.fixture(params=["git", "files"])
def space(request: pytest.FixtureRequest, tmp_path: Path) -> Space:
    root = tmp_path / "project"
    root.mkdir()
    fill(root)
    if request.param == "git":
        git(root, "init", "-q")
        git(root, "add", "-A")
        git(root, "commit", "-qm", "first")
    opened = open_workspace(root, tmp_path / "scratch")
    assert opened.kind == request.param
    return opened


def changed(space: Space, before: str) -> dict[str, str]:
    return {c.path: c.kind for c in space.changes(before, space.snapshot().tree)}


def test_an_unchanged_tree_has_the_same_id_and_no_changes(space: Space):
    first = space.snapshot()
    assert space.snapshot().tree == first.tree
    assert space.changes(first.tree, first.tree) == []


def test_edits_new_files_deletions_modes_and_types_are_seen(space: Space):
    before = space.snapshot().tree
    (space.root / "src/app.py").write_text("def f():\n    return 2\n")
    (space.root / "new dir").mkdir()
    (space.root / "new dir/ünicode.py").write_text("x\n")
    (space.root / "empty").unlink()
    (space.root / "-dash").chmod(0o755)
    (space.root / "link").unlink()
    (space.root / "link").write_text("a file now, of more than one line\n2\n3\n4\n5\n6\n")
    assert changed(space, before) == {
        "src/app.py": "modified",
        "new dir/ünicode.py": "added",
        "empty": "deleted",
        "-dash": "mode",
        "link": "type",
    }


def test_a_rename_is_one_change_with_both_names(space: Space):
    before = space.snapshot().tree
    (space.root / "src/app.py").rename(space.root / "src/App.py")
    (change,) = space.changes(before, space.snapshot().tree)
    assert (change.kind, change.old_path, change.path) == ("renamed", "src/app.py", "src/App.py")


def test_lines_are_counted_and_binary_files_have_no_count(space: Space):
    before = space.snapshot().tree
    (space.root / "src/app.py").write_text("def f():\n    return 2\n# more\n")
    (space.root / "data.bin").write_bytes(b"\0other")
    found = {c.path: (c.lines_added, c.lines_removed) for c in changes_since(space, before)}
    assert found == {"src/app.py": (2, 1), "data.bin": (None, None)}


def changes_since(space: Space, before: str):
    return space.changes(before, space.snapshot().tree)


def test_carriage_returns_are_content(space: Space):
    before = space.snapshot().tree
    (space.root / "crlf.txt").write_bytes(b"one\ntwo\n")
    assert changed(space, before) == {"crlf.txt": "modified"}


def test_a_name_that_is_not_utf8_is_seen_and_shown_with_escapes(space: Space):
    before = space.snapshot().tree
    Path(os.fsdecode(os.fsencode(space.root) + b"/bad\xff.txt")).write_text("x")
    (change,) = changes_since(space, before)
    assert change.path == "bad\\xff.txt"
    assert change.model_dump_json()


def test_an_edit_with_the_same_size_and_the_old_time_is_seen(space: Space):
    place = space.root / "src/app.py"
    old = place.stat()
    os.utime(place, ns=(10**18, 10**18))
    before = space.snapshot().tree
    place.write_text("def f():\n    return 7\n")
    assert place.stat().st_size == old.st_size
    os.utime(place, ns=(10**18, 10**18))
    assert changed(space, before) == {"src/app.py": "modified"}


def test_the_controllers_own_directories_are_in_no_tree(space: Space):
    before = space.snapshot()
    for name in ("progress", "workflow", ".artifacts", ".orchestrator"):
        (space.root / name).mkdir()
        (space.root / name / "x").write_text("x")
    assert space.snapshot() == before


def test_a_directory_of_that_name_further_down_is_a_workers_own(space: Space):
    before = space.snapshot().tree
    (space.root / "src/workflow").mkdir()
    (space.root / "src/workflow/x").write_text("x")
    assert changed(space, before) == {"src/workflow/x": "added"}


def test_a_large_untracked_file_is_left_out_and_named(tmp_path: Path, space: Space):
    opened = type(space).open(space.root, scratch=tmp_path / "other", size_limit_bytes=1000)
    before = opened.snapshot()
    (space.root / "big").write_bytes(b"x" * 1001)
    after = opened.snapshot()
    assert after.tree == before.tree
    assert [(f.path, f.size_bytes, f.reason) for f in after.excluded] == [("big", 1001, "size")]
    assert [c.path for c in opened.ignored_changes(*both_states(opened, before, after))] == ["big"]


def both_states(
    space: Space, before: Snapshot, after: Snapshot
) -> tuple[IgnoredState, IgnoredState]:
    return space.ignored_state(before), space.ignored_state(after)


def test_fifos_and_sockets_are_noted_and_never_opened(space: Space):
    before = space.snapshot()
    os.mkfifo(space.root / "fifo")
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(os.path.relpath(space.root / "sock"))
    after = space.snapshot()
    assert after.tree == before.tree
    assert {f.path for f in after.excluded if f.reason == "special"} == {"fifo", "sock"}


def test_a_tracked_file_that_became_a_fifo_is_deleted_from_the_tree(space: Space):
    before = space.snapshot().tree
    (space.root / "empty").unlink()
    os.mkfifo(space.root / "empty")
    assert changed(space, before) == {"empty": "deleted"}
    assert space.snapshot().excluded[0].path == "empty"


def test_ignored_litter_and_edits_of_ignored_files_are_listed(space: Space):
    before = space.ignored_state()
    (space.root / "src/__pycache__").mkdir()
    (space.root / "src/__pycache__/a.pyc").write_text("x")
    (space.root / "node_modules/m.js").write_text("evil\n")
    found = {c.path: c.kind for c in space.ignored_changes(before, space.ignored_state())}
    assert found == {"src/__pycache__/a.pyc": "added", "node_modules/m.js": "modified"}


def test_only_untouched_ignored_directories_may_be_carried(space: Space):
    before = space.ignored_state()
    assert space.carryable(before, space.ignored_state()) == ("node_modules/",)
    (space.root / "node_modules/m.js").write_text("evil\n")
    assert space.carryable(before, space.ignored_state()) == ()


def test_more_ignored_files_than_the_cap_are_folded_and_still_compared(space: Space):
    for number in range(30):
        (space.root / f"node_modules/{number}.js").write_text("m\n")
    before = space.ignored_state(cap=10)
    assert before.folded.keys() == {"node_modules/"}
    assert not before.entries.keys() & {"node_modules/m.js"}
    (space.root / "node_modules/3.js").write_text("evil\n")
    after = space.ignored_state(cap=10)
    assert [c.path for c in space.ignored_changes(before, after)] == ["node_modules/"]
    assert space.carryable(before, after) == ()


def test_an_export_is_the_exact_tree_and_nothing_else(tmp_path: Path, space: Space):
    tree = space.snapshot().tree
    space.export(tree, tmp_path / "scratch/copy")
    expected = {k: v for k, v in walk(space.root).items() if not k.startswith("node_modules")}
    assert walk(tmp_path / "scratch/copy") == expected


def test_an_export_that_a_run_dirtied_is_clean_again(tmp_path: Path, space: Space):
    copy, tree = tmp_path / "scratch/copy", space.snapshot().tree
    space.export(tree, copy)
    first = walk(copy)
    (copy / "src/__pycache__").mkdir()
    (copy / "src/__pycache__/a.pyc").write_text("x")
    stamp = (copy / "src/app.py").stat().st_mtime_ns
    (copy / "src/app.py").write_text("def f():\n    return 9\n")
    os.utime(copy / "src/app.py", ns=(stamp, stamp))
    (copy / "empty").unlink()
    (copy / "-dash").chmod(0o755)
    os.mkfifo(copy / "fifo")
    (copy / "emptydir").mkdir()
    space.export(tree, copy)
    assert walk(copy) == first
    assert not (copy / "emptydir").exists()
    assert not os.path.lexists(copy / "fifo")


def test_an_export_whose_directory_became_a_link_writes_nothing_outside(
    tmp_path: Path, space: Space
):
    copy, tree = tmp_path / "scratch/copy", space.snapshot().tree
    space.export(tree, copy)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "app.py").write_text("precious\n")
    shutil.rmtree(copy / "src")
    (copy / "src").symlink_to(outside)
    space.export(tree, copy)
    assert (outside / "app.py").read_text() == "precious\n"
    assert names(outside) == ["app.py"]
    assert not (copy / "src").is_symlink()


def test_a_second_export_follows_the_tree(tmp_path: Path, space: Space):
    copy, first = tmp_path / "scratch/copy", space.snapshot().tree
    space.export(first, copy)
    before = walk(copy)
    shutil.rmtree(space.root / "src")
    (space.root / "src").write_text("a file now\n")
    second = space.snapshot().tree
    space.export(second, copy)
    assert (copy / "src").read_text() == "a file now\n"
    space.export(first, copy)
    assert walk(copy) == before


def test_carried_paths_are_links_and_go_when_they_are_not_carried(tmp_path: Path, space: Space):
    copy, tree = tmp_path / "scratch/copy", space.snapshot().tree
    space.export(tree, copy, ["node_modules/", "not there/"])
    assert (copy / "node_modules").is_symlink()
    assert (copy / "node_modules/m.js").read_text() == "m\n"
    space.export(tree, copy, ["node_modules/"])
    space.export(tree, copy)
    assert not os.path.lexists(copy / "node_modules")
    assert (space.root / "node_modules/m.js").read_text() == "m\n"


@pytest.mark.parametrize("place", [".", "src/copy", ".."])
def test_an_export_into_the_project_or_around_it_is_refused(space: Space, place: str):
    with pytest.raises(WorkspaceError, match="cannot lie in the project"):
        space.export(space.snapshot().tree, space.root / place)


def test_an_export_over_a_strangers_directory_is_refused(tmp_path: Path, space: Space):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("years\n")
    with pytest.raises(WorkspaceError, match="not ours"):
        space.export(space.snapshot().tree, tmp_path / "mine")
    assert (tmp_path / "mine/thesis.txt").read_text() == "years\n"


def test_a_scratch_directory_inside_the_project_is_refused(space: Space):
    with pytest.raises(WorkspaceError, match="inside the project"):
        open_workspace(space.root, space.root / "tmp")


def test_the_home_directory_and_the_root_of_the_machine_are_refused(
    tmp_path: Path, space: Space, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HOME", str(space.root / "src"))
    with pytest.raises(WorkspaceError, match="home directory"):
        open_workspace(space.root, tmp_path / "s2")
    open_workspace(space.root, tmp_path / "s2", allow_home=True)
    with pytest.raises(WorkspaceError, match="home directory"):
        type(space).open(Path("/"), scratch=tmp_path / "s3", allow_home=True)


# --- checkpoints ---------------------------------------------------------------------------------


def test_a_rollback_restores_every_kind_of_change_byte_for_byte(space: Space):
    points = Checkpoints(space)
    before = walk(space.root)
    made = points.create("T-1", "run1", at=AT)
    (space.root / "src/app.py").write_text("broken")
    (space.root / "src/tool.sh").chmod(0o644)
    (space.root / "empty").unlink()
    (space.root / "link").unlink()
    (space.root / "link").symlink_to("/etc/passwd")
    shutil.copytree(space.root / "src", space.root / "deep/er/src")
    (space.root / "crlf.txt").write_bytes(b"one\ntwo\n")
    done = points.restore(made.checkpoint_id)
    assert walk(space.root) == before
    assert not (space.root / "deep").exists()
    assert done.undo_checkpoint is not None
    assert "src/app.py" in done.changed
    assert points.restore(made.checkpoint_id).undo_checkpoint is None


def test_a_second_rollback_does_nothing(space: Space):
    points = Checkpoints(space)
    made = points.create("T-1", "run1", at=AT)
    (space.root / "src/app.py").write_text("broken")
    points.restore(made.checkpoint_id)
    again = points.restore(made.checkpoint_id)
    assert (again.changed, again.undo_checkpoint, again.moved_aside) == ((), None, ())
    assert len(points.list("T-1")) == 2


def test_a_rollback_can_be_undone_and_the_undo_too(space: Space):
    points = Checkpoints(space)
    made = points.create("T-1", "run1", at=AT)
    clean = walk(space.root)
    (space.root / "src/app.py").write_text("work in progress")
    (space.root / "src/more.py").write_text("more")
    dirty = walk(space.root)
    undo = points.restore(made.checkpoint_id).undo_checkpoint
    assert undo is not None
    assert undo.undo_of == made.checkpoint_id
    redo = points.restore(undo.checkpoint_id).undo_checkpoint
    assert walk(space.root) == dirty
    assert redo is not None
    points.restore(redo.checkpoint_id)
    assert walk(space.root) == clean


def test_an_id_names_task_and_second_and_checkpoints_are_found_by_another_process(
    space: Space, tmp_path: Path
):
    made = Checkpoints(space, new_suffix=lambda: "ab12cd3").create("T-1", "run1", at=AT)
    assert made.checkpoint_id == "T-1_20260219T120000Z_ab12cd3"
    assert made.ref == f"refs/orchestrator/checkpoints/T-1/{made.checkpoint_id}"
    other = Checkpoints(open_workspace(space.root, tmp_path / "scratch"))
    assert other.list() == [made] == other.list("T-1")
    assert other.find(made.checkpoint_id) == made
    assert other.list("T-2") == []


def test_an_unknown_checkpoint_is_refused_by_name(space: Space):
    for name in ("T-1_20260219T120000Z_ab12cd3", "../../x", "", "a b"):
        with pytest.raises(NothingToDo, match="no checkpoint"):
            Checkpoints(space).restore(name)


@pytest.mark.parametrize("key", ["", "../x", "a/b", "a..b", "-x", "a b"])
def test_a_task_key_that_could_leave_its_directory_is_refused(space: Space, key: str):
    with pytest.raises(ValueError, match="task key"):
        Checkpoints(space).create(key, "run1", at=AT)


def test_the_plan_says_what_a_rollback_would_do_and_does_nothing(space: Space):
    points = Checkpoints(space)
    made = points.create("T-1", "run1", at=AT)
    (space.root / "src/app.py").write_text("broken")
    (space.root / "new.py").write_text("new, and like nothing else")
    (space.root / "empty").unlink()
    (space.root / "run.log").write_text("new")
    (space.root / "node_modules/m.js").write_text("evil\n")
    dirty = walk(space.root)
    assert [(action.kind, action.path) for action in points.plan(made.checkpoint_id)] == [
        ("write", "empty"),
        ("delete", "new.py"),
        ("cannot restore", "node_modules/m.js"),
        ("move aside", "run.log"),
        ("write", "src/app.py"),
    ]
    assert walk(space.root) == dirty


def test_new_ignored_files_go_to_the_quarantine_and_old_ones_stay(space: Space):
    (space.root / "old.log").write_text("mine")
    points = Checkpoints(space)
    made = points.create("T-1", "run1", at=AT)
    (space.root / "new.log").write_text("litter")
    (space.root / "build").mkdir()
    (space.root / "build/out").write_text("litter")
    (space.root / "old.log").write_text("changed")
    done = points.restore(made.checkpoint_id)
    assert done.moved_aside == ("build/", "new.log")
    assert done.not_restorable == ("old.log",)
    assert done.quarantine is not None
    assert (done.quarantine / "build/out").read_text() == "litter"
    assert not (space.root / "build").exists()
    assert (space.root / "old.log").read_text() == "changed"


def test_a_file_over_the_limit_is_never_deleted(space: Space, tmp_path: Path):
    opened = type(space).open(space.root, scratch=tmp_path / "o", size_limit_bytes=1000)
    (space.root / "big").write_bytes(b"x" * 2000)
    points = Checkpoints(opened)
    made = points.create("T-1", "run1", at=AT)
    assert [file.path for file in made.excluded] == ["big"]
    (space.root / "big").write_bytes(b"small now")
    (space.root / "big2").write_bytes(b"x" * 2000)
    done = points.restore(made.checkpoint_id)
    assert (space.root / "big").read_bytes() == b"small now"
    assert "big" in done.not_restorable
    assert done.moved_aside == ("big2",)


def test_a_rollback_limited_to_paths_leaves_the_rest(space: Space):
    points = Checkpoints(space)
    made = points.create("T-1", "run1", at=AT, files=["src/"])
    (space.root / "src/app.py").write_text("broken")
    (space.root / "src/new.py").write_text("new")
    (space.root / "crlf.txt").write_text("somebody else's work")
    (space.root / "theirs.log").write_text("theirs")
    done = points.restore(made.checkpoint_id)
    assert done.changed == ("src/app.py", "src/new.py")
    assert (space.root / "src/app.py").read_text() == "def f():\n    return 1\n"
    assert not (space.root / "src/new.py").exists()
    assert (space.root / "crlf.txt").read_text() == "somebody else's work"
    assert (space.root / "theirs.log").exists()
    assert points.restore(made.checkpoint_id).changed == ()


def test_a_rollback_over_a_directory_that_became_a_link_writes_nothing_outside(
    space: Space, tmp_path: Path
):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "app.py").write_text("precious\n")
    before = walk(space.root)
    points = Checkpoints(space)
    made = points.create("T-1", "run1", at=AT)
    shutil.rmtree(space.root / "src")
    (space.root / "src").symlink_to(outside)
    points.restore(made.checkpoint_id)
    assert walk(space.root) == before
    assert (outside / "app.py").read_text() == "precious\n"
    assert names(outside) == ["app.py"]


def test_a_rollback_over_an_ignored_link_writes_nothing_outside(space: Space, tmp_path: Path):
    outside = tmp_path / "outside"
    outside.mkdir()
    before = walk(space.root)
    points = Checkpoints(space)
    made = points.create("T-1", "run1", at=AT)
    shutil.rmtree(space.root / "src")
    (space.root / "src").symlink_to(outside)
    with (space.root / ".gitignore").open("a") as rules:
        rules.write("src\n")
    points.restore(made.checkpoint_id)
    assert walk(space.root) == before
    assert names(outside) == []


def test_an_ignored_file_survives_a_worker_that_stopped_ignoring_it(space: Space):
    (space.root / "secret.log").write_text("mine")
    points = Checkpoints(space)
    made = points.create("T-1", "run1", at=AT)
    before = walk(space.root)
    (space.root / ".gitignore").write_text("node_modules/\n")
    points.restore(made.checkpoint_id)
    assert walk(space.root) == before


def test_a_nested_repository_is_named_watched_and_moved_when_it_is_new(space: Space):
    points = Checkpoints(space)
    made = points.create("T-1", "run1", at=AT)
    state, before = space.ignored_state(), walk(space.root)
    nested = space.root / "hidden"
    nested.mkdir()
    git(nested, "init", "-q")
    (nested / "evil.py").write_text("x")
    after = space.snapshot()
    assert after.nested == ("hidden/",)
    assert after.tree == made.tree
    found = {
        c.path: c.nested_repo for c in space.ignored_changes(state, space.ignored_state(after))
    }
    assert found["hidden/evil.py"]
    done = points.restore(made.checkpoint_id)
    assert done.moved_aside == ("hidden/",)
    assert walk(space.root) == before


def test_a_file_in_the_place_of_a_directory_and_back(space: Space):
    points = Checkpoints(space)
    made = points.create("T-1", "run1", at=AT)
    before = walk(space.root)
    shutil.rmtree(space.root / "src")
    (space.root / "src").write_text("file")
    (space.root / "empty").unlink()
    (space.root / "empty").mkdir()
    (space.root / "empty/x").write_text("x")
    points.restore(made.checkpoint_id)
    assert walk(space.root) == before


def test_pruning_keeps_the_newest_of_each_task(space: Space):
    points = Checkpoints(space)
    made = [points.create("T-1", "r", at=AT.replace(second=second)) for second in range(4)]
    other = points.create("T-2", "r", at=AT)
    assert points.prune(2) == [made[0].checkpoint_id, made[1].checkpoint_id]
    assert [c.checkpoint_id for c in points.list("T-1")] == [c.checkpoint_id for c in made[2:]]
    assert points.list("T-2") == [other]
    (space.root / "new.log").write_text("x")
    assert points.restore(made[3].checkpoint_id).moved_aside == ("new.log",)


def test_without_its_side_file_a_checkpoint_restores_and_moves_nothing_by_guess(
    space: Space, tmp_path: Path
):
    made = Checkpoints(space).create("T-1", "r", at=AT)
    shutil.rmtree(tmp_path / "scratch/checkpoints")
    (space.root / "new.log").write_text("x")
    (space.root / "src/app.py").write_text("broken")
    done = Checkpoints(space).restore(made.checkpoint_id)
    assert done.moved_aside == ()
    assert (space.root / "src/app.py").read_text() == "def f():\n    return 1\n"


NAMES = st.sampled_from(["a", "b", "d/x", "d/y", "d/e/z", "ü x", "A", "d", "d/e", "g/h"])
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["write", "delete", "rename", "chmod", "link", "mkdir"]),
        NAMES,
        NAMES,
        st.sampled_from([b"", b"1\n", b"2\n", b"\0\xff", b"x\r\n" * 5]),
    ),
    max_size=12,
)


def play(root: Path, steps: Steps) -> None:
    """Do what can be done of `steps`; a step that the file system refuses is no step."""
    for kind, first, second, content in steps:
        place, other = root / first, root / second
        try:
            if kind == "delete" and place.is_dir() and not place.is_symlink():
                shutil.rmtree(place)
            elif kind == "delete":
                place.unlink()
            elif kind == "rename":
                place.rename(other)
            elif kind == "chmod":
                if not place.is_symlink():
                    place.chmod(0o755 if content else 0o644) if place.is_file() else None
            elif kind == "link":
                place.symlink_to(second)
            else:
                place.parent.mkdir(parents=True, exist_ok=True)
                if kind == "write" and not place.is_symlink():
                    place.write_bytes(content)
        except OSError:
            continue


@pytest.mark.slow
@pytest.mark.parametrize("form", ["git", "files"])
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(before=STEPS, after=STEPS)
def test_any_sequence_of_edits_is_undone_byte_for_byte(
    tmp_path: Path, form: str, before: Steps, after: Steps
):
    base = tmp_path / form
    shutil.rmtree(base, ignore_errors=True)
    root = base / "project"
    root.mkdir(parents=True)
    if form == "git":
        git(root, "init", "-q")
    play(root, before)
    opened = open_workspace(root, base / "scratch")
    points = Checkpoints(opened)
    was = walk(root)
    made = points.create("T-1", "r", at=AT)
    play(root, after)
    points.restore(made.checkpoint_id, undo=False)
    assert walk(root) == was
    opened.export(made.tree, base / "scratch/copy")
    assert walk(base / "scratch/copy") == was


def test_a_check_that_rewrites_what_it_judges_is_named_and_its_output_is_not(
    tmp_path: Path, space: Space
):
    tree, copy = space.snapshot().tree, space.scratch / "copy"
    space.export(tree, copy)
    (copy / "report.xml").write_text("output of a check")
    (copy / "src/tool.sh").touch()
    assert space.copy_changes(copy) == ()
    (copy / "src/app.py").write_text("def f():\n    return 2\n")
    (copy / "empty").unlink()
    assert space.copy_changes(copy) == ("empty", "src/app.py")
    space.export(tree, copy)
    assert space.copy_changes(copy) == ()
