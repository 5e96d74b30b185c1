r"""The tree of a plain directory: a manifest of paths, modes and SHA-256, and a store of contents.

    <scratch>/files/blobs/<ab>/<rest of the digest>    contents of a file, or target of a link
    <scratch>/files/trees/<digest>.json                [[path, mode, digest], ...] sorted by path

A tree's id is the SHA-256 of its manifest's bytes. Paths are stored as text; a byte that is not
UTF-8 is escaped the way Python does it (surrogates), which JSON carries as `\udcxx`.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from orchestrator.errors import WorkspaceError

FILE: Final = "100644"
EXECUTABLE: Final = "100755"
LINK: Final = "120000"

Manifest = Mapping[str, tuple[str, str]]  # path -> (mode, digest)


class ContentStore:
    """Contents by digest, and manifests by digest. Everything is written whole, then renamed."""

    def __init__(self, base: Path) -> None:
        self._blobs = base / "blobs"
        self._trees = base / "trees"
        self._blobs.mkdir(parents=True, exist_ok=True)
        self._trees.mkdir(parents=True, exist_ok=True)

    def take(self, place: Path, info: os.stat_result) -> tuple[str, str]:
        """Store the contents of a file or link; return its mode and digest."""
        if stat.S_ISLNK(info.st_mode):
            content = os.fsencode(place.readlink())
            return LINK, self.put(content)
        descriptor = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:  # noqa: PTH123  opened without following a link
            content = file.read()
        return EXECUTABLE if info.st_mode & 0o100 else FILE, self.put(content)

    def is_equal(self, place: Path, mode: str, digest: str) -> bool:
        """Whether a path still holds what was written there; missing is not equal."""
        try:
            return self.take(place, place.lstat()) == (mode, digest)
        except OSError:
            return False

    def put(self, content: bytes) -> str:
        """Store `content`; return its digest."""
        digest = hashlib.sha256(content).hexdigest()
        path = self._blob(digest)
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            _write_whole(path, content)
        return digest

    def _blob(self, digest: str) -> Path:
        return self._blobs / digest[:2] / digest[2:]

    def content(self, digest: str) -> bytes:
        """Contents by digest. Raises WorkspaceError where they are missing or altered."""
        path = self._blob(digest)
        try:
            content = path.read_bytes()
        except OSError as error:
            raise WorkspaceError(
                f"saved contents are missing: {error}", where=str(path), mend="restore the scratch"
            ) from error
        if hashlib.sha256(content).hexdigest() != digest:
            raise WorkspaceError(
                "saved contents were altered", where=str(path), mend="restore the scratch directory"
            )
        return content

    def save_tree(self, manifest: Manifest) -> str:
        """Store a manifest; return the tree's id."""
        lines = [[path, *manifest[path]] for path in sorted(manifest)]
        content = json.dumps(lines, separators=(",", ":")).encode("ascii")
        tree = hashlib.sha256(content).hexdigest()
        path = self._trees / f"{tree}.json"
        if not path.exists():
            _write_whole(path, content)
        return tree

    def load_tree(self, tree: str) -> dict[str, tuple[str, str]]:
        """The manifest of a tree. Raises WorkspaceError where it is missing or altered."""
        path = self._trees / f"{tree}.json"
        try:
            content = path.read_bytes()
        except OSError as error:
            raise WorkspaceError(
                f"the tree is not known: {error}", where=str(path), mend="list the checkpoints"
            ) from error
        if hashlib.sha256(content).hexdigest() != tree:
            raise WorkspaceError(
                "a saved tree was altered", where=str(path), mend="restore the scratch directory"
            )
        return {path: (mode, digest) for path, mode, digest in json.loads(content)}

    def write(self, place: Path, mode: str, digest: str) -> None:
        """Put saved contents at `place`, whole or not at all, whatever file or link is there."""
        content = self.content(digest)
        place.parent.mkdir(parents=True, exist_ok=True)
        temporary = place.with_name(f".orchestrator-{os.getpid()}-{digest[:8]}")
        temporary.unlink(missing_ok=True)
        if mode == LINK:
            temporary.symlink_to(os.fsdecode(content))
        else:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            descriptor = os.open(temporary, flags, 0o777 if mode == EXECUTABLE else 0o666)
            with open(descriptor, "wb") as file:  # noqa: PTH123  opened exclusively
                file.write(content)
        temporary.rename(place)


def _write_whole(path: Path, content: bytes) -> None:
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)


def line_counts(old: bytes | None, new: bytes | None) -> tuple[int | None, int | None]:
    """Lines added and removed; None for both where a side is binary (holds a NUL)."""
    # difflib is imported late: only a changed tree outside git needs it.
    from difflib import SequenceMatcher  # noqa: PLC0415

    if b"\0" in (old or b"") or b"\0" in (new or b""):
        return None, None
    before, after = (old or b"").splitlines(), (new or b"").splitlines()
    added, removed = len(after), len(before)
    for block in SequenceMatcher(None, before, after, autojunk=False).get_matching_blocks():
        added -= block.size
        removed -= block.size
    return added, removed
