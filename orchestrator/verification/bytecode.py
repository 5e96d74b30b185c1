"""Python bytecode that a worker left: removed before the checks run.

Python loads `__pycache__/m.*.pyc` instead of `m.py` when a few header bytes fit, and a worker can
make them fit. Such a file is a cache, ignored by git and no part of what is accepted, so it is
neither held against the worker nor believed: it goes.
"""

# Plain paths: this is on the hot path.
# ruff: noqa: PTH108, PTH118, PTH208
from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Final

_CACHE: Final = "__pycache__"


def sweep_bytecode(tree_dir: str, changed: Iterable[str]) -> tuple[str, ...]:
    """Remove changed bytecode, and the bytecode of changed sources.

    Args:
        tree_dir: the tree that the checks will run in.
        changed: changed paths relative to it, ignored ones too; a path that climbs out, or leads
            through a symbolic link, is left alone.

    Returns:
        The removed paths, sorted.
    """
    wanted: set[str] = set()
    for path in changed:
        folder, _, name = path.rpartition("/")
        if name.endswith((".pyc", ".pyo")):
            wanted.add(path)
        elif name == _CACHE or path.endswith(_CACHE + "/"):
            wanted.update(_inside(tree_dir, path.rstrip("/"), ""))
        elif name.endswith(".py"):
            cache = f"{folder}/{_CACHE}" if folder else _CACHE
            wanted.update(_inside(tree_dir, cache, name[:-2]))
    return tuple(path for path in sorted(wanted) if _remove(tree_dir, path))


def _inside(tree_dir: str, folder: str, prefix: str) -> list[str]:
    if not _is_own(tree_dir, folder):
        return []
    try:
        names = os.listdir(os.path.join(tree_dir, folder))
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [
        f"{folder}/{name}"
        for name in names
        if name.startswith(prefix) and name.endswith((".pyc", ".pyo"))
    ]


def _remove(tree_dir: str, path: str) -> bool:
    if not _is_own(tree_dir, path.rpartition("/")[0]):
        return False
    try:
        os.unlink(os.path.join(tree_dir, path))
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return False
    return True


def _is_own(tree_dir: str, folder: str) -> bool:
    """Whether a folder lies in the tree without a `..` and without a link on the way."""
    if folder.startswith("/") or ".." in folder.split("/"):
        return False
    root = os.path.realpath(tree_dir)
    return os.path.realpath(os.path.join(root, folder)) == os.path.normpath(
        os.path.join(root, folder)
    )
