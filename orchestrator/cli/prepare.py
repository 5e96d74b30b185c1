"""`prepare` and `prepare-next`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from orchestrator.cli.output import common, emit, plain_id


@click.command("prepare")
@click.option(
    "--task-file",
    type=click.Path(dir_okay=False),
    required=True,
    help="The intake task, JSON or YAML.",
)
@click.option("--task-id", callback=plain_id, required=True, help="The task's key.")
@click.option("--run-id", default=None, help="Repeated in the answer.")
@click.option(
    "--step-pack-file",
    type=click.Path(dir_okay=False),
    default=None,
    help="The StepPack, if there is one already.",
)
@click.option(
    "--output-dir",
    type=click.Path(file_okay=False),
    default=None,
    help="Where a tier-3 contract goes.  [default: <progress-dir>/contracts]",
)
@common
def prepare(
    *,
    task_file: str,
    task_id: str,
    run_id: str | None,
    step_pack_file: str | None,
    output_dir: str | None,
    project_dir: str | None,
    progress_dir: str | None,
    as_json: bool,
) -> int:
    """Check a task's readiness, choose its tier with reasons, compile a tier-3 contract."""
    from orchestrator.protocol.reading import read_intake_task
    from orchestrator.vocabulary import PROGRESS_DIR
    from orchestrator.wiring.inputs import FileContracts, load_pack, read_file
    from orchestrator.wiring.places import find_root
    from orchestrator.wiring.system import SystemClock

    root = find_root(project_dir)
    progress = Path(progress_dir) if progress_dir else root / PROGRESS_DIR
    contracts = FileContracts(Path(output_dir) if output_dir else progress / "contracts")
    intake = read_intake_task(
        read_file(Path(task_file), source=task_file, what="the task"), task_file
    )
    pack = None
    if step_pack_file:
        pack = load_pack(Path(step_pack_file), source=step_pack_file).pack
    contracts.require_ready(intake, task_id)
    decision = contracts.route(intake, pack)
    data: dict[str, Any] = {
        "task_id": task_id,
        "run_id": run_id,
        "ready": True,
        "tier": decision.tier,
        "requested": decision.requested,
        "overridden": decision.overridden,
        "reasons": [
            {"rule": item.rule, "what": item.what, "weight": item.weight}
            for item in decision.reasons
        ],
        "contract_dir": None,
    }
    if decision.tier == "tier3":
        _, folder = contracts.compile(intake, pack, task_id, SystemClock().now())
        data["contract_dir"] = str(folder)
    return emit("prepare", data, as_json=as_json, text=lambda: _prepare_text(data))


def _prepare_text(data: dict[str, Any]) -> str:
    lines = [f"{data['task_id']} is ready: {data['tier']}"]
    lines += [f"  {item['rule']} ({item['weight']}): {item['what']}" for item in data["reasons"]]
    if data["contract_dir"]:
        lines.append(f"  master contract in {data['contract_dir']}")
    return "\n".join(lines)


@click.command("prepare-next")
@click.option("--run-id", default=None, help="Repeated in the answer.")
@click.option(
    "--queue-path",
    type=click.Path(dir_okay=False),
    default=None,
    help="The queue file.  [default: <progress-dir>/task_queue.json]",
)
@click.option(
    "--step-pack-map-file",
    type=click.Path(dir_okay=False),
    default=None,
    help="JSON: task_key -> path of its StepPack.",
)
@common
def prepare_next(
    *,
    run_id: str | None,
    queue_path: str | None,
    step_pack_map_file: str | None,
    project_dir: str | None,
    progress_dir: str | None,
    as_json: bool,
) -> int:
    """Show which task would be next, and claim nothing. Exit code 5 when there is none."""
    from orchestrator.cli.progress import PlainListener
    from orchestrator.errors import NothingToDo
    from orchestrator.wiring.assembly import open_engine
    from orchestrator.wiring.flags import RunFlags
    from orchestrator.wiring.project import Project

    project = Project.open(
        project_dir,
        progress_dir=progress_dir,
        queue_path=queue_path,
        listener=PlainListener(quiet=as_json),  # says what became of an edit of the queue
        for_running=True,
    )
    try:
        engine = open_engine(project, RunFlags(step_pack_map_file=step_pack_map_file))
        found = engine.prepare_next_task()
    finally:
        project.close()
    if found is None:
        raise NothingToDo(
            "no task is eligible now",
            where=str(project.queue.path),
            mend="python -m orchestrator status says what waits, and why",
        )
    task, loaded = found
    data = {
        "run_id": run_id,
        "task": task.key,
        "title": task.spec.title,
        "step_pack": loaded.source if loaded else None,
        "contract_digest": loaded.digest if loaded else None,
        "allowed_paths": list(loaded.pack.allowed_paths) if loaded else [],
        "commands_to_run": list(loaded.pack.commands_to_run) if loaded else [],
    }
    return emit("prepare-next", data, as_json=as_json, text=lambda: _next_text(data))


def _next_text(data: dict[str, Any]) -> str:
    lines = [f"next: {data['task']}  {data['title']}", f"  StepPack: {data['step_pack'] or 'none'}"]
    lines += [f"  may write: {path}" for path in data["allowed_paths"]]
    lines += [f"  check: {command}" for command in data["commands_to_run"]]
    return "\n".join(lines)
