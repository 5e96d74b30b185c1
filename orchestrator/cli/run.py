"""`run-campaign` and `run-cycle`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orchestrator.cli.options import WORKER_OPTIONS, run_flags, with_options
from orchestrator.cli.output import common, emit, plain_id

if TYPE_CHECKING:
    from orchestrator.engine.campaign import CampaignReport
    from orchestrator.engine.controller import ControllerEngine
    from orchestrator.engine.recovery import Recovered
    from orchestrator.wiring.project import Project
    from orchestrator.wiring.system import StopSignals

_RUN_OPTIONS = [
    click.option("--queue-path", type=click.Path(dir_okay=False), default=None,
                 help="The queue file.  [default: <progress-dir>/task_queue.json]"),
    click.option("--max-rework-rounds", type=click.IntRange(0, 20), default=None,
                 help="Rework rounds in one attempt."),
    *WORKER_OPTIONS,
    click.option("--rollback-on-fail/--no-rollback-on-fail", default=None,
                 help="Put the tree back after a refused attempt.  [default: on]"),
    click.option("--auto-checkpoint", is_flag=True,
                 help="Accepted for compatibility: a checkpoint is always made."),
    click.option("--plain", is_flag=True, help="Plain progress lines, also on a terminal."),
]  # fmt: skip


@click.command("run-campaign")
@click.option(
    "--step-pack-map-file",
    type=click.Path(dir_okay=False),
    default=None,
    help="JSON: task_key -> path of its StepPack.",
)
@click.option("--max-cycles", type=click.IntRange(1), default=None, help="Stop after this many.")
@click.option(
    "--max-stagnant-cycles",
    type=click.IntRange(1),
    default=None,
    help="Stop when this many cycles in a row completed nothing.",
)
@click.option(
    "--max-identical-failures",
    type=click.IntRange(1),
    default=5,
    show_default=True,
    help="Stop when this many cycles in a row fail in the same way.",
)
@click.option(
    "--worker-backend-map-file",
    type=click.Path(dir_okay=False),
    default=None,
    help="JSON: task_key -> backend.",
)
@click.option(
    "--run-id", callback=plain_id, default=None, help="The run's id.  [default: made from the time]"
)
@with_options(_RUN_OPTIONS)
@common
def run_campaign(**options: Any) -> int:  # noqa: ANN401  click's own signature
    """Work through the queue until it is drained or a limit stops it.

    Exit code 0 when everything that ran was accepted, 1 when something was refused, 2 when nothing
    ran because the queue file is broken, 7 when the worker could not be started, 130 (SIGINT) or
    143 (SIGTERM) when it was stopped.
    """  # fmt: skip
    from orchestrator.cli.summary import campaign_data, campaign_text
    from orchestrator.wiring.inputs import load_map

    backends = None
    if options["worker_backend_map_file"]:
        backends = load_map(Path(options["worker_backend_map_file"]), what="the backend map")
    with _opened(options) as (project, engine, signals):
        report = engine.run_campaign(
            max_cycles=options["max_cycles"],
            max_stagnant_cycles=options["max_stagnant_cycles"],
            max_identical_failures=options["max_identical_failures"],
            worker_backend_by_task=backends,
            run_id=options["run_id"],
        )
        data = campaign_data(report, project.counters(), engine.recovered)
    return emit(
        "run-campaign",
        data,
        as_json=options["as_json"],
        text=lambda: campaign_text(data),
        code=_campaign_code(report, engine.recovered, signals),
        error=report.worker_error,
    )


def _campaign_code(report: CampaignReport, recovered: Recovered, signals: StopSignals) -> int:
    if report.stop.value == "interrupted":
        return signals.exit_code
    refused = bool(recovered.edit_refused or report.edits_refused)
    if refused and report.count == 0:
        return 2  # nothing ran but what was there before: the file is what a person has to mend
    if report.not_accepted or refused:
        return 1
    return 4 if report.awaiting else 0


@click.command("run-cycle")
@click.option(
    "--step-pack-file",
    type=click.Path(dir_okay=False),
    default=None,
    help="StepPack for the task, instead of the one the queue names.",
)
@click.option("--task-key", default=None, help="This task.  [default: the next by policy]")
@click.option(
    "--run-id", callback=plain_id, default=None, help="The run's id.  [default: made from the time]"
)
@click.option("--rework-thread-id", default=None, help="Resume this session of the worker.")
@with_options(_RUN_OPTIONS)
@common
def run_cycle(**options: Any) -> int:  # noqa: ANN401  click's own signature
    """Run one task: claim, dispatch, verify, finish.

    Exit code 0 accepted, 1 refused, 2 the queue file is broken and nothing else is eligible, 4
    waits for a person, 5 nothing to do, 7 the worker could not be started, 130 or 143 stopped.
    """
    from orchestrator.cli.summary import cycle_data, cycle_text
    from orchestrator.errors import ContractError, NothingToDo

    with _opened(options) as (project, engine, signals):
        report = engine.run_next_cycle(key=options["task_key"], run_id=options["run_id"])
    if report is None and engine.recovered.edit_refused:
        raise ContractError(
            "the queue file is broken, and nothing that was there before is eligible",
            where=str(project.queue.path),
            mend="change each place that is named, then start again",
            problems=engine.recovered.edit_refused,
        )
    if report is None:
        raise NothingToDo(
            "no task is eligible now",
            where=options["task_key"] or "the queue",
            mend="python -m orchestrator status says what waits, and why",
        )
    data = cycle_data(report)
    code = {"completed": 0, "awaiting_approval": 4}.get(report.state.value, 1)
    if report.was_stopped:
        code = signals.exit_code
    return emit(
        "run-cycle", data, as_json=options["as_json"], text=lambda: cycle_text(data), code=code
    )


@contextmanager
def _opened(options: dict[str, Any]) -> Iterator[tuple[Project, ControllerEngine, StopSignals]]:
    """Open the project for running, with its listener and its signals."""
    from orchestrator.cli.output import is_plain
    from orchestrator.cli.progress import make_listener, tell_at_once
    from orchestrator.wiring.assembly import open_engine
    from orchestrator.wiring.project import Project
    from orchestrator.wiring.system import StopSignals

    plain = bool(options["plain"]) or is_plain()
    with ExitStack() as stack:
        listener = make_listener(as_json=options["as_json"], plain=plain)
        stack.callback(listener.close)
        signals = StopSignals(tell_at_once)
        stack.callback(signals.close)
        project = Project.open(
            options["project_dir"],
            progress_dir=options["progress_dir"],
            queue_path=options["queue_path"],
            listener=listener,
            for_running=True,
        )
        stack.callback(project.close)
        yield project, open_engine(project, run_flags(options), signals), signals
