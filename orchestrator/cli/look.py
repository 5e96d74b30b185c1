"""`status`, `replay`, `verify`: read, never write."""

from __future__ import annotations

import json
from contextlib import closing
from typing import Any

import click

from orchestrator.cli.output import common, emit


@click.command("status")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing; exit 0 when all is completed.")
@common
def status(*, project_dir: str | None, progress_dir: str | None, as_json: bool, quiet: bool) -> int:
    """Show the queue: what is done, refused, waiting, and why."""
    from orchestrator.wiring.glance import status_data

    data = status_data(project_dir, progress_dir)
    if not quiet:
        return emit("status", data, as_json=as_json, text=lambda: _status_text(data))
    done = all(not count for name, count in data["tasks"].items() if name != "completed")
    return 0 if done else 1


def _status_text(data: dict[str, Any]) -> str:
    counts = ", ".join(f"{count} {name}" for name, count in data["tasks"].items() if count)
    lines = [f"project {data['project_id']}: {counts or 'no tasks'}"]
    for run in data["open_runs"]:
        alive = "runs" if run["alive"] else "died; the next run repairs what it left"
        lines.append(f"run {run['run_id']} ({run['kind']}, pid {run['pid']}): {alive}")
    for title, key in (
        ("in flight", "in_flight"),
        ("refused", "refused"),
        ("undecided", "undecided"),
        ("waiting", "waiting"),
        ("next", "ready"),
    ):
        rows = data[key]
        if rows:
            lines.append(f"{title}:")
            lines += [
                f"  {row['task']}  {row['title'] or ''}  {row['why'] or ''}".rstrip()
                for row in rows
            ]
    if data["pending_effects"]:
        lines.append(f"decided and not yet done: {data['pending_effects']} effects")
    lines.append(f"ledger: {data['ledger_entries']} entries")
    return "\n".join(lines)


@click.command("replay")
@click.argument("run_id", required=False)
@click.option(
    "--output",
    type=click.Choice(["text", "json", "jsonl"]),
    default="text",
    help="jsonl prints one event a line, as progress/sessions has them.",
)
@common
def replay(
    *,
    run_id: str | None,
    output: str,
    project_dir: str | None,
    progress_dir: str | None,
    as_json: bool,
) -> int:
    """Tell a run's story in order; rebuild the state from the entries and compare it.

    RUN_ID may be a run, a task or an attempt; without it, the newest run is told.
    """
    from orchestrator.wiring.look import replay_data, replay_events
    from orchestrator.wiring.project import Project

    as_json = as_json or output == "json"
    with closing(Project.open(project_dir, progress_dir=progress_dir, create=False)) as project:
        if output == "jsonl" and not as_json:
            for event in replay_events(project, run_id):
                click.echo(json.dumps(event, ensure_ascii=False))
            return 0
        data = replay_data(project, run_id)
    code = 0 if data["agrees"] else 1
    return emit("replay", data, as_json=as_json, text=lambda: _replay_text(data), code=code)


def _replay_text(data: dict[str, Any]) -> str:
    lines = [f"{data['what']}: {len(data['story'])} entries"]
    width = max((len(row["task"]) for row in data["story"]), default=0)
    lines += [
        f"{row['at'][11:23]} {row['task']:<{width}} {row['kind']:<9} {row['what']}"
        for row in data["story"]
    ]
    if data["agrees"]:
        lines.append(f"the state rebuilt from {data['entries']} entries equals the store")
    else:
        lines += [
            f"DIFFERS: {row['task']}: entries say {row['entries']}, the store says {row['store']}"
            for row in data["differences"]
        ]
        lines += [f"DIFFERS: {line}" for line in data["faults"]]
    return "\n".join(lines)


@click.command("verify")
@click.option("--public-key", default=None, help="The trusted key.  [default: the home's]")
@click.option("--anchor", default=None, help="The anchored checkpoint.  [default: the home's]")
@common
def verify(
    *,
    public_key: str | None,
    anchor: str | None,
    project_dir: str | None,
    progress_dir: str | None,
    as_json: bool,
) -> int:
    """Check ledger, files and evidence against each other. Exit code 1 when something differs."""
    from orchestrator.wiring.look import verify_data
    from orchestrator.wiring.project import Project

    with closing(Project.open(project_dir, progress_dir=progress_dir, create=False)) as project:
        data = verify_data(project, public_key=public_key, anchor=anchor)
    code = 0 if data["verified"] else 1
    return emit("verify", data, as_json=as_json, text=lambda: _verify_text(data), code=code)


def _verify_text(data: dict[str, Any]) -> str:
    mark = "verified" if data["verified"] else "DOES NOT VERIFY"
    lines = [
        f"{mark}: {data['entries']} entries, {data['anchored']} of them under a signed checkpoint,"
        f" {data['evidence']} files of evidence",
    ]
    lines += [
        f"{row['severity']}: {row['rule']} {row['where']}: {row['what']}"
        + (f"; {row['mend']}" if row["mend"] else "")
        for row in data["findings"]
    ]
    return "\n".join(lines)
