"""Where a ledger's files are (FORMAT.md 1). Names only; nothing here touches the disk.

    <root>/<project_id>/
      .lock                          held while somebody writes
      manifest/project_manifest.json
      manifest/schema_version.json
      manifest/checkpoints.log       signed checkpoints, oldest first
      events.jsonl                   every entry: the truth of this folder
      tasks/<task_id>/events.jsonl   the entries of one task: the same bytes again
      tasks/<task_id>/task_log.md    a view for people
      tasks/<task_id>/artifacts/     what was too large for an entry

Keys, trust and anchors lie elsewhere, so that who can write the ledger cannot replace them:

    <home>/keys/<project_id>.key      the private key, mode 0600
    <home>/trusted/<project_id>.vkey  the public key that is believed
    <home>/anchors/<project_id>.note  the last signed checkpoint

`<home>` is `$ORCHESTRATOR_HOME`, or the user's configuration folder for `orchestrator`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from workflow_logger.entry import check_id

EVENTS: Final = "events.jsonl"
CHECKPOINTS: Final = "manifest/checkpoints.log"
PROJECT_MANIFEST: Final = "manifest/project_manifest.json"
SCHEMA_VERSION: Final = "manifest/schema_version.json"


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths of one project's ledger."""

    project_dir: Path

    @classmethod
    def of(cls, root_dir: str | os.PathLike[str], project_id: str) -> Layout:
        """Return the layout of `project_id` below `root_dir`. Raises UsageError."""
        return cls(Path(root_dir) / check_id(project_id, "project_id"))

    @property
    def project_id(self) -> str:
        """The folder's name."""
        return self.project_dir.name

    @property
    def lock(self) -> Path:
        """The lock file of writers."""
        return self.project_dir / ".lock"

    @property
    def project_manifest(self) -> Path:
        """Which ledger this folder holds."""
        return self.project_dir / PROJECT_MANIFEST

    @property
    def schema_version(self) -> Path:
        """Which format this folder has."""
        return self.project_dir / SCHEMA_VERSION

    @property
    def checkpoints(self) -> Path:
        """The signed checkpoints, oldest first."""
        return self.project_dir / CHECKPOINTS

    @property
    def events(self) -> Path:
        """The project's entries."""
        return self.project_dir / EVENTS

    @property
    def tasks(self) -> Path:
        """The folder of the tasks."""
        return self.project_dir / "tasks"

    def task_dir(self, task_id: str) -> Path:
        """Return the folder of one task. Raises UsageError."""
        return self.tasks / check_id(task_id, "task_id")

    def task_events(self, task_id: str) -> Path:
        """Return the task's entries."""
        return self.task_dir(task_id) / EVENTS

    def task_log(self, task_id: str) -> Path:
        """Return the task's view for people."""
        return self.task_dir(task_id) / "task_log.md"

    def artifacts(self, task_id: str) -> Path:
        """Return the task's folder of large values."""
        return self.task_dir(task_id) / "artifacts"


@dataclass(frozen=True, slots=True)
class Home:
    """Where keys, trust and anchors are kept: outside every project."""

    path: Path

    @classmethod
    def default(cls) -> Home:
        """Return `$ORCHESTRATOR_HOME`, or the user's configuration folder."""
        if named := os.environ.get("ORCHESTRATOR_HOME"):
            return cls(Path(named))
        from platformdirs import user_config_dir  # noqa: PLC0415  seldom needed

        return cls(Path(user_config_dir("orchestrator")))

    def key(self, project_id: str) -> Path:
        """Return the path of the private key."""
        return self.path / "keys" / f"{check_id(project_id, 'project_id')}.key"

    def trusted(self, project_id: str) -> Path:
        """Return the path of the public key that is believed."""
        return self.path / "trusted" / f"{check_id(project_id, 'project_id')}.vkey"

    def anchor(self, project_id: str) -> Path:
        """Return the path of the last signed checkpoint."""
        return self.path / "anchors" / f"{check_id(project_id, 'project_id')}.note"
