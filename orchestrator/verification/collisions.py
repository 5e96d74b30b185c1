"""New paths that cannot live beside an old one everywhere: equal once case and form are folded."""

# ruff: noqa: PTH118, PTH208
from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Iterable
from functools import cache


def colliding_paths(tree_dir: str, new: Iterable[str]) -> tuple[str, ...]:
    """Return those of `new` of which some part has a double in its folder."""

    @cache
    def doubles(folder: str) -> Counter[str]:
        try:
            return Counter(_folded(name) for name in os.listdir(folder))
        except OSError:
            return Counter()

    found = []
    for path in new:
        folder = tree_dir
        for part in path.split("/"):
            if doubles(folder)[_folded(part)] > 1:
                found.append(path)
                break
            folder = os.path.join(folder, part)
    return tuple(found)


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
