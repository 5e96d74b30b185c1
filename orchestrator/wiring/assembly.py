"""Puts the engine together: every adapter is built here and nowhere else."""

from __future__ import annotations

import os
from pathlib import Path

from orchestrator.engine.controller import ControllerEngine
from orchestrator.engine.ports import Parts
from orchestrator.engine.reports import CycleOptions
from orchestrator.kernel.journey import Limits
from orchestrator.recovery.checkpoint import Checkpoints
from orchestrator.store.evidence import FileEvidence
from orchestrator.verification.checks import CheckRunner
from orchestrator.vocabulary import ARTIFACTS_ROOT, WORKFLOW_DIR
from orchestrator.wiring.flags import RunFlags, with_flags
from orchestrator.wiring.inputs import FileContracts, FilePacks, load_map
from orchestrator.wiring.places import CONFIG_FILE
from orchestrator.wiring.project import Project
from orchestrator.wiring.settings import Settings
from orchestrator.wiring.system import (
    NeverStops,
    RandomIds,
    StopSignals,
    SystemClock,
    SystemProcesses,
)
from orchestrator.wiring.workers import SettingsWorker
from orchestrator.wiring.workplace import ProjectWorkplace
from orchestrator.workspace.model import Workspace
from orchestrator.workspace.open import open_workspace


def open_engine(
    project: Project, flags: RunFlags, stop: StopSignals | None = None
) -> ControllerEngine:
    """Build the engine over all adapters; the project closes what it opens.

    Raises:
        StoreError: an older store, or an empty one, was put in place.
        ContractError: a flag or a file that a flag names is wrong.
        WorkspaceError: the project's files are not as the engine needs them.
    """
    project.ledger_files.require_newest_store()
    settings = with_flags(project.settings, flags)
    workspace = open_workspace(project.root, project.scratch)
    project.close_too(workspace.close)
    return ControllerEngine(
        _parts(project, settings, flags, stop or NeverStops(), workspace),
        CycleOptions(
            limits=_limits(settings),
            roll_back=settings.roll_back,
            backend=flags.worker_backend,
            rework_thread_id=flags.rework_thread_id,
        ),
    )


def _parts(
    project: Project,
    settings: Settings,
    flags: RunFlags,
    stop: StopSignals | NeverStops,
    workspace: Workspace,
) -> Parts:
    workplace = ProjectWorkplace(
        workspace,
        Checkpoints(workspace),
        CheckRunner(extra_env=_chosen(settings.checks.environment)),
        settings.checks,
        control_files=_control_files(project),
        control_folders=_control_folders(project),
        cancel=stop.cancel,
    )
    worker = SettingsWorker(
        project.root,
        settings.worker,
        cancel=stop.cancel,
        limits={
            "max_runtime_sec": flags.max_runtime_sec,
            "max_silence_sec": flags.max_silence_sec,
            "max_memory_mb": flags.max_memory_mb,
        },
    )
    return Parts(
        store=project.store,
        packs=FilePacks(project.root, _paths(flags), only=_absolute(flags.step_pack_file)),
        contracts=FileContracts(project.progress / "contracts"),
        evidence=FileEvidence(project.root),
        workplace=workplace,
        worker=worker,
        processes=SystemProcesses(),
        queue=project.queue,
        views=project.views,
        sessions=project.sessions,
        clock=SystemClock(stop if isinstance(stop, StopSignals) else None),
        ids=RandomIds(),
        stop=stop,
        listener=project.listener,
    )


def _limits(settings: Settings) -> Limits:
    asked = settings.limits
    return Limits(
        max_rework_rounds=asked.max_rework_rounds,
        max_identical_failures=asked.max_identical_failures,
        max_interruptions=asked.max_interruptions,
        max_dispatches=asked.max_dispatches,
        backoff_base_ms=asked.backoff_sec * 1000,
        backoff_max_ms=asked.backoff_max_sec * 1000,
    )


def _paths(flags: RunFlags) -> dict[str, str]:
    if flags.step_pack_map_file is None:
        return {}
    path = Path(flags.step_pack_map_file)
    return load_map(path, what="the step pack map")


def _absolute(path: str | None) -> str | None:
    return None if path is None else str(Path(path).absolute())


def _chosen(names: tuple[str, ...]) -> dict[str, str]:
    return {name: os.environ[name] for name in names if name in os.environ}


def _control_folders(project: Project) -> list[Path]:
    """Where the controller writes; a link in such a place would lead its files elsewhere."""
    record = project.root / WORKFLOW_DIR
    artifacts = project.root / ARTIFACTS_ROOT
    return [
        project.progress,
        record,
        record / project.project_id,
        record / project.project_id / "manifest",
        artifacts.parent,
        artifacts,
    ]


def _control_files(project: Project) -> list[Path]:
    """What a worker must not touch and what does not change by itself while one runs."""
    ledger = project.root / WORKFLOW_DIR / project.project_id
    return [
        project.root / CONFIG_FILE,
        project.progress / "scoreboard.json",
        project.progress / "trends.json",
        project.progress / "summary.md",
        ledger / "events.jsonl",
        ledger / "manifest" / "project_manifest.json",
        ledger / "manifest" / "checkpoints.log",
    ]
