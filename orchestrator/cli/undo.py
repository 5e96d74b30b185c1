"""`checkpoint-create` and `rollback`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from orchestrator.cli.output import common, confirm, counted, emit, plain_id, undo_line

if TYPE_CHECKING:
    from orchestrator.recovery.checkpoint import Checkpoint, Checkpoints
    from orchestrator.wiring.project import Project


@click.command("checkpoint-create")
@click.option("--task-key", callback=plain_id, required=True, help="The task it belongs to.")
@click.option(
    "--run-id",
    callback=plain_id,
    default="manual",
    show_default=True,
    help="The run it belongs to.",
)
@click.option("--file", "files", multiple=True, help="Limit a rollback to these paths.")
@common
def checkpoint_create(
    *,
    task_key: str,
    run_id: str,
    files: tuple[str, ...],
    project_dir: str | None,
    progress_dir: str | None,
    as_json: bool,
) -> int:
    """Save the present tree: tracked and untracked files, nothing of the user's index or refs."""
    with _checkpoints(project_dir, progress_dir) as (project, checkpoints):
        moment = project.now()
        made = checkpoints.create(
            task_key,
            run_id,
            at=datetime.fromtimestamp(moment.ms / 1000, tz=UTC),
            files=files or None,
        )
    data = _row(made)
    return emit("checkpoint-create", data, as_json=as_json, text=lambda: _made_text(data))


def _row(made: Checkpoint) -> dict[str, Any]:
    return {
        "checkpoint_id": made.checkpoint_id,
        "task": made.task_key,
        "run_id": made.run_id,
        "at": made.at.isoformat(),
        "ref": made.ref,
        "tree": made.tree,
        "files": list(made.files) if made.files is not None else None,
        "warnings": list(made.warnings),
    }


def _made_text(data: dict[str, Any]) -> str:
    lines = [f"{data['checkpoint_id']}  tree {data['tree'][:12]}"]
    lines += [f"! {text}" for text in data["warnings"]]
    lines.append(undo_line(data["checkpoint_id"]))
    return "\n".join(lines)


@click.command("rollback")
@click.option("--checkpoint-id", default=None, help="Which one; without it they are listed.")
@click.option("--list", "listed", is_flag=True, help="List the checkpoints.")
@click.option("--task-key", default=None, help="List those of one task.")
@click.option("--file", "files", multiple=True, help="Restore only these paths.")
@click.option("--dry-run", is_flag=True, help="Say what would change, change nothing.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@common
def rollback(
    *,
    checkpoint_id: str | None,
    listed: bool,
    task_key: str | None,
    files: tuple[str, ...],
    dry_run: bool,
    yes: bool,
    project_dir: str | None,
    progress_dir: str | None,
    as_json: bool,
) -> int:
    """Put a saved tree back. The present state is saved first, so a rollback can be undone."""
    with _checkpoints(project_dir, progress_dir) as (project, checkpoints):
        if listed or checkpoint_id is None:
            data: dict[str, Any] = {
                "checkpoints": [_row(item) for item in checkpoints.list(task_key)]
            }
            return emit("rollback", data, as_json=as_json, text=lambda: _list_text(data))
        actions = checkpoints.plan(checkpoint_id, files=files or None)
        data = {
            "checkpoint_id": checkpoint_id,
            "dry_run": dry_run,
            "actions": [
                {"kind": item.kind, "path": item.path, "why": item.why} for item in actions
            ],
        }
        if dry_run or not actions:
            return emit("rollback", data, as_json=as_json, text=lambda: _plan_text(data))
        if not yes:
            confirm(_plan_text(data), "Restore these?", as_json=as_json)
        done = checkpoints.restore(checkpoint_id, files=files or None)
        undo = done.undo_checkpoint
        data |= {
            "changed": list(done.changed),
            "moved_aside": list(done.moved_aside),
            "quarantine": str(done.quarantine) if done.quarantine else None,
            "not_restorable": list(done.not_restorable),
            "undo_checkpoint_id": undo.checkpoint_id if undo else None,
        }
        project.store.note(
            moment=project.now(),
            run_id=None,
            kind="rollback",
            body={
                "checkpoint_id": checkpoint_id,
                "undo_checkpoint_id": undo.checkpoint_id if undo else "",
                "changed": len(done.changed),
            },
        )
        project.views.publish(project.now(), now=True)
    return emit("rollback", data, as_json=as_json, text=lambda: _done_text(data))


def _list_text(data: dict[str, Any]) -> str:
    if not data["checkpoints"]:
        return "no checkpoints"
    return "\n".join(
        f"{row['checkpoint_id']}  {row['at']}  tree {row['tree'][:12]}  run {row['run_id']}"
        for row in data["checkpoints"]
    )


def _plan_text(data: dict[str, Any]) -> str:
    if not data["actions"]:
        return "nothing to do: the tree is as it was then"
    return "\n".join(f"{row['kind']:<15} {row['path']}  ({row['why']})" for row in data["actions"])


def _done_text(data: dict[str, Any]) -> str:
    lines = [f"restored {counted(len(data['changed']), 'path')}"]
    if data["moved_aside"]:
        lines.append(
            f"moved aside: {counted(len(data['moved_aside']), 'path')}, in {data['quarantine']}"
        )
    lines += [f"! not restorable: {path}" for path in data["not_restorable"]]
    if data["undo_checkpoint_id"]:
        lines.append(undo_line(data["undo_checkpoint_id"]))
    return "\n".join(lines)


@contextmanager
def _checkpoints(
    project_dir: str | None, progress_dir: str | None
) -> Iterator[tuple[Project, Checkpoints]]:
    """Open the project, with its lock, and its checkpoints."""
    from orchestrator.recovery.checkpoint import Checkpoints
    from orchestrator.wiring.project import Project
    from orchestrator.workspace.open import open_workspace

    with (
        closing(Project.open(project_dir, progress_dir=progress_dir, for_running=True)) as project,
        closing(open_workspace(project.root, project.scratch)) as workspace,
    ):
        yield project, Checkpoints(workspace)
