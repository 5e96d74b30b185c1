"""`run-campaign` and `run-cycle`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import click

from orchestrator.cli.output import common, emit

_RUN_OPTIONS = [
    click.option("--queue-path", type=click.Path(dir_okay=False), default=None,
                 help="The queue file.  [default: <progress-dir>/task_queue.json]"),
    click.option("--max-rework-rounds", type=click.IntRange(0, 20), default=None,
                 help="Rework rounds in one attempt."),
    click.option("--worker-backend", default=None,
                 help="shim, command, or the name of an agent that the shim drives."),
    click.option("--shim", default=None, help="The shim's command line, instead of the settings'."),
    click.option("--max-runtime-sec", type=click.IntRange(1), default=None,
                 help="Overrides the packs' runtime limit."),
    click.option("--max-silence-sec", type=click.IntRange(1), default=None,
                 help="Overrides the packs' silence limit."),
    click.option("--max-memory-mb", type=click.IntRange(1), default=None,
                 help="Overrides the packs' memory limit, of the whole process tree."),
    click.option("--rollback-on-fail/--no-rollback-on-fail", default=None,
                 help="Put the tree back after a refused attempt.  [default: on]"),
    click.option("--auto-checkpoint", is_flag=True,
                 help="Accepted for compatibility: a checkpoint is always made."),
    click.option("--plain", is_flag=True, help="Plain progress lines, also on a terminal."),
]  # fmt: skip


def _run_options(function: Any) -> Any:  # noqa: ANN401  click's own signature
    for option in reversed(_RUN_OPTIONS):
        function = option(function)
    return function


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
@click.option("--run-id", default=None, help="The run's id.  [default: made from the time]")
@_run_options
@common
def run_campaign(**options: Any) -> int:  # noqa: ANN401  click's own signature
    """Work through the queue until it is drained or a limit stops it.

    Exit code 0 when everything that ran was accepted, 1 when something was refused, 7 when the
    worker could not be started, 130 when a person stopped it.
    """  # fmt: skip
    from orchestrator.cli.summary import campaign_data, campaign_text
    from orchestrator.wiring.inputs import load_map

    backends = None
    if options["worker_backend_map_file"]:
        backends = load_map(Path(options["worker_backend_map_file"]), what="the backend map")
    with _opened(options) as (project, engine):
        report = engine.run_campaign(
            max_cycles=options["max_cycles"],
            max_stagnant_cycles=options["max_stagnant_cycles"],
            max_identical_failures=options["max_identical_failures"],
            worker_backend_by_task=backends,
            run_id=options["run_id"],
        )
        data = campaign_data(report, project.counters(), engine.recovered)
    emit("run-campaign", data, as_json=options["as_json"], text=lambda: campaign_text(data))
    if report.worker_error is not None:
        raise report.worker_error
    return _campaign_code(data, report.stop.value)


def _campaign_code(data: dict[str, Any], stop: str) -> int:
    if stop == "interrupted":
        return 130
    states = Counter(row["state"] for row in data["cycles"])
    bad = {"failed", "quarantined", "blocked", "pending"}
    if data["edits_refused"] or any(states[name] for name in bad):
        latest = {row["task"]: row["state"] for row in data["cycles"]}
        if data["edits_refused"] or any(state in bad for state in latest.values()):
            return 1
    return 4 if states["awaiting_approval"] else 0


@click.command("run-cycle")
@click.option(
    "--step-pack-file",
    type=click.Path(dir_okay=False),
    default=None,
    help="StepPack for the task, instead of the one the queue names.",
)
@click.option("--task-key", default=None, help="This task.  [default: the next by policy]")
@click.option("--run-id", default=None, help="The run's id.  [default: made from the time]")
@click.option("--rework-thread-id", default=None, help="Resume this session of the worker.")
@_run_options
@common
def run_cycle(**options: Any) -> int:  # noqa: ANN401  click's own signature
    """Run one task: claim, dispatch, verify, finish.

    Exit code 0 accepted, 1 refused, 4 waits for a person, 5 nothing to do.
    """
    from orchestrator.cli.summary import cycle_data, cycle_text
    from orchestrator.errors import NothingToDo

    with _opened(options) as (_, engine):
        report = engine.run_next_cycle(key=options["task_key"], run_id=options["run_id"])
    if report is None:
        raise NothingToDo(
            "no task is eligible now",
            where=options["task_key"] or "the queue",
            mend="python -m orchestrator status says what waits, and why",
        )
    data = cycle_data(report)
    emit("run-cycle", data, as_json=options["as_json"], text=lambda: cycle_text(data))
    if report.reason == "INTERRUPTED":
        return 130
    return {"completed": 0, "awaiting_approval": 4}.get(report.state.value, 1)


class _Opened:
    """The project, opened for running, with its listener and signals."""

    def __init__(self, options: dict[str, Any]) -> None:
        from orchestrator.cli.output import is_plain
        from orchestrator.cli.progress import make_listener

        self._options = options
        plain = bool(options.get("plain")) or is_plain()
        self._listener = make_listener(as_json=options["as_json"], plain=plain)

    def __enter__(self) -> Any:  # noqa: ANN401  (Project, ControllerEngine)
        from orchestrator.wiring.project import Project, RunFlags
        from orchestrator.wiring.system import StopSignals

        options = self._options
        self._signals = StopSignals(lambda text: self._listener.tell("stopping", text=text))
        try:
            self._project = Project.open(
                options["project_dir"],
                progress_dir=options["progress_dir"],
                queue_path=options["queue_path"],
                listener=self._listener,
                for_running=True,
            )
            flags = RunFlags(
                step_pack_map_file=options.get("step_pack_map_file"),
                step_pack_file=options.get("step_pack_file"),
                max_rework_rounds=options["max_rework_rounds"],
                worker_backend=options["worker_backend"],
                shim=options["shim"],
                max_runtime_sec=options["max_runtime_sec"],
                max_silence_sec=options["max_silence_sec"],
                max_memory_mb=options["max_memory_mb"],
                roll_back=options["rollback_on_fail"],
                rework_thread_id=options.get("rework_thread_id"),
            )
            return self._project, self._project.engine(flags, self._signals)
        except BaseException:
            self._signals.close()
            self._listener.close()
            raise

    def __exit__(self, *_: object) -> None:
        self._project.close()
        self._signals.close()
        self._listener.close()


def _opened(options: dict[str, Any]) -> _Opened:
    return _Opened(options)
