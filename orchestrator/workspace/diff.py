"""Differences: between two git trees, and between two looks at what no tree holds."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from orchestrator.protocol.changes import Change, ChangeKind
from orchestrator.workspace.model import IgnoredState, Signature

ARGUMENTS: Final = (
    "diff-tree",
    "-r",
    "-z",
    "--raw",
    "--no-abbrev",
    "--no-ext-diff",
    "--no-textconv",
    "--ignore-submodules=none",
)
NO_MODE: Final = "000000"
LINK_MODE: Final = "160000"
_LETTERS: Final[Mapping[str, ChangeKind]] = {
    "A": "added",
    "D": "deleted",
    "M": "modified",
    "R": "renamed",
    "T": "type",
}


@dataclass(frozen=True, slots=True)
class RawChange:
    """One record of `git diff-tree --raw -z`; paths as the file system has them."""

    old_mode: str
    new_mode: str
    old_oid: str
    new_oid: str
    letter: str
    path: str
    old_path: str | None = None

    @property
    def is_written(self) -> bool:
        """Whether the path exists afterwards."""
        return self.new_mode != NO_MODE


def shown(path: str) -> str:
    r"""`path` as text that any JSON can carry: an odd byte becomes `\xhh`."""
    if path.isascii():
        return path
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def parse_raw(out: bytes) -> tuple[list[RawChange], list[tuple[int | None, int | None]]]:
    """Read `--raw [--numstat] -z`: the records, and lines added and removed in the same order."""
    fields = iter(out.split(b"\0"))
    raw: list[RawChange] = []
    counts: list[tuple[int | None, int | None]] = []
    for item in fields:
        if item[:1] == b":":
            raw.append(_raw_record(item, fields))
        elif item:
            added, removed, path = item.split(b"\t", 2)
            if not path:  # a rename: both names follow
                next(fields)
                next(fields)
            counts.append((_count(added), _count(removed)))
    return raw, counts


def _raw_record(head: bytes, rest: Iterator[bytes]) -> RawChange:
    old_mode, new_mode, old_oid, new_oid, letter = head[1:].decode("ascii").split(" ")
    first = os.fsdecode(next(rest))
    if letter[0] in "RC":
        second = os.fsdecode(next(rest))
        return RawChange(old_mode, new_mode, old_oid, new_oid, letter[0], second, first)
    return RawChange(old_mode, new_mode, old_oid, new_oid, letter[0], first)


def _count(field: bytes) -> int | None:
    return None if field == b"-" else int(field)


def changes_of(out: bytes) -> list[Change]:
    """The `Change`s of one `git diff-tree --raw --numstat -z`, sorted by path."""
    raw, counts = parse_raw(out)
    if len(counts) != len(raw):  # git leaves no record out; if it ever does, do not guess
        counts = [(None, None)] * len(raw)
    found = [change_of(record, *lines) for record, lines in zip(raw, counts, strict=True)]
    return sorted(found, key=lambda change: change.path)


def change_of(record: RawChange, added: int | None, removed: int | None) -> Change:
    """The `Change` of one record; None for lines that were not counted."""
    kind = _LETTERS.get(record.letter, "modified")
    if kind == "modified" and record.old_oid == record.new_oid:
        kind = "mode"
    is_link = LINK_MODE in (record.old_mode, record.new_mode)
    return Change(
        path=shown(record.path),
        old_path=None if record.old_path is None else shown(record.old_path),
        kind=kind,
        old_mode=_present(record.old_mode, NO_MODE),
        new_mode=_present(record.new_mode, NO_MODE),
        old_oid=_present(record.old_oid, "0" * len(record.old_oid)),
        new_oid=_present(record.new_oid, "0" * len(record.new_oid)),
        lines_added=None if is_link else added,
        lines_removed=None if is_link else removed,
        nested_repo=is_link,
    )


def _present(value: str, absent: str) -> str | None:
    return None if value == absent else value


def raw_changes(out: bytes) -> list[Change]:
    """Like `changes_of` for output without `--numstat`."""
    raw, _ = parse_raw(out)
    return [change_of(record, None, None) for record in raw]


def ignored_changes(before: IgnoredState, after: IgnoredState) -> list[Change]:
    """What changed outside the trees between two looks, sorted by path.

    Everything is listed, litter such as `__pycache__` too: the reviewer decides what matters.
    A folded directory is one entry, ending in `/`.
    """
    if before.entries == after.entries and before.folded == after.folded:
        return []
    nested = tuple({*before.nested, *after.nested})
    old: dict[str, Signature | str] = {**before.entries, **before.folded}
    new: dict[str, Signature | str] = {**after.entries, **after.folded}
    folded = tuple({*before.folded, *after.folded})
    found = []
    for path in sorted(old.keys() | new.keys()):
        was, now = old.get(path), new.get(path)
        # Listed before and folded now (or the other way round): the directory speaks for both.
        if was == now or (path not in folded and path.startswith(folded)):
            continue
        kind: ChangeKind = "added" if was is None else "deleted" if now is None else "modified"
        if path in folded:
            kind = "modified"
        found.append(
            Change(
                path=shown(path),
                kind=kind,
                old_mode=_mode(was),
                new_mode=_mode(now),
                ignored=True,
                nested_repo=path.startswith(nested) if nested else False,
            )
        )
    return found


def _mode(sign: Signature | str | None) -> str | None:
    return None if sign is None or isinstance(sign, str) else f"{sign[4]:06o}"


def carryable(before: IgnoredState, after: IgnoredState) -> tuple[str, ...]:
    """Roots outside the tree that existed before and that nobody touched: safe to link to.

    Caches that a run writes to are left out, or a check would write into the real project.
    """
    if before.entries == after.entries and before.folded == after.folded:
        touched: tuple[str, ...] = ()
    else:
        touched = tuple(change.path for change in ignored_changes(before, after))
    known = {*before.roots, *before.nested}
    return tuple(
        root
        for root in sorted({*after.roots, *after.nested})
        if root in known and not _is_litter(root) and not _is_touched(shown(root), touched)
    )


_LITTER: Final = frozenset(
    {"__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis", ".tox", ".nox"}
)


def _is_litter(root: str) -> bool:
    name = root.rstrip("/").rpartition("/")[2]
    return name in _LITTER or name.endswith((".pyc", ".pyo"))


def _is_touched(root: str, touched: tuple[str, ...]) -> bool:
    if root.endswith("/"):
        return any(path.startswith(root) for path in touched)
    return root in touched
