"""What a rollback finds outside the trees: what is new, what changed, what must be kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from orchestrator.workspace.model import ExcludedFile, IgnoredState, Signature, Snapshot
from orchestrator.workspace.rollback import in_scope


@dataclass(frozen=True, slots=True)
class Leftovers:
    """The things outside the trees, seen from a checkpoint.

    Args:
        new: what came since: files, or directories with `/` at the end. To be moved away.
        changed: what was there, and was changed or deleted since. Cannot be restored.
        protected: files that were outside the tree then, and may not be deleted now.
        protected_dirs: directories of which that is true as a whole; each ends in `/`.
    """

    new: tuple[str, ...]
    changed: tuple[str, ...]
    protected: frozenset[str]
    protected_dirs: tuple[str, ...]

    def is_protected(self, path: str) -> bool:
        """Whether `path` was outside the tree at the time of the checkpoint."""
        return path in self.protected or path.startswith(self.protected_dirs)


def sort_leftovers(
    before: IgnoredState | None,
    now: IgnoredState,
    snapshot: Snapshot,
    excluded_then: Iterable[ExcludedFile],
    scope: Sequence[str] | None,
    look: Callable[[str], Signature | None],
) -> Leftovers:
    """Compare two looks at what no tree holds.

    Where the first look is lost (`before` is None) nothing is called new or changed, so that
    nothing is moved by guess. A path that a tree holds now is not outside any more: what
    happens to it is the tree's business, unless it is protected.
    """
    then = frozenset(file.path for file in excluded_then)
    if before is None:
        return Leftovers((), (), then, ())
    protected = frozenset(before.entries) | then
    outside = _new_paths(before, now, snapshot)
    new = tuple(sorted(path for path in outside if in_scope(path.rstrip("/"), scope)))
    covered = tuple(path for path in new if path.endswith("/"))
    changed = [
        path
        for path, sign in before.entries.items()
        if now.entries.get(path) != sign and not _is_folded(path, now) and look(path) != sign
    ]
    changed += [path for path in before.folded if now.folded.get(path) != before.folded[path]]
    changed += [path for path in now.entries if path.startswith(".git/") or path == ".git"]
    real = (
        path
        for path in changed
        if in_scope(path.rstrip("/"), scope)
        and not path.startswith(covered)
        and before.entries.get(path, ()) != now.entries.get(path)
    )
    return Leftovers(new, tuple(sorted(set(real))), protected, tuple(before.folded))


def _is_folded(path: str, state: IgnoredState) -> bool:
    return path.startswith(tuple(state.folded)) if state.folded else False


def _new_paths(before: IgnoredState, now: IgnoredState, snapshot: Snapshot) -> set[str]:
    """What came since, whole directories where all of it is new."""
    known_roots = {*before.roots, *before.nested}
    fresh_dirs = {
        root
        for root in (*now.roots, *now.nested)
        if root.endswith("/")
        and root not in known_roots
        and not any(path.startswith(root) for path in before.entries)
        and not root.startswith(tuple(before.folded))
        and not any(folded.startswith(root) for folded in before.folded)
    }
    found = set(fresh_dirs)
    inside = tuple(fresh_dirs)
    known_folded = tuple(before.folded)
    planted = tuple(f"{path}.git" for path in snapshot.planted)
    for path in now.entries.keys() - before.entries.keys():
        if path == ".git" or path.startswith((".git/", *inside, *known_folded)):
            continue
        holder = next((git for git in planted if path == git or path.startswith(git + "/")), None)
        found.add(path if holder is None else holder)
    return found
