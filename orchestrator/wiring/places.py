"""Where a project and its parts are. Light: the quick commands import nothing else."""

from __future__ import annotations

import os
from pathlib import Path

from orchestrator.errors import NothingToDo
from orchestrator.vocabulary import PROGRESS_DIR

CONFIG_FILE = "orchestrator.yaml"
STORE_FILE = "state.db"
_MARKS = (CONFIG_FILE, f"{PROGRESS_DIR}/{STORE_FILE}", f"{PROGRESS_DIR}/task_queue.json", ".git")


def find_root(project_dir: str | None) -> Path:
    """Return the project's folder: the named one, or the nearest one upward that looks like it."""
    named = project_dir or os.environ.get("ORCHESTRATOR_PROJECT")
    if named:
        root = Path(named).absolute()
        if not root.is_dir():
            raise NothingToDo(
                "there is no such folder", where=str(root), mend="name the project's folder"
            )
        return root.resolve()
    here = Path.cwd()
    for folder in (here, *here.parents):
        if any((folder / mark).exists() for mark in _MARKS):
            return folder
    return here
