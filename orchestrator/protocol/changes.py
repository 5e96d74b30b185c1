r"""One path that differs between two trees, as the controller itself computed it.

A worker's own list of files is a claim; a `Change` is an observation. Paths are relative to the
project root, with `/` between the parts, in the bytes the file system holds: nothing is folded,
normalised or quoted. A name that is not UTF-8 is shown with each odd byte as `\xhh`.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

ChangeKind = Literal["added", "modified", "deleted", "renamed", "mode", "type"]


class Change(BaseModel):
    """One added, modified, deleted, renamed or re-typed path.

    Modes are git's: `100644`, `100755`, `120000` (symlink), `160000` (a nested repository).
    Object ids are those of the workspace's trees: git object ids, or SHA-256 outside git.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    kind: ChangeKind
    old_path: str | None = None  # only for a rename
    old_mode: str | None = None  # None where the path did not exist before
    new_mode: str | None = None  # None where it does not exist any more
    old_oid: str | None = None
    new_oid: str | None = None
    lines_added: int | None = None  # None for a binary file, and outside the tree
    lines_removed: int | None = None
    ignored: bool = False  # outside the tree: ignored, over the size limit, or git's own file
    nested_repo: bool = False  # a nested repository, or a path inside one
    link_target: str | None = None  # what a new symlink says; None where nobody read it

    @property
    def is_submodule(self) -> bool:
        """Whether either side is a pointer to a commit of another repository."""
        return "160000" in (self.old_mode, self.new_mode)
