"""A clean copy of an exact tree, kept warm between two verifications.

The copy is made outside the project and belongs to us alone, but the checks that run in it are
code that a worker wrote. So before it is used again every path is compared with the
signature it had when it was made, ctime in nanoseconds included, which no ordinary program can
set. What was added is removed, what was touched is written anew; an unchanged copy of
the same tree costs one walk and no process.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable
from pathlib import Path

from orchestrator.errors import WorkspaceError
from orchestrator.workspace.model import Signature
from orchestrator.workspace.walk import blocking_parent, remove_path, signatures

# (the tree, the copy) -> makes the copy equal to the tree. A file that is there already and
# was not removed is still exactly as the writer left it.
WriteTree = Callable[[str, Path], None]
# (the tree, the copy, the files that were written) -> raises where they are not the tree's.
ProveTree = Callable[[str, Path, list[str]], None]


class WarmCopy:
    """One directory that is made equal to one tree after another.

    Args:
        dest: the directory; its parent exists or is made.
        source: the project, to which carried paths are linked.
        scratch: below it an existing directory may be emptied; elsewhere that is refused.
        write: makes the directory equal to a tree.
        forget: called when the directory is emptied, so that the writer starts anew.
        prove: called after the tree was written.
    """

    def __init__(
        self,
        dest: Path,
        source: Path,
        scratch: Path,
        write: WriteTree,
        forget: Callable[[Path], None],
        prove: ProveTree | None = None,
    ) -> None:
        refuse_export_place(dest, source)
        self._dest = dest
        self._source = source
        self._scratch = scratch
        self._write = write
        self._forget = forget
        self._prove = prove
        self._tree: str | None = None
        self._known: dict[str, Signature] = {}
        self._links: tuple[str, ...] = ()

    def refresh(self, tree: str, carry: Iterable[str]) -> None:
        """Make the copy equal to `tree`, with a link for each path of `carry`, and nothing else."""
        links = tuple(sorted({path.rstrip("/") for path in carry}))
        clean = self._tree is not None and self._clean()
        if clean and self._tree == tree and self._links == links:
            return
        known_tree, self._tree = self._tree, None  # until the work is done, nothing is known
        for link in self._links:
            remove_path(self._dest / link)
            self._drop_made_parents(link)
        if known_tree is None:
            self._start_anew()
        if known_tree != tree or not clean:
            self._write(tree, self._dest)
        self._links = tuple(link for link in links if self._place(link))
        known, self._known = self._known, signatures(self._dest, "", dirs=True)
        if self._prove is not None:
            fresh = [path for path, sign in self._known.items() if known.get(path) != sign]
            placed = frozenset(self._links)
            files = [path for path in fresh if not path.endswith("/") and path not in placed]
            self._prove(tree, self._dest, files)
        self._tree = tree

    def touched(self) -> list[str]:
        """Files of the copy that were written, replaced or removed since it was made.

        What was added beside them is not named: a check may leave its output.
        """
        now = signatures(self._dest, "", dirs=True)
        return sorted(
            path
            for path, sign in self._known.items()
            if not path.endswith("/") and path not in self._links and now.get(path) != sign
        )

    def _start_anew(self) -> None:
        """Empty the directory, if it is ours to empty."""
        foreign = self._scratch not in self._dest.parents and not self._known
        if foreign and self._dest.is_dir() and any(self._dest.iterdir()):
            raise WorkspaceError(
                "the directory for a clean copy is not empty, and not ours",
                where=str(self._dest),
                mend="name an empty directory, or one below the scratch area",
            )
        remove_path(self._dest)
        self._known = {}
        self._forget(self._dest)
        self._dest.mkdir(parents=True, mode=0o700)

    def _clean(self) -> bool:
        """Remove what a run added or touched; True where there was nothing."""
        if self._dest.is_symlink() or not self._dest.is_dir():
            self._tree = None
            return False
        now = signatures(self._dest, "", dirs=True)
        if now == self._known:
            return True
        touched = [path for path, sign in now.items() if self._known.get(path) != sign]
        if any(path.endswith("/") and path in self._known for path in touched):
            self._tree = None  # a directory's permissions: start again, whatever it hides
            return False
        for path in touched:
            if blocking_parent(self._dest, path) is None:
                remove_path(self._dest / path)
        self._links = tuple(link for link in self._links if (self._dest / link).is_symlink())
        return False

    def _place(self, link: str) -> bool:
        """Link to the project's own `link`; False where the tree has something there."""
        place, source = self._dest / link, self._source / link
        if not os.path.lexists(source) or blocking_parent(self._dest, link) is not None:
            return False
        if place.is_dir() and not place.is_symlink() and not any(place.iterdir()):
            place.rmdir()  # the empty directory that stands for a nested repository
        if os.path.lexists(place):
            return False
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(source)
        return True

    def _drop_made_parents(self, link: str) -> None:
        for parent in (self._dest / link).parents:
            if parent == self._dest or not parent.is_dir() or any(parent.iterdir()):
                return
            parent.rmdir()


def refuse_export_place(dest: Path, source: Path) -> None:
    """Refuse a copy that would lie in the project, contain it, or be reached through a link."""
    real = Path(os.path.realpath(dest))
    if real == source or source in real.parents or real in source.parents:
        raise WorkspaceError(
            "a clean copy cannot lie in the project or contain it",
            where=str(dest),
            mend="name a directory in the scratch area",
        )
    if dest.is_symlink() or (dest.exists() and not stat.S_ISDIR(dest.lstat().st_mode)):
        raise WorkspaceError(
            "the place for a clean copy is a link or a file", where=str(dest), mend="remove it"
        )
