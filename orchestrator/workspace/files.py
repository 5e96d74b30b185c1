"""A work tree without git: the same promises as `GitTree`, kept with copies of the files.

What has no git has no ignore rules of git either. A `.gitignore` at the root is followed, and the
usual litter and dependency directories are left out (`BUILT_IN_IGNORES`). A directory that
holds a `.git` is a nested repository: its contents are not saved, only watched.
"""

from __future__ import annotations

import json
import os
import stat
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from orchestrator.errors import WorkspaceError
from orchestrator.protocol.changes import Change, ChangeKind
from orchestrator.vocabulary import CONTROL_DIRS
from orchestrator.workspace import diff
from orchestrator.workspace.export import WarmCopy
from orchestrator.workspace.manifest import (
    LINK,
    ContentStore,
    Manifest,
    line_counts,
)
from orchestrator.workspace.model import (
    DEFAULT_SIZE_LIMIT_BYTES,
    DEFAULT_STATE_ENTRIES,
    TRACKED_LIMIT_FACTOR,
    ExcludedFile,
    ExcludedReason,
    IgnoredState,
    RestoreResult,
    Signature,
    Snapshot,
    TreeRef,
)
from orchestrator.workspace.objects import is_own_ref
from orchestrator.workspace.outside import read_state
from orchestrator.workspace.repository import refuse_inner_scratch, refuse_wide_root
from orchestrator.workspace.rollback import in_scope
from orchestrator.workspace.steering import Steering
from orchestrator.workspace.walk import (
    blocking_parent,
    move_aside,
    remove_empty_parents,
    remove_path,
)

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

BUILT_IN_IGNORES: Final = (
    "__pycache__/",
    ".pytest_cache/",
    ".mypy_cache/",
    ".ruff_cache/",
    ".hypothesis/",
    ".venv/",
    "node_modules/",
    "*.pyc",
)
MAX_LINES_BYTES: Final = 1 << 20  # above this size lines are not counted
# A file written within this time before it was read is read again: its times cannot be trusted.
SETTLED_NS: Final = 50_000_000


