"""What lies in the work tree and in no tree of ours, and what can make a look at it hang."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Final

from orchestrator.errors import WorkspaceError
from orchestrator.workspace.model import IgnoredState, Signature, Snapshot
from orchestrator.workspace.walk import fold, git_points, move_aside, signature, signatures

# git opens these wherever it finds them; opening a FIFO waits for a writer for ever.
HAZARDS: Final = frozenset({".gitignore", ".gitattributes", ".gitmodules", ".git"})


def is_hazard(path: str) -> bool:
    """Whether a special file at `path` would make git hang."""
    return path.rpartition("/")[2] in HAZARDS


def refuse_hazards(root: Path, special: tuple[str, ...]) -> None:
    """Raise WorkspaceError where a special file stands in place of one that git opens."""
    for path in special:
        if is_hazard(path):
            raise WorkspaceError(
                "a special file stands where git expects a regular one",
                where=str(root / path),
                mend="remove it, or roll back: a rollback moves it away",
            )


def move_hazards(root: Path, special: tuple[str, ...], quarantine: Path) -> tuple[str, ...]:
    """Move such files away; return their paths."""
    return tuple(path for path in special if is_hazard(path) and move_aside(root, path, quarantine))


def read_state(
    root: Path, snapshot: Snapshot, git_dirs: tuple[Path, ...], cap: int
) -> IgnoredState:
    """Signatures of everything that `snapshot` leaves out.

    Args:
        root: the work tree.
        snapshot: what was left out.
        git_dirs: the git directories that rule this work tree; shown as `.git/...`.
        cap: above so many entries the largest directories are folded into one digest each.
    """
    parts: dict[str, dict[str, Signature]] = {}
    single: dict[str, Signature] = {}
    for path in (*snapshot.ignored_roots, *snapshot.nested):
        if path.endswith("/"):
            parts[path] = signatures(root, path)
        elif (sign := signature(root / path)) is not None:
            single[path] = sign
    for file in snapshot.excluded:
        if (sign := signature(root / file.path)) is not None:
            single[file.path] = sign
    for git_dir in git_dirs:
        single |= git_points(git_dir, ".git")
    if (marker := signature(root / ".git")) is not None and git_dirs and not _is_dir(marker):
        single[".git"] = marker
    for planted in snapshot.planted:
        single |= git_points(root / planted / ".git", planted + ".git")
        if (marker := signature(root / planted / ".git")) is not None and not _is_dir(marker):
            single[planted + ".git"] = marker
    return _fold_largest(snapshot, single, parts, cap)


def _is_dir(sign: Signature) -> bool:
    return stat.S_ISDIR(sign[4])


def _fold_largest(
    snapshot: Snapshot,
    single: dict[str, Signature],
    parts: dict[str, dict[str, Signature]],
    cap: int,
) -> IgnoredState:
    total = len(single) + sum(len(part) for part in parts.values())
    folded: dict[str, str] = {}
    for path in sorted(parts, key=lambda name: -len(parts[name])):
        if total <= cap:
            break
        total -= len(parts[path])
        folded[path] = fold(parts.pop(path))
    for part in parts.values():
        single |= part
    return IgnoredState(snapshot.ignored_roots, snapshot.nested, single, folded)
