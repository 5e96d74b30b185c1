"""The private index: made from the user's once, then kept warm.

The first time the user's index file is copied, because it holds the stat cache that spares git
from reading every file again. It is only copied raw where that is exact: no entry is marked
assume-unchanged, skip-worktree or unmerged, no entry lies in the controller's directories, and no
filter or end-of-line rule can have made a blob differ from its file. Otherwise, and whenever the
user's index has changed since (a worker may have written it), a new index is made from its
names and ids alone, and every file is read.

**The second that git cannot see.** git compares times by the second. A file that is changed in the
very second in which the index recorded it, with the same size and its mtime set back, is clean
in the eyes of `git status`. `young_entries` finds the entries recorded in that second; the tree
compares their ctime in nanoseconds before it believes git.
"""

from __future__ import annotations

import json
import os
import stat
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from orchestrator.errors import WorkspaceError
from orchestrator.vocabulary import CONTROL_DIRS
from orchestrator.workspace.git import Git
from orchestrator.workspace.model import Signature
from orchestrator.workspace.repository import Repository
from orchestrator.workspace.walk import signature

# A private index older than this is made anew: git's gc may drop objects after two weeks.
MAX_AGE_SEC: Final = 7 * 24 * 3600
_LINK: Final = "160000"
_CTIME: Final = struct.Struct(">I")
_READABLE_VERSIONS: Final = (2, 3)


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of `git ls-files -s -v -z`."""

    tag: str  # H cached, S skip-worktree, M unmerged; lower case: assume-unchanged
    mode: str
    oid: str
    stage: str
    path: str


def parse_entries(out: bytes) -> list[Entry]:
    """Read `git ls-files -s -v -z`: `TAG MODE OID STAGE<tab>PATH<nul>`."""
    entries = []
    for item in out.split(b"\0"):
        if item:
            head, _, path = item.partition(b"\t")
            tag, mode, oid, stage = head.decode("ascii").split(" ")
            entries.append(Entry(tag, mode, oid, stage, os.fsdecode(path)))
    return entries


class PrivateIndex:
    """Owns `<scratch>/git/index`."""

    def __init__(self, git: Git, private: Path, repository: Repository) -> None:
        self.path = private / "index"
        self._source = private / "index.source"
        self._git = git
        self._repository = repository

    def open(self) -> tuple[bool, frozenset[str]]:
        """Make the index usable: (whether it is still the one of before, its nested paths)."""
        wanted = json.dumps(signature(self._repository.user_index))
        seen = self._source.read_text() if self._source.is_file() else None
        if seen == wanted and self.path.is_file() and not self._is_stale():
            listed = parse_entries(self._git.run(["ls-files", "-s", "-v", "-z"]))
            return True, _links(listed)
        copied = self._copy() if seen is None else None
        listed = self._rebuild() if copied is None else copied
        self._source.write_text(wanted)
        return False, _links(listed)

    def _is_stale(self) -> bool:
        return time.time() - self.path.stat().st_mtime > MAX_AGE_SEC

    def _copy(self) -> list[Entry] | None:
        """Copy the user's index as it is; None where that would not be exact."""
        if self._repository.filtered:
            return None
        try:
            raw = self._repository.user_index.read_bytes()
        except FileNotFoundError:
            self.path.unlink(missing_ok=True)
            return []
        version = int.from_bytes(raw[4:8], "big")
        if version not in _READABLE_VERSIONS or b".gitattributes" in raw:
            return None
        self.path.write_bytes(raw)
        # The file's own time says which entries git has to read again.
        kept = self._repository.user_index.stat()
        os.utime(self.path, ns=(kept.st_atime_ns, kept.st_mtime_ns))
        try:
            listed = parse_entries(self._git.run(["ls-files", "-s", "-v", "-z"]))
        except WorkspaceError:
            return None  # split or sparse: only the user's own git can read it
        plain = all(entry.tag == "H" and not is_control(entry.path) for entry in listed)
        return listed if plain else None

    def _rebuild(self) -> list[Entry]:
        """A new index of the user's names and ids; every file will be read once."""
        user = Git(self._repository.environment())
        listed = parse_entries(user.run(["ls-files", "-s", "-v", "-z"]))
        self._git.child_seconds += user.child_seconds
        self._git.spawned += user.spawned
        self._refuse_sparse(listed)
        kept = [e for e in listed if e.stage == "0" and not is_control(e.path)]
        lines = [f"{e.mode} {e.oid} 0\t{e.path}\0" for e in kept]
        self.path.unlink(missing_ok=True)
        self._git.run(["update-index", "-z", "--index-info"], stdin=os.fsencode("".join(lines)))
        return kept

    def _refuse_sparse(self, listed: list[Entry]) -> None:
        root = self._repository.root
        for entry in listed:
            if entry.tag.upper() == "S" and not os.path.lexists(root / entry.path):
                raise WorkspaceError(
                    "a sparse checkout cannot be snapshot exactly",
                    where=str(root / entry.path),
                    mend="run `git sparse-checkout disable`, or name another clone",
                )


def _links(listed: list[Entry]) -> frozenset[str]:
    return frozenset(entry.path for entry in listed if entry.mode == _LINK)


def is_control(path: str) -> bool:
    """Whether `path` lies in one of the controller's own directories."""
    return path.partition("/")[0] in CONTROL_DIRS


def young_entries(
    index: Path, id_bytes: int, since_sec: int, look: Callable[[str], Signature | None]
) -> dict[str, Signature]:
    """Entries whose recorded ctime is not before `since_sec`, with their signatures of now.

    Args:
        index: an index file of version 2 or 3.
        id_bytes: width of an object id, 20 or 32.
        since_sec: seconds since the epoch, before git looked at the files.
        look: gives the signature of a path relative to the root.
    """
    raw = index.read_bytes() if index.is_file() else b""
    young: dict[str, Signature] = {}
    if raw[:4] != b"DIRC":
        return young
    version, count = struct.unpack_from(">II", raw, 4)
    if version not in _READABLE_VERSIONS:
        raise ValueError(f"expected index version 2 or 3, found {version}")
    offset, after_id = 12, 40 + id_bytes
    for _ in range(count):
        # A flag says that two more bytes stand before the name.
        name = offset + after_id + (4 if raw[offset + after_id] & 0x40 else 2)
        end = raw.index(b"\0", name)
        if _CTIME.unpack_from(raw, offset)[0] >= since_sec:
            path = os.fsdecode(raw[name:end])
            sign = look(path)
            if sign is not None and not stat.S_ISDIR(sign[4]):
                young[path] = sign
        offset += (end - offset + 8) & ~7
    return young
