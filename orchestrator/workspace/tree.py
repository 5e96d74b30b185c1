"""A work tree under git: exact trees, differences, clean copies and rollback.

The user's index is never written; `HEAD`, its branch, hooks and configuration only to take back
what a worker did to them (`steering`). What else is written to the user's repository: blobs and
trees in its object store, and refs below `refs/orchestrator/`.

Cost, in git processes: a snapshot of an unchanged tree 1, of a changed one 3 (4 where a
path went away); `changes` 1, or 0 for equal trees; `commit` 0; `export` 1, or 0 for the
tree that is there already; `restore_tree` 3 to 6.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Literal

from orchestrator.errors import WorkspaceError
from orchestrator.protocol.changes import Change
from orchestrator.vocabulary import CONTROL_DIRS
from orchestrator.workspace import diff, status
from orchestrator.workspace.export import WarmCopy
from orchestrator.workspace.git import Git
from orchestrator.workspace.index import PrivateIndex, young_entries
from orchestrator.workspace.lend import lend_git
from orchestrator.workspace.model import (
    DEFAULT_SIZE_LIMIT_BYTES,
    DEFAULT_STATE_ENTRIES,
    ExcludedFile,
    IgnoredState,
    RestoreResult,
    Signature,
    Snapshot,
    TreeRef,
)
from orchestrator.workspace.objects import commit_bytes, is_own_ref, write_loose_ref, write_object
from orchestrator.workspace.outside import move_hazards, read_state, refuse_hazards
from orchestrator.workspace.proof import prove_blob, prove_copy
from orchestrator.workspace.repository import (
    Repository,
    build_private_dir,
    find_git_dir,
    private_environment,
    read_repository,
    refuse_inner_scratch,
    refuse_wide_root,
)
from orchestrator.workspace.rollback import GitRollback
from orchestrator.workspace.steering import GitSteering, Steering
from orchestrator.workspace.walk import Survey, remove_path, signature, signatures, survey


class GitTree:
    """The work tree of a git repository, looked at through a private git directory.

    One process at a time may use one scratch directory: the caller holds the project's lock.
    """

    kind: Literal["git", "files"] = "git"

    def __init__(self, repository: Repository, scratch: Path, *, size_limit_bytes: int) -> None:
        self.root = repository.root
        self.scratch = scratch
        self.size_limit_bytes = size_limit_bytes
        self._repository = repository
        self._private = build_private_dir(repository, scratch)
        self.git = Git(
            private_environment(repository, self._private), guard=self._private / "running"
        )
        self._user_git = Git(repository.environment())
        self._steering = GitSteering(
            repository.git_dir,
            repository.common_dir,
            self._user_git,
            loose_refs=repository.ref_format == "files",
        )
        self._index = PrivateIndex(self.git, self._private, repository)
        kept, self._links = self._index.open()
        self._tree = self._read_tree_file() if kept else None
        self._young: dict[str, Signature] = self._read_young() if kept else {}
        self._index_seen: Signature | None = None
        self._skip = tuple(f"{name}/" for name in CONTROL_DIRS)
        self._ignored_dirs: tuple[str, ...] = ()
        self._copies: dict[Path, WarmCopy] = {}

    @classmethod
    def open(
        cls,
        root: Path,
        *,
        scratch: Path,
        allow_home: bool = False,
        size_limit_bytes: int = DEFAULT_SIZE_LIMIT_BYTES,
    ) -> GitTree:
        """Open the repository whose top level is `root`. A repository without commits is fine.

        Args:
            root: the top level; not a directory below it.
            scratch: a directory of ours outside `root`; kept between runs, it keeps us fast.
            allow_home: accept the home directory as a project.
            size_limit_bytes: an untracked file over this is left out of every tree.

        Raises:
            WorkspaceError: no repository, a bare or redirected one, a sparse checkout, `/`, the
                home directory, a scratch directory inside `root`, or a git that is too old.
        """
        real, real_scratch = Path(os.path.realpath(root)), Path(os.path.realpath(scratch))
        refuse_wide_root(real, allow_home=allow_home)
        refuse_inner_scratch(real, real_scratch)
        found = find_git_dir(real)
        if found is None:
            raise WorkspaceError(
                "this is not a git repository", where=str(real), mend="open it as plain files"
            )
        repository = read_repository(real, *found)
        return cls(repository, real_scratch, size_limit_bytes=size_limit_bytes)

    @property
    def child_seconds(self) -> float:
        """Wall time spent in git so far, in seconds."""
        return self.git.child_seconds + self._user_git.child_seconds

    @property
    def spawned(self) -> int:
        """Number of git processes started so far."""
        return self.git.spawned + self._user_git.spawned

    def close(self) -> None:
        """Nothing is held open between calls."""

    def own_state(self) -> dict[str, Signature]:
        """Signatures of our own git directory: between two looks of ours nothing there changes."""
        return signatures(self._private.parent, f"{self._private.name}/", dirs=True)

    def distrust(self) -> None:
        """Somebody else wrote there: make it anew, and read every file again."""
        remove_path(self._private)
        build_private_dir(self._repository, self.scratch)
        _, self._links = self._index.open()
        self._tree, self._young, self._index_seen = None, {}, None
        self._copies.clear()

    # --- looking -------------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        """The exact tree of tracked and untracked files, without those the ignore rules name.

        Raises:
            WorkspaceError: git failed, or a FIFO stands where git would open a file.
        """
        seen = survey(self.root, {*self._skip, *self._ignored_dirs})
        refuse_hazards(self.root, seen.special)
        try:
            return self._recorded(seen)
        except WorkspaceError:
            if not self._repository.objects.is_dir():
                raise  # the repository itself was taken away
            # What we remember may name objects that are gone: another repository was put in this
            # place, or git's gc dropped what nothing refers to. Whoever asks again learns more.
            self.distrust()
            return self._recorded(seen)

    def _recorded(self, seen: Survey) -> Snapshot:
        """Bring the private index up to date with the files; the tree that it then holds."""
        since_sec = int(time.time()) - 1  # the kernel's coarse clock may lag a little
        suspects = self._doubt()
        found = self._look()
        intake = status.sort_out(
            self.root,
            found.changed,
            dict.fromkeys([*found.untracked, *suspects]),
            self._links,
            self.size_limit_bytes,
        )
        if self._tree is None or found.staged or intake.add or intake.drop:
            self._record(intake)
        self._watch_the_young(since_sec)
        return self._snapshot_of(seen, found, intake)

    def _doubt(self) -> list[str]:
        """Take from the index what changed in a way that git's clock cannot see; return it."""
        doubted = [path for path, sign in self._young.items() if self._fools_git(path, sign)]
        if doubted:
            self._update_index(["--force-remove"], doubted)
        return doubted

    def _fools_git(self, path: str, was: Signature) -> bool:
        """Whether `path` changed although everything that git compares is the same."""
        now = self._sign(path)
        if now is None or now == was or self._index_seen is None:
            return now is not None and now != was
        if was[2] // 10**9 >= self._index_seen[2] // 10**9:
            return False  # git distrusts such an entry by itself, and reads the file
        same_second = now[2] // 10**9 == was[2] // 10**9 and now[3] // 10**9 == was[3] // 10**9
        return same_second and (now[0], now[1], now[4]) == (was[0], was[1], was[4])

    def _look(self) -> status.Status:
        # The lock is allowed here: what git refreshes is our own index.
        out = self.git.run(status.ARGUMENTS, cwd=self.root, extra={"GIT_OPTIONAL_LOCKS": "1"})
        return status.parse_status(out)

    def _record(self, intake: status.Intake) -> None:
        if intake.drop:
            self._update_index(["--force-remove"], intake.drop)
        if intake.add:
            self._update_index(["--add", "--replace", "--remove"], intake.add)
        self.set_tree(self.git.run(["write-tree"]).decode("ascii").strip())

    def _update_index(self, options: Sequence[str], paths: Iterable[str]) -> None:
        given = os.fsencode("".join(f"{path}\0" for path in paths))
        self.git.run(["update-index", *options, "-z", "--stdin"], cwd=self.root, stdin=given)

    def set_tree(self, tree: str) -> None:
        """Say that the private index now holds `tree`: our own `HEAD` names it."""
        if tree == self._tree:
            return
        body = commit_bytes(tree, "snapshot", None, 0)
        objects = self._private / "objects"
        head = write_object(objects, "commit", body, self._repository.object_format, durable=False)
        before = (self._private / "HEAD").read_text().strip()
        (self._private / "HEAD").write_text(head + "\n")
        if before != head and len(before) == len(head):  # else `own_state` would look at them all
            (objects / before[:2] / before[2:]).unlink(missing_ok=True)
        (self._private / "tree").write_text(f"{head} {tree}\n")
        self._tree = tree

    def _read_tree_file(self) -> str | None:
        """The tree of the last run, if our `HEAD` still names it."""
        with contextlib.suppress(OSError, ValueError):
            head, tree = (self._private / "tree").read_text().split()
            if (self._private / "HEAD").read_text().strip() == head:
                return tree
        return None

    def _snapshot_of(self, seen: Survey, found: status.Status, intake: status.Intake) -> Snapshot:
        self._ignored_dirs = tuple(path for path in found.ignored if path.endswith("/"))
        special = (ExcludedFile(path, 0, "special") for path in seen.special)
        excluded = {file.path: file for file in (*special, *intake.excluded)}
        linked = [f"{path}/" for path in self._links if f"{path}/" in seen.dot_git]
        nested = tuple(sorted([*found.nested, *linked]))
        hidden = (*nested, *self._ignored_dirs)
        planted = tuple(path for path in seen.dot_git if not path.startswith(hidden))
        warnings = [f"{path} is another repository: its contents are not saved" for path in nested]
        warnings += [f"{path} holds a .git, though its files are in the tree" for path in planted]
        if self._tree is None:
            raise WorkspaceError("no tree was recorded", where=str(self.root), mend="try again")
        return Snapshot(
            tree=self._tree,
            excluded=tuple(excluded[path] for path in sorted(excluded)),
            nested=nested,
            warnings=tuple(warnings),
            ignored_roots=tuple(sorted(found.ignored)),
            planted=planted,
        )

    # --- the second that git cannot see (index.py) ---------------------------------------------

    def _sign(self, path: str) -> Signature | None:
        return signature(self.root / path)

    def _watch_the_young(self, since_sec: int) -> None:
        now = signature(self._index.path)
        if now == self._index_seen:
            # Nothing was recorded; what has grown older than a second git sees by itself.
            young = {p: s for p, s in self._young.items() if s[3] // 10**9 >= since_sec}
        else:
            width = 20 if self._repository.object_format == "sha1" else 32
            young = young_entries(self._index.path, width, since_sec, self._sign)
            self._index_seen = now
        if young != self._young:
            self._young = young
            (self._private / "young.json").write_text(json.dumps(young))

    def _read_young(self) -> dict[str, Signature]:
        with contextlib.suppress(OSError, ValueError):
            stored = json.loads((self._private / "young.json").read_text())
            return {path: tuple(sign) for path, sign in stored.items()}
        return {}

    # --- comparing -----------------------------------------------------------------------------

    def ignored_state(
        self, snapshot: Snapshot | None = None, *, cap: int = DEFAULT_STATE_ENTRIES
    ) -> IgnoredState:
        """Signatures of everything that no tree holds; no process where `snapshot` is given."""
        git_dirs = (self._repository.common_dir, self._repository.git_dir)
        return read_state(
            self.root, snapshot or self.snapshot(), tuple(dict.fromkeys(git_dirs)), cap
        )

    def changes(self, before: str, after: str) -> list[Change]:
        """Differences between two trees with renames and line counts, sorted by path."""
        if before == after:
            return []
        args = [*diff.ARGUMENTS, "--numstat", "-M", before, after]
        return diff.changes_of(self.git.run(args, cwd=self.root))

    def read_blob(self, oid: str) -> bytes:
        """The content of one file of a tree, by its id."""
        content = self.git.run(["cat-file", "blob", oid])
        return prove_blob(oid, content, self._repository.object_format)

    ignored_changes = staticmethod(diff.ignored_changes)
    carryable = staticmethod(diff.carryable)

    def steering(self) -> Steering | None:
        """What steers git here: configuration, hooks, `HEAD` and the tip of its branch."""
        return self._steering.note()

    def take_back(self, was: Steering | None, quarantine: Path, kept_ref: str) -> tuple[str, ...]:
        """Undo what was done to it since; one sentence for each thing."""
        if was is None:
            return ()
        return self._steering.take_back(was, quarantine, kept_ref)

    # --- copying out ---------------------------------------------------------------------------

    def export(self, tree: str, dest: Path, carry: Iterable[str] = ()) -> None:
        """Make `dest` an exact copy of `tree`, whatever an earlier run left there.

        Args:
            tree: a tree of this repository.
            dest: a directory outside the project; it is ours from now on.
            carry: paths that no tree holds and that nobody touched (see `carryable`);
                each becomes a link to the real one.
        """
        copy = self._copies.get(dest)
        if copy is None:
            real = Path(os.path.realpath(dest.parent)) / dest.name
            copy = WarmCopy(
                real, self.root, self.scratch, self._write_copy, self._forget_copy, self._prove
            )
            self._copies[dest] = copy
        copy.refresh(tree, carry)

    def lend_git(self, dest: Path, base_tree: str) -> None:
        """Let git answer in a copy, as it answered the worker; undone by the next `export`."""
        real = Path(os.path.realpath(dest.parent)) / dest.name
        lend_git(self.git, self._repository, real, base_tree)

    def copy_changes(self, dest: Path) -> tuple[str, ...]:
        """Files of a copy that no longer hold what the tree holds; one walk where there is none."""
        touched = self._copies[dest].touched() if dest in self._copies else []
        if not touched:
            return ()
        real = Path(os.path.realpath(dest.parent)) / dest.name
        pinned = {"GIT_INDEX_FILE": str(self._copy_index(real)), "GIT_WORK_TREE": str(real)}
        self.git.run(["update-index", "-q", "--refresh"], cwd=real, extra=pinned, allowed=(0, 1))
        out = self.git.run(["diff-files", "--name-only", "-z"], cwd=real, extra=pinned)
        return tuple(sorted(os.fsdecode(path) for path in out.split(b"\0") if path))

    def _copy_index(self, dest: Path) -> Path:
        name = hashlib.sha256(os.fsencode(dest)).hexdigest()[:16]
        return self._private / f"copy-{name}.index"

    def _forget_copy(self, dest: Path) -> None:
        self._copy_index(dest).unlink(missing_ok=True)
        self._copy_index(dest).with_suffix(".index.lock").unlink(missing_ok=True)

    def _write_copy(self, tree: str, dest: Path) -> None:
        pinned = {"GIT_INDEX_FILE": str(self._copy_index(dest)), "GIT_WORK_TREE": str(dest)}
        self.git.run(["read-tree", "--reset", "-u", tree], cwd=dest, extra=pinned)

    def _prove(self, tree: str, dest: Path, fresh: list[str]) -> None:
        prove_copy(tree, dest, self._copy_index(dest), fresh, self._repository.object_format)

    # --- keeping -------------------------------------------------------------------------------

    def commit(
        self, tree: str, message: str, parent: str | None, ref: str, *, at_epoch_sec: int = 0
    ) -> str:
        """Keep `tree` as a commit under `ref` (below `refs/orchestrator/`); return its id."""
        if not is_own_ref(ref):
            raise ValueError(f"expected a ref below refs/orchestrator/, found {ref!r}")
        body = commit_bytes(tree, message, parent, at_epoch_sec)
        repository = self._repository
        oid = write_object(
            repository.objects, "commit", body, repository.object_format, durable=True
        )
        if repository.ref_format == "files":
            write_loose_ref(repository.common_dir, ref, oid)
        else:
            self._user_git.run(["update-ref", ref, oid])
        return oid

    def refs(self, prefix: str) -> list[TreeRef]:
        """Every commit kept below `prefix`, sorted by name; a prefix ends before a `/`."""
        form = "%(refname)%00%(objectname)%00%(tree)%00%(contents)%00%01"
        out = self._user_git.run(["for-each-ref", f"--format={form}", prefix])
        found = []
        for item in out.decode("utf-8", "replace").split("\0\1"):
            parts = item.lstrip("\n").split("\0")
            if len(parts) == 4:  # noqa: PLR2004  the four fields above
                found.append(TreeRef(*parts))
        return found

    def delete_refs(self, refs: Sequence[str]) -> None:
        """Forget kept commits; git's gc drops what nothing else needs."""
        if not all(is_own_ref(ref) for ref in refs):
            raise ValueError("expected refs below refs/orchestrator/")
        if refs:
            given = "".join(f"delete {ref}\n" for ref in refs)
            self._user_git.run(["update-ref", "--stdin"], stdin=given.encode())

    # --- putting back --------------------------------------------------------------------------

    def clear_hazards(self, quarantine: Path) -> tuple[str, ...]:
        """Move away the special files that would make git hang; return their paths."""
        seen = survey(self.root, self._skip)
        return move_hazards(self.root, seen.special, quarantine)

    def restore_tree(
        self,
        target: str,
        *,
        current: Snapshot,
        files: Sequence[str] | None,
        keep: Callable[[str], bool],
        quarantine: Path,
    ) -> RestoreResult:
        """Make the work tree equal to `target`; run again after a kill, it finishes.

        Args:
            target: a tree of this repository.
            current: the snapshot of now.
            files: paths or directories to restore; None for everything.
            keep: tells of a path whether it may not be deleted, whatever the trees say.
            quarantine: where things that stand in the way are moved.

        Raises:
            WorkspaceError: the tree is not equal to `target` afterwards.
        """
        since_sec = int(time.time()) - 1
        rollback = GitRollback(self.git, self.root, self._private, quarantine)
        result, tree = rollback.run(current.tree, target, files, keep)
        self.set_tree(tree)
        self._watch_the_young(since_sec)
        after = self.snapshot()
        if not rollback.is_same_but_for(after.tree, tree, keep):
            raise WorkspaceError(
                f"the work tree is {after.tree} after the rollback, expected {tree}",
                where=str(self.root),
                mend="stop whatever is still writing there, then roll back again",
            )
        return result
