"""`dispatch-step`, `dispatch-rework`, `review-step`: single steps, outside the queue."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orchestrator.cli.options import WORKER_OPTIONS, run_flags, with_options
from orchestrator.cli.output import common, emit, plain_id, undo_line

if TYPE_CHECKING:
    from orchestrator.engine.step import StepReport
    from orchestrator.kernel.work import LoadedPack
    from orchestrator.protocol.rework_pack import ReworkPack
    from orchestrator.wiring.flags import RunFlags
    from orchestrator.wiring.system import StopSignals

_DISPATCH_OPTIONS = [
    click.option("--dry-run", is_flag=True, help="Print the exact command, start nothing."),
    *WORKER_OPTIONS,
    click.option("--max-parallel-steps", type=click.IntRange(1), default=1, show_default=True,
                 help="Steps at once in this project; more than one waits for worktrees."),
    click.option("--run-id", callback=plain_id, default=None,
                 help="The run that the evidence belongs to.  [default: the pack's, or made]"),
    click.option("--log-project-id", default=None,
                 help="Log the attempt in this ledger too; it numbers R and S by itself."),
    click.option("--log-root-dir", type=click.Path(file_okay=False), default=None,
                 help="Where that ledger is.  [default: the project's workflow folder]"),
    click.option("--review", is_flag=True, help="Check the result too, and compile a ReworkPack."),
    click.option("--write-rework-file", type=click.Path(dir_okay=False), default=None,
                 help="Where the ReworkPack goes."),
    click.option("--write-result-file", type=click.Path(dir_okay=False), default=None,
                 help="Where the StepResult goes, as it was understood."),
]  # fmt: skip


@click.command("dispatch-step")
@click.option(
    "--step-pack-file", type=click.Path(dir_okay=False), required=True, help="The StepPack."
)
@with_options(_DISPATCH_OPTIONS)
@common
def dispatch_step(**options: Any) -> int:  # noqa: ANN401  click's own signature
    """Send one StepPack to a worker and log the attempt; with --review, check the result.

    The tree keeps what the worker did; the checkpoint in the answer undoes it.
    """  # fmt: skip
    return _dispatch("dispatch-step", options, rework=None)


@click.command("dispatch-rework")
@click.option(
    "--rework-pack-file", type=click.Path(dir_okay=False), required=True, help="The ReworkPack."
)
@click.option("--thread-id", required=True, help="The worker's session.")
@click.option(
    "--step-pack-file",
    type=click.Path(dir_okay=False),
    default=None,
    help="The StepPack that the rework belongs to; needed unless --dry-run.",
)
@with_options(_DISPATCH_OPTIONS)
@common
def dispatch_rework(**options: Any) -> int:  # noqa: ANN401  click's own signature
    """Send a ReworkPack to a worker's session, and log the attempt."""  # fmt: skip
    from orchestrator.protocol.reading import read_rework_pack
    from orchestrator.wiring.inputs import read_file

    name = options["rework_pack_file"]
    data = read_file(Path(name), source=name, what="the ReworkPack")
    pack = read_rework_pack(data, name)
    return _dispatch("dispatch-rework", options, rework=(data, pack))


def _dispatch(
    command: str, options: dict[str, Any], *, rework: tuple[bytes, ReworkPack] | None
) -> int:
    from orchestrator.cli.progress import PlainListener, tell_at_once
    from orchestrator.wiring.assembly import open_engine
    from orchestrator.wiring.inputs import load_pack
    from orchestrator.wiring.project import Project
    from orchestrator.wiring.steplog import StepLog
    from orchestrator.wiring.system import StopSignals

    if options["log_root_dir"] is not None and options["log_project_id"] is None:
        raise click.UsageError("--log-root-dir needs --log-project-id: the name of the ledger")
    if options["max_parallel_steps"] > 1:
        raise click.UsageError(
            "--max-parallel-steps: one at a time in one work tree; run more projects side by side"
        )
    loaded = None
    if options["step_pack_file"] is not None:
        loaded = load_pack(Path(options["step_pack_file"]), source=options["step_pack_file"])
    flags = run_flags(options)
    if options["dry_run"]:
        return _dry_run(command, options, flags, loaded, rework)
    if loaded is None:
        raise click.UsageError("--step-pack-file is needed: it holds the bounds of the step")
    listener = PlainListener(quiet=options["as_json"])
    with ExitStack() as stack:
        signals = StopSignals(tell_at_once)
        stack.callback(signals.close)
        project = Project.open(
            options["project_dir"],
            progress_dir=options["progress_dir"],
            listener=listener,
            for_running=True,
        )
        stack.callback(project.close)
        log = None
        if options["log_project_id"] is not None:
            log = StepLog(project.root, options["log_project_id"], options["log_root_dir"])
            log.refuse_own(project.root, project.project_id)
        engine = open_engine(project, flags, signals)
        if options["review"] or rework is not None:
            report = engine.dispatch_step_with_review(
                loaded,
                backend=options["worker_backend"],
                rework=rework[0] if rework else None,
                thread_id=options.get("thread_id"),
                run_id=options["run_id"],
            )
        else:
            report = engine.dispatch_step_with_logging(
                loaded, backend=options["worker_backend"], run_id=options["run_id"]
            )
        logged = log.log(loaded, report, revised=rework is not None) if log else None
    return _told(command, options, report, signals, logged)


