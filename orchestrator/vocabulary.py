"""The words every room shares: paths on disk, the form of an id, the schema version.

One word a thing; `instructions/GLOSSARY.md` explains them.
"""

from __future__ import annotations

from typing import Final, NewType

Sha256 = NewType("Sha256", str)  # 64 lower-case hex digits

SCHEMA_VERSION: Final = 1

ARTIFACTS_ROOT: Final = ".artifacts/agent_runs"
PROGRESS_DIR: Final = "progress"
WORKFLOW_DIR: Final = "workflow"
CONFIG_DIR: Final = ".orchestrator"

# What the controller itself writes in a project; never part of a worker's tree, never a worker's
# to write. Directory names, relative to the project root.
CONTROL_DIRS: Final = (PROGRESS_DIR, WORKFLOW_DIR, ".artifacts", CONFIG_DIR)

# A path segment that is safe on every file system and in a git ref: no "..", no dot at the end.
ID_PATTERN: Final = r"^[A-Za-z0-9](?:\.?[A-Za-z0-9_-]){0,63}$"
