"""The exact command that a dispatch would start, without starting it."""

from __future__ import annotations

from orchestrator.kernel.work import LoadedPack, Round, WorkOrder
from orchestrator.protocol.rework_pack import ReworkPack
from orchestrator.protocol.step_pack import StepPack
from orchestrator.runtime.cancel import CancelToken
from orchestrator.vocabulary import ARTIFACTS_ROOT
from orchestrator.wiring.flags import RunFlags, with_flags
from orchestrator.wiring.places import find_root
from orchestrator.wiring.settings import load_settings
from orchestrator.wiring.workers import SettingsWorker
from orchestrator.worker.request import render_dry_run


def planned_argv(
    project_dir: str | None,
    flags: RunFlags,
    loaded: LoadedPack | None,
    rework: tuple[bytes, ReworkPack] | None,
    *,
    thread_id: str | None,
    run_id: str | None,
) -> tuple[list[str], str]:
    """Return argv, and the same quoted for a shell. Opens no store, writes nothing."""
    root = find_root(project_dir)
    worker = SettingsWorker(
        root, with_flags(load_settings(root), flags).worker, cancel=CancelToken()
    )
    if rework is not None:
        payload, pack = rework[0], _stand_in(rework[1])
    elif loaded is not None:
        payload, pack = loaded.data, loaded.pack
    else:
        raise ValueError("either a StepPack or a ReworkPack is needed")
    run = run_id or pack.run_id or f"{pack.task_id}_dry_run"
    name = f"{ARTIFACTS_ROOT}/{run}/steps/{pack.step_id}/rounds/R0S0"
    place = Round(run, pack.task_id, pack.step_id, "A_dry_run", 0, 0, str(root / name), name)
    order = WorkOrder(place, payload, thread_id, pack, flags.worker_backend)
    adapter, _ = worker.adapter(flags.worker_backend)
    argv = adapter.argv(worker.request(order))
    return argv, render_dry_run(argv)


def _stand_in(rework: ReworkPack) -> StepPack:
    """A ReworkPack names its step; the argv needs nothing else of the StepPack."""
    return StepPack(
        task_id=rework.task_id,
        run_id=rework.run_id,
        step_id=rework.step_id,
        objective="rework",
        acceptance_criteria=("AC1: rework",),
    )
