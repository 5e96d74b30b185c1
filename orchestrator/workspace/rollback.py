"""Put a git work tree back to an earlier tree, exactly and without leaving the root.

`git read-tree -m -u CURRENT TARGET` does the work: it knows from the private index what lies on
the disk, writes what differs, deletes what is new. Before it runs, whatever stands in its way and
is in neither tree (an ignored file, a link where a directory belongs) is moved to the
quarantine, so that git never writes through a link that a worker left.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from orchestrator.workspace.diff import (
    ARGUMENTS,
    LINK_MODE,
    RawChange,
    change_of,
    parse_raw,
)
from orchestrator.workspace.git import Git
from orchestrator.workspace.model import RestoreResult
from orchestrator.workspace.walk import blocking_parent, move_aside


class GitRollback:
    """One rollback of one work tree."""

    def __init__(self, git: Git, root: Path, private: Path, quarantine: Path) -> None:
        self._git = git
        self._root = root
        self._private = private
        self._quarantine = quarantine

    def run(
        self, current: str, target: str, files: Sequence[str] | None, keep: Callable[[str], bool]
    ) -> tuple[RestoreResult, str]:
        """Restore; the answer also names the tree that the private index holds afterwards."""
        wanted, kept = self._wanted(current, target, files, keep)
        protected = [change for change in kept if keep(change.path)]
        goal = target
        if kept or files is not None:
            if protected:
                current = self._drop_from_index([change.path for change in protected])
            goal = self._overlay(current, wanted)
        if current == goal:
            return RestoreResult((), (), tuple(change.path for change in kept)), current
        moved = self._clear_the_way(wanted)
        self._git.run(["read-tree", "-m", "-u", current, goal], cwd=self._root)
        changes = tuple(change_of(change, None, None) for change in wanted)
        return RestoreResult(changes, moved, tuple(change.path for change in kept)), goal

    def _wanted(
        self, current: str, target: str, files: Sequence[str] | None, keep: Callable[[str], bool]
    ) -> tuple[list[RawChange], list[RawChange]]:
        """Differences to undo, and those left: protected ones, moved nested repositories."""
        if current == target:
            return [], []
        raw, _ = parse_raw(self._git.run([*ARGUMENTS, "--no-renames", current, target]))
        wanted: list[RawChange] = []
        kept: list[RawChange] = []
        for change in raw:
            if not in_scope(change.path, files):
                continue
            moved_link = change.old_mode == change.new_mode == LINK_MODE
            doomed = not change.is_written and keep(change.path)
            (kept if moved_link or doomed else wanted).append(change)
        if files is not None:
            wanted += self._in_the_way(raw, wanted)
        return wanted, kept

    def is_same_but_for(self, found: str, goal: str, keep: Callable[[str], bool]) -> bool:
        """Whether two trees differ in nothing but kept paths."""
        if found == goal:
            return True
        raw, _ = parse_raw(self._git.run([*ARGUMENTS, "--no-renames", goal, found]))
        return all(keep(change.path) for change in raw)

    @staticmethod
    def _in_the_way(raw: list[RawChange], wanted: list[RawChange]) -> list[RawChange]:
        """Deletions out of scope without which a wanted path has no place (file, directory)."""
        chosen = {change.path for change in wanted}
        written = [change.path for change in wanted if change.is_written]
        return [
            change
            for change in raw
            if not change.is_written
            and change.path not in chosen
            and any(
                path.startswith(change.path + "/") or change.path.startswith(path + "/")
                for path in written
            )
        ]

    def _drop_from_index(self, paths: Sequence[str]) -> str:
        """Let the private index forget `paths`; the files stay where they are."""
        given = os.fsencode("".join(f"{path}\0" for path in paths))
        self._git.run(
            ["update-index", "--force-remove", "-z", "--stdin"], cwd=self._root, stdin=given
        )
        return self._git.run(["write-tree"]).decode("ascii").strip()

    def _overlay(self, base: str, wanted: list[RawChange]) -> str:
        """The tree that is `base` with only the wanted differences applied."""
        index = self._private / "overlay.index"
        index.unlink(missing_ok=True)
        extra = {"GIT_INDEX_FILE": str(index)}
        self._git.run(["read-tree", base], extra=extra)
        # Deletions first, so that a directory can take the place of a file.
        ordered = sorted(wanted, key=lambda change: change.is_written)
        lines = "".join(f"{c.new_mode} {c.new_oid}\t{c.path}\0" for c in ordered)
        args = ["update-index", "--replace", "-z", "--index-info"]
        self._git.run(args, extra=extra, stdin=os.fsencode(lines))
        tree = self._git.run(["write-tree"], extra=extra).decode("ascii").strip()
        index.unlink(missing_ok=True)
        return tree

    def _clear_the_way(self, wanted: list[RawChange]) -> tuple[str, ...]:
        """Move away what is in neither tree and stands where something is to be written."""
        gone = {change.path for change in wanted if not change.is_written}
        moved: list[str] = []
        for change in wanted:
            if not change.is_written:
                continue
            block = blocking_parent(self._root, change.path)
            if block is not None:
                if block not in gone and move_aside(self._root, block, self._quarantine):
                    moved.append(block)
            elif change.letter == "A" and self._is_stranger(change.path, gone):
                move_aside(self._root, change.path, self._quarantine)
                moved.append(change.path)
        return tuple(moved)

    def _is_stranger(self, path: str, gone: set[str]) -> bool:
        """Whether something lies at `path` that the current tree does not know."""
        place = self._root / path
        if not os.path.lexists(place):
            return False
        if place.is_dir() and not place.is_symlink():
            return not any(name.startswith(path + "/") for name in gone)
        return True


def in_scope(path: str, files: Sequence[str] | None) -> bool:
    """Whether `path` is one of `files`, or below one of them; None means everything."""
    if files is None:
        return True
    return any(
        path == name.rstrip("/") or path.startswith(name.rstrip("/") + "/") for name in files
    )
