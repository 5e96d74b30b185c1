"""Settings of a project: defaults < `orchestrator.yaml` < flags."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from orchestrator.errors import ContractError
from orchestrator.protocol.base import Many, Wire
from orchestrator.protocol.reading import read_model
from orchestrator.store.files import read_regular
from orchestrator.vocabulary import ID_PATTERN
from orchestrator.wiring.places import CONFIG_FILE


class WorkerSettings(Wire):
    """How agents are started.

    backend: `shim` speaks seed 004's protocol, `command` gives the pack on stdin.
    environment: names of variables that the worker may see besides the usual few.
    """

    backend: str = "shim"
    agent: str = Field(default="codex", pattern=ID_PATTERN)  # what the shim drives
    shim: Many[str] = ("gxd-subagent-shim",)
    command: Many[str] = ()
    environment: Many[str] = ()


class CheckSettings(Wire):
    """How the controller runs the checks.

    environment: names of variables that a check may see besides the usual few.
    on_base: run a passing check on the base tree too, to see whether it has any force.
    reruns: how often a failing check is run again before its failure counts.
    """

    environment: Many[str] = ()
    on_base: bool = True
    reruns: int = Field(default=1, ge=0, le=5)


class LimitSettings(Wire):
    """Bounds of a task's journey; times in seconds."""

    max_rework_rounds: int = Field(default=1, ge=0, le=20)
    max_identical_failures: int = Field(default=2, ge=1, le=20)
    max_interruptions: int = Field(default=5, ge=0)
    max_dispatches: int = Field(default=20, ge=1)
    backoff_sec: int = Field(default=5, ge=0)
    backoff_max_sec: int = Field(default=600, ge=0)


class Settings(Wire):
    """The file `orchestrator.yaml`."""

    schema_version: int = 1
    project_id: str | None = Field(default=None, pattern=ID_PATTERN)
    worker: WorkerSettings = WorkerSettings()
    checks: CheckSettings = CheckSettings()
    limits: LimitSettings = LimitSettings()
    roll_back: bool = True


def load_settings(root: Path) -> Settings:
    """Read the project's settings; defaults when there is no file. Raises ContractError."""
    path = root / CONFIG_FILE
    try:
        data = read_regular(path)
    except FileNotFoundError:
        return Settings()
    except OSError as error:
        raise ContractError(
            f"cannot read the settings: {error.strerror}",
            where=str(path),
            mend="make the file readable",
        ) from error
    return read_model(data, Settings, source=CONFIG_FILE, kind="yaml")
