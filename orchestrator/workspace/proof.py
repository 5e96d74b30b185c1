"""Prove that a copy holds what the id of its tree says.

git believes its object store: it does not hash an object again when it reads it, and does not
write one that seems to be there. A worker may write into that store, so it can put other bytes
under the very name that the next snapshot will use: the tree's id would then name one thing, the
work tree hold another, and the checks run on a third. So what was checked out is hashed here.
"""

from __future__ import annotations

import hashlib
import os
import stat
import struct
from collections.abc import Callable, Iterable
from itertools import groupby
from pathlib import Path
from typing import Final, NamedTuple

from orchestrator.errors import WorkspaceError
from orchestrator.workspace.objects import object_id

_MODE: Final = struct.Struct(">I")
_LINK: Final = 0o120000
_FOLDER: Final = b"40000"


class IndexEntry(NamedTuple):
    """One path of an index."""

    name: bytes
    mode: int
    oid: bytes


def read_index(path: Path, id_bytes: int) -> list[IndexEntry]:
    """Read the entries of an index of version 2 or 3, in their order."""
    raw = path.read_bytes()
    _, version, count = struct.unpack_from(">4sII", raw)
    if raw[:4] != b"DIRC" or version not in {2, 3}:
        raise ValueError(f"expected an index of version 2 or 3, found {raw[:4]!r} {version}")
    entries = []
    offset, after_id = 12, 40 + id_bytes
    for _ in range(count):
        # A flag says that two more bytes stand before the name.
        name = offset + after_id + (4 if raw[offset + after_id] & 0x40 else 2)
        end = raw.index(b"\0", name)
        mode = _MODE.unpack_from(raw, offset + 24)[0]
        entries.append(IndexEntry(raw[name:end], mode, raw[offset + 40 : offset + after_id]))
        offset += (end - offset + 8) & ~7
    return entries


def tree_id(entries: Iterable[IndexEntry], object_format: str) -> str:
    """The id of the tree that holds `entries`, which stand in the order of an index."""
    return _tree(entries, 0, lambda: hashlib.new(object_format, usedforsecurity=False)).hex()


def _tree(entries: Iterable[IndexEntry], depth: int, new: Callable[[], hashlib._Hash]) -> bytes:
    parts = []
    for name, group in groupby(entries, lambda entry: entry.name[depth:].partition(b"/")[0]):
        inside = list(group)
        first = inside[0]
        if len(first.name) == depth + len(name):
            parts.append(b"%o %s\0%s" % (first.mode, name, first.oid))
        else:
            oid = _tree(inside, depth + len(name) + 1, new)
            parts.append(b"%s %s\0%s" % (_FOLDER, name, oid))
    body = b"".join(parts)
    digest = new()
    digest.update(b"tree %d\0" % len(body) + body)
    return digest.digest()


def prove_copy(
    tree: str, dest: Path, index: Path, fresh: Iterable[str], object_format: str
) -> None:
    """Hash what was checked out of `tree`.

    Args:
        tree: the id of the whole tree.
        dest: the copy.
        index: the index that the checkout left.
        fresh: paths that were written since the copy was last proved.
        object_format: sha1 or sha256.

    Raises:
        WorkspaceError: an object of the store does not hold what its name says.
    """
    entries = read_index(index, 20 if object_format == "sha1" else 32)
    if tree_id(entries, object_format) != tree:
        raise _forged(f"a folder of the tree {tree}")
    wanted = {entry.name: entry.oid.hex() for entry in entries}
    for path in fresh:
        oid = wanted.get(os.fsencode(path))
        if oid is not None and _blob(dest / path, object_format) != oid:
            raise _forged(f"{path} ({oid})")


def _blob(path: Path, object_format: str) -> str:
    if stat.S_IFMT(path.lstat().st_mode) == _LINK:
        return object_id("blob", os.fsencode(path.readlink()), object_format)
    return object_id("blob", path.read_bytes(), object_format)


def prove_blob(oid: str, content: bytes, object_format: str) -> bytes:
    """Return `content` if its id is `oid`. Raises WorkspaceError."""
    if object_id("blob", content, object_format) != oid:
        raise _forged(oid)
    return content


def _forged(where: str) -> WorkspaceError:
    return WorkspaceError(
        "an object of the repository does not hold what its name says",
        where=where,
        mend="run git fsck, remove the object that it names, and find out who wrote it",
    )
