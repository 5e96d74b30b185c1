"""The values that a workspace answers with, and the port that both forms fulfil."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from orchestrator.protocol.changes import Change

if TYPE_CHECKING:
    from orchestrator.workspace.steering import Steering

# inode, size in bytes, mtime in ns, ctime in ns, mode: a worker cannot set the ctime, so a file
# whose signature is the same was not written in between.
Signature = tuple[int, int, int, int, int]

ExcludedReason = Literal["size", "special", "name", "unreadable"]

DEFAULT_SIZE_LIMIT_BYTES = 10 * 1024 * 1024
# A file that is in the tree already may grow to this many times the limit before it is left out.
TRACKED_LIMIT_FACTOR = 10
DEFAULT_STATE_ENTRIES = 20_000


@dataclass(frozen=True, slots=True)
class ExcludedFile:
    """A path that no tree holds, and why.

    `size`: an untracked file over the limit. `special`: a FIFO, socket or device. `name`: a part
    of the path is `.git` in other letters, which git refuses. `unreadable`: no permission.
    """

    path: str
    size_bytes: int
    reason: ExcludedReason


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The exact tree at one moment.

    Args:
        tree: id of the tree: a git tree, or SHA-256 of the manifest outside git.
        excluded: files that exist and are not in the tree.
        nested: repositories inside, without their contents; each ends in `/`.
        warnings: sentences a person should read.
        ignored_roots: what the ignore rules leave out; a directory ends in `/`.
        planted: directories of the tree that hold a `.git` which is no nested repository.
    """

    tree: str
    excluded: tuple[ExcludedFile, ...] = ()
    nested: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    ignored_roots: tuple[str, ...] = ()
    planted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class IgnoredState:
    """Signatures of everything that lies in the work tree and is not in the tree.

    That is: ignored files, files over the limit, the contents of nested repositories, and git's own
    configuration and hooks (as `.git/...`). `folded` holds directories with too many
    files to list: a digest over all their signatures.
    """

    roots: tuple[str, ...] = ()
    nested: tuple[str, ...] = ()
    entries: Mapping[str, Signature] = field(default_factory=dict)
    folded: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain lists and objects, for the side file of a checkpoint."""
        return {
            "roots": list(self.roots),
            "nested": list(self.nested),
            "entries": {path: list(sign) for path, sign in self.entries.items()},
            "folded": dict(self.folded),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> IgnoredState:
        """Read what `to_json` made. Raises KeyError, TypeError or ValueError on anything else."""
        entries: dict[str, Signature] = {}
        for path, sign in data["entries"].items():
            inode, size, mtime, ctime, mode = (int(part) for part in sign)
            entries[str(path)] = (inode, size, mtime, ctime, mode)
        folded = {str(path): str(digest) for path, digest in data["folded"].items()}
        return cls(tuple(data["roots"]), tuple(data["nested"]), entries, folded)


@dataclass(frozen=True, slots=True)
class TreeRef:
    """A named tree that is kept: a checkpoint's ref."""

    ref: str
    commit: str
    tree: str
    message: str


@dataclass(frozen=True, slots=True)
class RestoreResult:
    """What `restore_tree` did: the differences it undid, and what it moved out of the way."""

    changes: tuple[Change, ...]
    moved: tuple[str, ...] = ()  # paths that now lie in the quarantine
    kept: tuple[str, ...] = ()  # protected paths, left in place


class Workspace(Protocol):
    """A work tree of which trees can be taken, compared, copied out and put back."""

    root: Path
    scratch: Path

    @property
    def kind(self) -> Literal["git", "files"]:
        """Which form it is."""

    @property
    def child_seconds(self) -> float:
        """Wall time spent waiting for child processes, in seconds."""

    def snapshot(self) -> Snapshot:
        """The exact tree of now."""

    def ignored_state(self, snapshot: Snapshot | None = None) -> IgnoredState:
        """Signatures of what is not in the tree; `snapshot` saves one look at the tree."""

    def changes(self, before: str, after: str) -> list[Change]:
        """Differences between two trees, sorted by path."""

    def ignored_changes(self, before: IgnoredState, after: IgnoredState) -> list[Change]:
        """What changed outside the trees between two looks, sorted by path."""

    def carryable(self, before: IgnoredState, after: IgnoredState) -> tuple[str, ...]:
        """Roots outside the tree that existed before and that nobody touched."""

    def steering(self) -> Steering | None:
        """What steers git here, in full; None outside git."""

    def take_back(self, was: Steering | None, quarantine: Path, kept_ref: str) -> tuple[str, ...]:
        """Undo what was done to it since; one sentence for each thing."""

    def own_state(self) -> dict[str, Signature]:
        """Signatures of what the workspace itself keeps; only its own looks change it."""

    def distrust(self) -> None:
        """Make anew what somebody else wrote there."""

    def lend_git(self, dest: Path, base_tree: str) -> None:
        """Let git answer in a copy, with `base_tree` as its one commit."""

    def read_blob(self, oid: str) -> bytes:
        """The content of one file of a tree, by its id."""

    def export(self, tree: str, dest: Path, carry: Iterable[str] = ()) -> None:
        """Make `dest` an exact copy of `tree`, with links to the carried paths."""

    def copy_changes(self, dest: Path) -> tuple[str, ...]:
        """Files of a copy that no longer hold what the tree holds."""

    def commit(self, tree: str, message: str, parent: str | None, ref: str) -> str:
        """Keep `tree` under `ref`; return the commit's id."""

    def refs(self, prefix: str) -> list[TreeRef]:
        """Every kept tree below `prefix`, sorted by name."""

    def delete_refs(self, refs: Sequence[str]) -> None:
        """Forget kept trees."""

    def clear_hazards(self, quarantine: Path) -> tuple[str, ...]:
        """Move away what would hang a look at the tree; return the moved paths."""

    def restore_tree(
        self,
        target: str,
        *,
        current: Snapshot,
        files: Sequence[str] | None,
        keep: Callable[[str], bool],
        quarantine: Path,
    ) -> RestoreResult:
        """Make the work tree equal to `target`."""

    def close(self) -> None:
        """Let go of what is open."""
