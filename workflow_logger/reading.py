"""Read entries for people, and prove that one is in the signed tree."""

from __future__ import annotations

import base64
from collections import deque
from collections.abc import Iterable, Iterator

from workflow_logger.entry import Entry, parse_line
from workflow_logger.errors import UsageError
from workflow_logger.files import load_manifest
from workflow_logger.layout import Layout
from workflow_logger.merkle import Tree, leaf_hash


def read_entries(
    layout: Layout, *, task_id: str | None = None, last: int | None = None
) -> Iterable[Entry]:
    """Return the project's entries, or those of one task; only the last `last` of them.

    Raises:
        UsageError: there is no such project.
        EntryError: a line is not an entry.
    """
    load_manifest(layout)
    entries = (entry for entry in _stream(layout) if task_id in (None, entry.task_id))
    return entries if last is None else deque(entries, maxlen=last)


def read_entry(layout: Layout, seq: int) -> Entry:
    """Return one entry. Raises UsageError when there is none."""
    for entry in read_entries(layout):
        if entry.seq == seq:
            return entry
    raise UsageError(f"there is no entry {seq}", where=str(layout.events), mend="see `log`")


def prove(layout: Layout, seq: int) -> dict[str, object]:
    """Return an inclusion proof of entry `seq` in the tree of all entries (FORMAT.md 4)."""
    tree = Tree(entry.leaf for entry in _stream(layout))
    proof = tree.inclusion_proof(seq)
    return {
        "index": seq,
        "size": tree.size,
        "leaf_hash": _b64(leaf_hash(read_entry(layout, seq).leaf)),
        "root": _b64(tree.root()),
        "proof": [_b64(digest) for digest in proof],
    }


def _stream(layout: Layout) -> Iterator[Entry]:
    try:
        with layout.events.open("rb") as file:
            for line in file:
                if line.endswith(b"\n"):
                    yield parse_line(line)
    except FileNotFoundError:
        return


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
