"""`init` and `doctor`."""

from __future__ import annotations

from typing import Any

import click

from orchestrator.cli.output import common, emit


@click.command("init")
@common
def init(*, project_dir: str | None, progress_dir: str | None, as_json: bool) -> int:
    """Make this folder a project: queue, settings, folders, key. Changes nothing that is there."""
    from orchestrator.wiring.setup import init_project

    data = init_project(project_dir, progress_dir)
    return emit("init", data, as_json=as_json, text=lambda: _init_text(data))


def _init_text(data: dict[str, Any]) -> str:
    lines = [f"project {data['project_id']} in {data['root']}"]
    lines += [f"  made   {path}" for path in data["made"]]
    lines += [f"  there  {path}" for path in data["there"]]
    lines += [f"! {text}" for text in data["warnings"]]
    lines += [
        "next: name your worker in orchestrator.yaml; python -m orchestrator doctor looks for it",
        "      put tasks into the queue, then python -m orchestrator run-campaign",
    ]
    return "\n".join(lines)


@click.command("doctor")
@common
def doctor(*, project_dir: str | None, progress_dir: str | None, as_json: bool) -> int:
    """Check what a campaign needs, and say how to mend it. Exit code 1: something is missing."""
    from orchestrator.wiring.setup import diagnose

    data = diagnose(project_dir, progress_dir)
    code = 0 if data["healthy"] else 1
    return emit("doctor", data, as_json=as_json, text=lambda: _doctor_text(data), code=code)


def _doctor_text(data: dict[str, Any]) -> str:
    width = max(len(row["check"]) for row in data["checks"])
    lines = []
    for row in data["checks"]:
        mark = {"ok": "ok  ", "warning": "warn", "missing": "FAIL"}[row["result"]]
        lines.append(f"{mark} {row['check']:<{width}}  {row['what']}")
        if row["mend"]:
            lines.append(f"     {'':<{width}}  mend: {row['mend']}")
    return "\n".join(lines)


@click.command("queue-take")
@click.argument("file", type=click.Path(dir_okay=False))
@common
def queue_take(
    *, file: str, project_dir: str | None, progress_dir: str | None, as_json: bool
) -> int:
    """Import an edit of the queue that was held: it is yours. Works while a campaign runs."""
    from orchestrator.wiring.setup import take_queue

    data = take_queue(project_dir, progress_dir, file)
    return emit("queue-take", data, as_json=as_json, text=lambda: _take_text(data))


def _take_text(data: dict[str, Any]) -> str:
    said = [
        f"{name} {' '.join(data[name])}"
        for name in ("added", "changed", "removed", "moved")
        if data[name]
    ]
    return "\n".join(["; ".join(said) or "nothing differs", *data["notes"]])