class FileTree:
    """A plain directory; trees are manifests over a content store in the scratch directory."""

    kind: Literal["git", "files"] = "files"
    child_seconds = 0.0
    spawned = 0

    def __init__(self, root: Path, scratch: Path, *, size_limit_bytes: int) -> None:
        self.root = root
        self.scratch = scratch
        self.size_limit_bytes = size_limit_bytes
        self._base = scratch / "files"
        self._store = ContentStore(self._base)
        self._read: dict[str, tuple[Signature, int, tuple[str, str]]] = {}
        self._copies: dict[Path, tuple[WarmCopy, dict[str, tuple[str, str]]]] = {}

    @classmethod
    def open(
        cls,
        root: Path,
        *,
        scratch: Path,
        allow_home: bool = False,
        size_limit_bytes: int = DEFAULT_SIZE_LIMIT_BYTES,
    ) -> FileTree:
        """Open a directory. Raises WorkspaceError for `/`, the home directory, an inner scratch."""
        real, real_scratch = Path(os.path.realpath(root)), Path(os.path.realpath(scratch))
        refuse_wide_root(real, allow_home=allow_home)
        refuse_inner_scratch(real, real_scratch)
        if not real.is_dir():
            raise WorkspaceError("there is no such directory", where=str(real), mend="make it")
        return cls(real, real_scratch, size_limit_bytes=size_limit_bytes)

    def close(self) -> None:
        """Nothing is held open between calls."""

    # --- looking -------------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        """The exact tree; a file that is unchanged since the last look is not read again."""
        look = _Look(self)
        look.walk()
        self._read = look.read
        manifest = {path: entry[2] for path, entry in look.read.items()}
        nested = tuple(sorted(look.nested))
        return Snapshot(
            tree=self._store.save_tree(manifest),
            excluded=tuple(sorted(look.excluded, key=lambda file: file.path)),
            nested=nested,
            warnings=tuple(
                f"{path} is another repository: its contents are not saved" for path in nested
            ),
            ignored_roots=tuple(sorted(look.ignored)),
        )

    def lend_git(self, dest: Path, base_tree: str) -> None:
        """There is no git to ask."""
        del dest, base_tree

    def own_state(self) -> dict[str, Signature]:
        """What is kept here is named by its content, and read again by it."""
        return {}

    def distrust(self) -> None:
        """Nothing is trusted by its time alone."""

    def steering(self) -> Steering | None:
        """Nothing steers plain files."""
        return None

    def take_back(self, was: Steering | None, quarantine: Path, kept_ref: str) -> tuple[str, ...]:
        """Nothing to undo."""
        del was, quarantine, kept_ref
        return ()

    def ignored_state(
        self, snapshot: Snapshot | None = None, *, cap: int = DEFAULT_STATE_ENTRIES
    ) -> IgnoredState:
        """Signatures of everything that no tree holds."""
        return read_state(self.root, snapshot or self.snapshot(), (), cap)

    # --- comparing -----------------------------------------------------------------------------

    def changes(self, before: str, after: str) -> list[Change]:
        """Differences between two trees, sorted by path; a rename is one of equal contents."""
        if before == after:
            return []
        old, new = self._store.load_tree(before), self._store.load_tree(after)
        gone = {path: old[path] for path in old.keys() - new.keys()}
        found = []
        for path in sorted(new):
            if path not in old:
                source = next((p for p in sorted(gone) if gone[p][1] == new[path][1]), None)
                if source is not None and self._store.content(new[path][1]):
                    found.append(self._change(path, gone.pop(source), new[path], source))
                else:
                    found.append(self._change(path, None, new[path]))
            elif old[path] != new[path]:
                found.append(self._change(path, old[path], new[path]))
        found += [self._change(path, entry, None) for path, entry in gone.items()]
        return sorted(found, key=lambda change: change.path)

    def _change(
        self,
        path: str,
        old: tuple[str, str] | None,
        new: tuple[str, str] | None,
        source: str | None = None,
    ) -> Change:
        added, removed = self._lines(old, new)
        return Change(
            path=diff.shown(path),
            old_path=None if source is None else diff.shown(source),
            kind="renamed" if source is not None else _kind(old, new),
            old_mode=old and old[0],
            new_mode=new and new[0],
            old_oid=old and old[1],
            new_oid=new and new[1],
            lines_added=added,
            lines_removed=removed,
        )

    def _lines(
        self, old: tuple[str, str] | None, new: tuple[str, str] | None
    ) -> tuple[int | None, int | None]:
        sides = [self._store.content(side[1]) if side else None for side in (old, new)]
        if any(side is not None and len(side) > MAX_LINES_BYTES for side in sides):
            return None, None
        return line_counts(sides[0], sides[1])

    def read_blob(self, oid: str) -> bytes:
        """The content of one file of a tree, by its digest."""
        return self._store.content(oid)

    ignored_changes = staticmethod(diff.ignored_changes)
    carryable = staticmethod(diff.carryable)

    # --- copying out ---------------------------------------------------------------------------

    def export(self, tree: str, dest: Path, carry: Iterable[str] = ()) -> None:
        """Make `dest` an exact copy of `tree`, whatever an earlier run left there."""
        real = Path(os.path.realpath(dest.parent)) / dest.name
        if real not in self._copies:
            copy = WarmCopy(real, self.root, self.scratch, self._write_copy, self._forget_copy)
            self._copies[real] = (copy, {})
        self._copies[real][0].refresh(tree, carry)

    def copy_changes(self, dest: Path) -> tuple[str, ...]:
        """Files of a copy that no longer hold what the tree holds."""
        real = Path(os.path.realpath(dest.parent)) / dest.name
        if real not in self._copies:
            return ()
        copy, present = self._copies[real]
        return tuple(
            path
            for path in copy.touched()
            if path in present and not self._store.is_equal(real / path, *present[path])
        )

    def _forget_copy(self, dest: Path) -> None:
        self._copies[dest][1].clear()

    def _write_copy(self, tree: str, dest: Path) -> None:
        wanted, present = self._store.load_tree(tree), self._copies[dest][1]
        for path in present.keys() - wanted.keys():
            if blocking_parent(dest, path) is None:
                remove_path(dest / path)
                remove_empty_parents(dest, path)
        for path, entry in wanted.items():
            if present.get(path) != entry or not os.path.lexists(dest / path):
                self._store.write(dest / path, *entry)
        present.clear()
        present.update(wanted)

    # --- keeping -------------------------------------------------------------------------------

    def commit(
        self, tree: str, message: str, parent: str | None, ref: str, *, at_epoch_sec: int = 0
    ) -> str:
        """Keep `tree` under `ref` (below `refs/orchestrator/`); return the id of the record."""
        if not is_own_ref(ref):
            raise ValueError(f"expected a ref below refs/orchestrator/, found {ref!r}")
        record = {"tree": tree, "parent": parent, "message": message, "at": at_epoch_sec}
        commit = self._store.put(json.dumps(record, sort_keys=True).encode("utf-8"))
        path = self._base / f"{ref}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".tmp")
        temporary.write_text(json.dumps({"commit": commit, **record}))
        temporary.rename(path)
        return commit

    def refs(self, prefix: str) -> list[TreeRef]:
        """Every tree kept below `prefix`, sorted by name."""
        found = []
        for path in sorted((self._base / prefix).rglob("*.json")):
            record = json.loads(path.read_text())
            ref = str(path.relative_to(self._base))[: -len(".json")]
            found.append(TreeRef(ref, record["commit"], record["tree"], record["message"]))
        return found

    def delete_refs(self, refs: Sequence[str]) -> None:
        """Forget kept trees; their contents stay in the store."""
        if not all(is_own_ref(ref) for ref in refs):
            raise ValueError("expected refs below refs/orchestrator/")
        for ref in refs:
            (self._base / f"{ref}.json").unlink(missing_ok=True)

    # --- putting back --------------------------------------------------------------------------

    def clear_hazards(self, quarantine: Path) -> tuple[str, ...]:
        """Nothing here opens a file without looking at its type first."""
        del quarantine
        return ()

    def restore_tree(
        self,
        target: str,
        *,
        current: Snapshot,
        files: Sequence[str] | None,
        keep: Callable[[str], bool],
        quarantine: Path,
    ) -> RestoreResult:
        """Make the work tree equal to `target`; run again after a kill, it finishes."""
        old, new = self._store.load_tree(current.tree), self._store.load_tree(target)
        scope = [
            p for p in old.keys() | new.keys() if in_scope(p, files) and old.get(p) != new.get(p)
        ]
        doomed = sorted(path for path in scope if path not in new)
        kept = tuple(path for path in doomed if keep(path))
        changes = [self._change(p, old.get(p), None) for p in doomed if not keep(p)]
        for path in doomed:
            if not keep(path) and blocking_parent(self.root, path) is None:
                remove_path(self.root / path)
                remove_empty_parents(self.root, path)
        moved: list[str] = []
        for path in sorted(path for path in scope if path in new):
            changes.append(self._change(path, old.get(path), new[path]))
            moved += self._clear_the_way(path, old, quarantine)
            self._store.write(self.root / path, *new[path])
        if changes:
            self._verify(old, new, files, keep)
        return RestoreResult(tuple(changes), tuple(moved), kept)

    def _clear_the_way(self, path: str, old: Manifest, quarantine: Path) -> list[str]:
        block = blocking_parent(self.root, path)
        place = self.root / path
        is_dir = place.is_dir() and not place.is_symlink()
        stranger = block or (path if path not in old or is_dir else None)
        if stranger is not None and os.path.lexists(self.root / stranger):
            return [stranger] if move_aside(self.root, stranger, quarantine) else []
        return []

    def _verify(
        self, old: Manifest, new: Manifest, files: Sequence[str] | None, keep: Callable[[str], bool]
    ) -> None:
        now = self._store.load_tree(self.snapshot().tree)
        wrong = [
            path
            for path in old.keys() | new.keys() | now.keys()
            if in_scope(path, files) and not keep(path) and now.get(path) != new.get(path)
        ]
        if wrong:
            raise WorkspaceError(
                f"{len(wrong)} paths are not as expected after the rollback, first {min(wrong)!r}",
                where=str(self.root),
                mend="stop whatever is still writing there, then roll back again",
            )