def _told(
    command: str,
    options: dict[str, Any],
    report: StepReport,
    signals: StopSignals,
    logged: str | None,
) -> int:
    run = report.answer.run
    result = report.answer.result
    data: dict[str, Any] = {
        "round": report.place.name,
        "run_id": report.place.run_id,
        "logged_as": logged,
        "attempt_id": report.place.attempt_id,
        "evidence": report.place.prefix,
        "checkpoint_id": report.checkpoint_id,
        "ending": run.ending,
        "exit_code": run.exit_code,
        "thread_id": report.answer.thread_id,
        "claim": result.model_dump(mode="json") if result else None,
        "parse_error": run.parse_error,
        "verdict": report.verdict.model_dump(mode="json") if report.verdict else None,
        "rework_pack": report.rework.model_dump(mode="json") if report.rework else None,
    }
    _write(options["write_rework_file"], report.rework)
    _write(options["write_result_file"], result)
    return emit(
        command,
        data,
        as_json=options["as_json"],
        text=lambda: _step_text(data),
        code=_code(data, signals),
    )


def _code(data: dict[str, Any], signals: StopSignals) -> int:
    if data["ending"] in {"runtime_exceeded", "silence_exceeded"}:
        return 124
    if data["ending"] == "cancelled":
        return signals.exit_code
    if data["verdict"] is not None:
        return 0 if data["verdict"]["colour"] == "accepted" else 1
    return 0 if data["claim"] is not None and data["exit_code"] == 0 else 1


def _write(path: str | None, model: Any) -> None:  # noqa: ANN401  a Wire model or None
    if path is not None and model is not None:
        from orchestrator.store.files import replace_file

        replace_file(Path(path).absolute(), [model.model_dump_json(indent=2).encode() + b"\n"])


def _step_text(data: dict[str, Any]) -> str:
    claim = data["claim"]["result"] if data["claim"] else f"no claim ({data['parse_error']})"
    lines = [
        f"{data['round']} {data['attempt_id']}: worker {data['ending']}, exit {data['exit_code']},"
        f" says {claim}",
        f"evidence: {data['evidence']}",
        f"session: {data['thread_id'] or 'none'}",
    ]
    if data["verdict"]:
        lines.append(_verdict_text(data["verdict"]))
    lines.append(undo_line(data["checkpoint_id"]))
    return "\n".join(lines)


def _verdict_text(verdict: dict[str, Any]) -> str:
    lines = [f"verdict: {verdict['colour']} ({verdict['reason_code']})"]
    lines += [
        f"  {item['severity']}: {item['rule']} {item['where']}: {item['what']}; {item['mend']}"
        for item in verdict["findings"]
    ]
    return "\n".join(lines)


def _dry_run(
    command: str,
    options: dict[str, Any],
    flags: RunFlags,
    loaded: LoadedPack | None,
    rework: tuple[bytes, ReworkPack] | None,
) -> int:
    from orchestrator.wiring.dryrun import planned_argv

    argv, text = planned_argv(
        options["project_dir"],
        flags,
        loaded,
        rework,
        thread_id=options.get("thread_id"),
        run_id=options["run_id"],
    )
    return emit(command, {"argv": argv}, as_json=options["as_json"], text=lambda: text)


@click.command("review-step")
@click.option(
    "--step-pack-file", type=click.Path(dir_okay=False), required=True, help="The StepPack."
)
@click.option(
    "--step-result-file",
    type=click.Path(dir_okay=False),
    required=True,
    help="The worker's StepResult.",
)
@click.option(
    "--base-tree", default=None, help="Tree or commit the work started from.  [default: HEAD]"
)
@click.option(
    "--write-rework-file",
    type=click.Path(dir_okay=False),
    default=None,
    help="Where the ReworkPack goes.",
)
@click.option(
    "--output-format",
    type=click.Choice(["text", "json", "github"]),
    default="text",
    help="github prints workflow annotations.",
)
@common
def review_step(
    *,
    step_pack_file: str,
    step_result_file: str,
    base_tree: str | None,
    write_rework_file: str | None,
    output_format: str,
    project_dir: str | None,
    progress_dir: str | None,
    as_json: bool,
) -> int:
    """Review a StepResult against its StepPack on the present tree; run the checks ourselves.

    Exit code 0 accepted, 1 refused or unknown.
    """  # fmt: skip
    from orchestrator.wiring.review import review_present_tree

    verdict, rework = review_present_tree(
        project_dir,
        progress_dir,
        step_pack_file=step_pack_file,
        step_result_file=step_result_file,
        base=base_tree,
    )
    _write(write_rework_file, rework)
    told = verdict.model_dump(mode="json")
    data = {
        "verdict": told,
        "rework_pack": rework.model_dump(mode="json") if rework else None,
    }
    render = _github_text if output_format == "github" else _verdict_text
    return emit(
        "review-step",
        data,
        as_json=as_json or output_format == "json",
        text=lambda: render(told),
        code=0 if verdict.colour == "accepted" else 1,
    )


def _github_text(verdict: dict[str, Any]) -> str:
    words = {"refusal": "error", "unknown": "error", "warning": "warning"}
    lines = []
    for item in verdict["findings"]:
        message = f"{item['what']}; {item['mend']}".replace("%", "%25").replace("\n", "%0A")
        title = item["rule"].replace(",", "%2C").replace(":", "%3A")
        lines.append(f"::{words[item['severity']]} title={title}::{item['where']}: {message}")
    lines.append(f"verdict: {verdict['colour']} ({verdict['reason_code']})")
    return "\n".join(lines)
