"""Open a project as what it is: a git work tree, or plain files."""

from __future__ import annotations

import os
from pathlib import Path

from orchestrator.workspace.files import FileTree
from orchestrator.workspace.model import DEFAULT_SIZE_LIMIT_BYTES
from orchestrator.workspace.repository import find_git_dir
from orchestrator.workspace.tree import GitTree


def open_workspace(
    root: Path,
    scratch: Path,
    *,
    allow_home: bool = False,
    size_limit_bytes: int = DEFAULT_SIZE_LIMIT_BYTES,
) -> GitTree | FileTree:
    """Open `root`; plain files only where there is no git at all, never as a way round a fault.

    Raises:
        WorkspaceError: see `GitTree.open` and `FileTree.open`.
    """
    form = FileTree if find_git_dir(Path(os.path.realpath(root))) is None else GitTree
    return form.open(
        root, scratch=scratch, allow_home=allow_home, size_limit_bytes=size_limit_bytes
    )