def _kind(old: tuple[str, str] | None, new: tuple[str, str] | None) -> ChangeKind:
    if old is None:
        return "added"
    if new is None:
        return "deleted"
    if (old[0] == LINK) != (new[0] == LINK):
        return "type"
    return "mode" if old[1] == new[1] else "modified"


class _Look:
    """One walk over the directory."""

    def __init__(self, tree: FileTree) -> None:
        self._tree = tree
        self._known = tree._read  # noqa: SLF001  a part of FileTree, set apart for its size
        self._store = tree._store  # noqa: SLF001
        self._ignores = _ignore_rules(tree.root)
        self.read: dict[str, tuple[Signature, int, tuple[str, str]]] = {}
        self.excluded: list[ExcludedFile] = []
        self.nested: list[str] = []
        self.ignored: list[str] = []

    def walk(self) -> None:
        stack = [""]
        base = os.fspath(self._tree.root)
        while stack:
            here = stack.pop()
            try:
                with os.scandir(f"{base}/{here}") as entries:
                    listed = list(entries)
            except OSError:
                continue
            if here and any(entry.name == ".git" for entry in listed):
                self.nested.append(here)
                continue
            for entry in listed:
                path = here + entry.name
                if entry.is_dir(follow_symlinks=False):
                    if not here and entry.name in (*CONTROL_DIRS, ".git"):
                        continue
                    if self._is_ignored(path + "/"):
                        self.ignored.append(path + "/")
                    else:
                        stack.append(path + "/")
                elif path not in self._known and self._is_ignored(path):
                    self.ignored.append(path)
                else:
                    self._file(path, entry)

    def _is_ignored(self, path: str) -> bool:
        return bool(self._ignores.match_file(path))

    def _file(self, path: str, entry: os.DirEntry[str]) -> None:
        try:
            info = entry.stat(follow_symlinks=False)
        except OSError:
            return
        sign = (info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns, info.st_mode)
        known = self._known.get(path)
        if known is not None and known[0] == sign and known[1] - sign[3] > SETTLED_NS:
            self.read[path] = known
            return
        reason = self._reason(path, info)
        if reason is not None:
            self.excluded.append(ExcludedFile(path, info.st_size, reason))
            return
        seen_at = time.time_ns()
        self.read[path] = (sign, seen_at, self._store.take(Path(entry.path), info))

    def _reason(self, path: str, info: os.stat_result) -> ExcludedReason | None:
        if stat.S_ISLNK(info.st_mode):
            return None
        if not stat.S_ISREG(info.st_mode):
            return "special"
        limit = self._tree.size_limit_bytes
        if info.st_size > (limit * TRACKED_LIMIT_FACTOR if path in self._known else limit):
            return "size"
        return None if os.access(self._tree.root / path, os.R_OK) else "unreadable"


def _ignore_rules(root: Path) -> GitIgnoreSpec:
    from pathspec import GitIgnoreSpec  # noqa: PLC0415  25 ms; a git project does not pay

    own = root / ".gitignore"
    lines: list[str] = list(BUILT_IN_IGNORES)
    if own.is_file() and not own.is_symlink():
        lines += own.read_bytes().decode("utf-8", "replace").splitlines()
    return GitIgnoreSpec.from_lines(lines)
