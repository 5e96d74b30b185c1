"""Which dependencies a manifest names, so that adding one is told from any other edit.

Pure: text in, names out. None means that the format is not read here, or that the text does not
parse; the review then judges the change by its path alone.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

_TABLES: Final = ("dependencies", "dev-dependencies", "build-dependencies")
_NPM: Final = (
    "dependencies",
    "devDependencies",
    "peerDependencies",
    "optionalDependencies",
    "overrides",
)


def dependencies_of(path: str, text: str) -> frozenset[str] | None:
    """Give the dependency names (with what they are pinned to) that a manifest holds."""
    name = path.rpartition("/")[2].lower()
    reader = _READERS.get(name)
    if reader is None and "requirements" in name and name.endswith((".txt", ".in")):
        reader = _requirements
    if reader is None:
        return None
    try:
        return frozenset(reader(text))
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
        return None


def added_dependencies(
    before: Mapping[str, str], after: Mapping[str, str]
) -> tuple[str, ...] | None:
    """Compare manifests of two trees.

    Args:
        before: path -> text of each changed manifest on the base tree; absent when it is new.
        after: path -> text of it now; absent when it was deleted.

    Returns:
        What is named now and was not before, sorted; None when a manifest cannot be read.
    """
    added: set[str] = set()
    for path, text in after.items():
        now = dependencies_of(path, text)
        then = dependencies_of(path, before[path]) if path in before else frozenset()
        if now is None or then is None:
            return None
        added |= now - then
    return tuple(sorted(added))


def _requirements(text: str) -> Iterable[str]:
    for line in text.splitlines():
        entry = line.partition(" #")[0].strip()
        if entry and not entry.startswith("#"):
            yield " ".join(entry.split())


def _pyproject(text: str) -> Iterable[str]:
    document = tomllib.loads(text)
    project = document.get("project", {})
    yield from project.get("dependencies", [])
    for group in project.get("optional-dependencies", {}).values():
        yield from group
    yield from document.get("build-system", {}).get("requires", [])
    for group in document.get("dependency-groups", {}).values():
        yield from (entry for entry in group if isinstance(entry, str))
    tool = document.get("tool", {})
    poetry = tool.get("poetry", {})
    yield from _named(poetry.get("dependencies", {}))
    yield from _named(poetry.get("dev-dependencies", {}))
    for group in poetry.get("group", {}).values():
        yield from _named(group.get("dependencies", {}))
    yield from tool.get("uv", {}).get("dev-dependencies", [])
    yield from _named(tool.get("uv", {}).get("sources", {}))


def _cargo(text: str) -> Iterable[str]:
    document = tomllib.loads(text)
    places = [document, document.get("workspace", {}), *document.get("target", {}).values()]
    for place in places:
        for table in _TABLES:
            yield from _named(place.get(table, {}))
    yield from _named(document.get("patch", {}))


def _package_json(text: str) -> Iterable[str]:
    document = json.loads(text)
    for table in _NPM:
        yield from _named(document.get(table, {}))


def _go_mod(text: str) -> Iterable[str]:
    for line in text.splitlines():
        entry = line.partition("//")[0].strip().removeprefix("require ").strip()
        if re.match(r"^[\w.-]+\.[\w./~-]+ v\d", entry) or entry.startswith("replace "):
            yield entry


def _named(table: Mapping[str, Any]) -> Iterable[str]:
    for name, value in table.items():
        yield f"{name} {json.dumps(value, sort_keys=True, default=str)}"


_READERS: Final[dict[str, Callable[[str], Iterable[str]]]] = {
    "pyproject.toml": _pyproject,
    "cargo.toml": _cargo,
    "package.json": _package_json,
    "go.mod": _go_mod,
    "constraints.txt": _requirements,
}


def is_manifest(path: str) -> bool:
    """Whether `dependencies_of` reads files of this name."""
    name = path.rpartition("/")[2].lower()
    return name in _READERS or ("requirements" in name and name.endswith((".txt", ".in")))
