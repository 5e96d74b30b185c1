"""The command line of the logger.

Exit codes: 0 done, 1 does not verify, 2 usage, 3 a fault of ours or of the disk, 6 refused by the
R/S protocol or because the target exists, 75 another process holds the ledger.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from workflow_logger.errors import LoggerError, UsageError

if TYPE_CHECKING:
    from workflow_logger.entry import Entry
    from workflow_logger.logger import WorkflowLogger
    from workflow_logger.report import Report


class _Context:
    """What the group's options say; the logger is made when a command needs it."""

    def __init__(self, root_dir: str, project_id: str | None, paths: dict[str, Any]) -> None:
        self.root_dir = root_dir
        self.project_id = project_id
        self.paths = paths
        self.as_json = False

    def logger(self) -> WorkflowLogger:
        from workflow_logger.logger import WorkflowLogger

        if not self.project_id:
            raise UsageError(
                "no project is named", where="--project-id", mend="pass --project-id NAME"
            )
        return WorkflowLogger(self.root_dir, self.project_id, **self.paths)

    def say(self, data: dict[str, Any], text: str) -> None:
        """Print one answer: a JSON object, or text for people."""
        click.echo(json.dumps({"ok": True, **data}, ensure_ascii=False) if self.as_json else text)


_pass = click.make_pass_decorator(_Context)


def _json(command: Any) -> Any:  # noqa: ANN401  a click decorator
    def remember(context: click.Context, _: click.Parameter, value: bool) -> None:  # noqa: FBT001
        if value:
            context.find_object(_Context).as_json = True  # type: ignore[union-attr]  # set by the group

    return click.option(
        "--json", is_flag=True, expose_value=False, callback=remember, help="Answer as JSON."
    )(command)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--root-dir", default="workflow", show_default=True, help="Folder of all ledgers.")
@click.option("--project-id", help="The project's name.")
@click.option("--key", type=click.Path(), help="Private key to sign with.")
@click.option("--public-key", type=click.Path(), help="Public key that is trusted.")
@click.option("--anchor", type=click.Path(), help="Last checkpoint, kept outside the ledger.")
@click.option("--json", "as_json", is_flag=True, help="Answer as JSON.")
@click.pass_context
def cli(
    context: click.Context,
    /,
    root_dir: str,
    project_id: str | None,
    as_json: bool,  # noqa: FBT001
    **paths: str | None,
) -> None:
    """Record attempts at tasks in a tamper-evident log, and verify it.

    Keys, trusted keys and anchors are kept below $ORCHESTRATOR_HOME (by default the user's
    configuration folder), never in the ledger itself.
    """
    context.obj = _Context(root_dir, project_id, paths)
    context.obj.as_json = as_json


@cli.command()
@_json
@_pass
def init(context: _Context) -> None:
    """Make the project's folders and, where there is none, its key."""
    logger = context.logger()
    logger.init()
    data = {
        "project_dir": str(logger.layout.project_dir),
        "key": str(logger.key_path),
        "public_key": str(logger.trusted_key()),
        "anchor": str(logger.anchor_path),
    }
    context.say(data, "\n".join(f"{name:<12} {value}" for name, value in data.items()))


@cli.command()
@click.option("--task-id", required=True)
@click.option("--r", type=int, required=True, help="Revision.")
@click.option("--s", type=int, required=True, help="Try at this revision.")
@click.option("--acceptance", multiple=True, help="One acceptance criterion; may be repeated.")
@click.option("--code-change-summary", default="", help="What was changed.")
@click.option("--code-artifact-ref", default="", help="Where the change is kept.")
@click.option("--code-content", default="", help="The code itself; '@FILE' reads a file.")
@click.option("--executed-file", multiple=True, help="One file; may be repeated.")
@click.option("--executed-command", multiple=True, help="One command; may be repeated.")
@click.option("--test-results", default="")
@click.option("--result", required=True, help="PASS, FAIL, ...")
@click.option("--reason-code", required=True)
@click.option("--reason-detail", default="")
@click.option("--next-action", default="")
@_json
@_pass
def attempt(context: _Context, /, **options: Any) -> None:  # noqa: ANN401  click's values
    """Record one attempt: the first is R0/S0, a retry S+1, a new revision R+1/S0."""
    names = {
        "acceptance": "acceptance_snapshot",
        "executed_file": "executed_files",
        "executed_command": "executed_commands",
    }
    fields = {names.get(name, name): value for name, value in options.items()}
    fields["code_content"] = _text_or_file(fields["code_content"])
    entry = context.logger().log_attempt(**fields)
    _say_entry(context, entry, f"R{options['r']}/S{options['s']}")


@cli.command()
@click.option("--task-id", required=True)
@click.option("--final-status", required=True, help="accepted, failed, ...")
@click.option("--summary", required=True)
@_json
@_pass
def close(context: _Context, task_id: str, final_status: str, summary: str) -> None:
    """Record a task's end; nothing follows it."""
    entry = context.logger().close_task(task_id, final_status, summary)
    _say_entry(context, entry, f"closed as {final_status}")


@cli.command()
@click.option("--task-id", help="Also ask that this task is there.")
@click.option("--strict", is_flag=True, help="Fail when a trusted checkpoint does not cover all.")
@_json
@_pass
def verify(context: _Context, task_id: str | None, strict: bool) -> int:  # noqa: FBT001
    """Verify everything: entries, chains, signatures, task files, artifacts."""
    logger = context.logger()
    report = logger.verify_project()
    if task_id is not None and report.ok:
        logger.verify_task_chain(task_id)
    _say_report(context, report)
    return 0 if report.ok and (report.is_anchored or not strict) else 1


@cli.command()
@click.option("--archive", required=True, type=click.Path(dir_okay=False))
@_json
@_pass
def export(context: _Context, archive: str) -> None:
    """Write the project as a zip with a SHA-256 for each file."""
    path = context.logger().export_project(archive)
    context.say({"archive": str(path)}, f"exported to {path}")


@cli.command(name="import")
@click.option("--archive", required=True, type=click.Path(dir_okay=False))
@click.option("--target-project-id", help="Import under this name.")
@_json
@_pass
def import_(context: _Context, archive: str, target_project_id: str | None) -> int:
    """Unpack an archive after verifying all of it."""
    from workflow_logger.logger import WorkflowLogger

    name = target_project_id or context.project_id
    logger = WorkflowLogger.import_project(context.root_dir, archive, name, **context.paths)
    report = logger.verify_project()
    _say_report(context, report)
    return 0 if report.ok else 1


@cli.command()
@click.option("--task-id", help="Only this task.")
@click.option("--last", type=click.IntRange(min=1), help="Only the last N entries.")
@_json
@_pass
def log(context: _Context, task_id: str | None, last: int | None) -> None:
    """List entries, one line each."""
    from workflow_logger.reading import read_entries

    entries = read_entries(context.logger().layout, task_id=task_id, last=last)
    for entry in entries:
        row = {"seq": entry.seq, "at": entry.at, "task_id": entry.task_id, "kind": entry.kind}
        if context.as_json:
            click.echo(json.dumps({**row, "event_hash": entry.hash}))
        else:
            name = entry.task_id or "(project)"
            click.echo(f"{entry.seq:>7}  {entry.at}  {name:<20} {entry.kind:<10} {_gist(entry)}")


@cli.command()
@click.option("--task-id", help="Show the task's log.")
@click.option("--seq", type=click.IntRange(min=0), help="Show this entry with all its fields.")
@click.option("--proof", is_flag=True, help="With --seq: prove that it is in the signed tree.")
@_json
@_pass
def show(context: _Context, task_id: str | None, seq: int | None, proof: bool) -> None:  # noqa: FBT001
    """Show one task as people read it, or one entry as it is stored."""
    from workflow_logger.reading import prove, read_entry
    from workflow_logger.tasklog import render_task_log

    logger = context.logger()
    if (task_id is None) == (seq is None):
        raise UsageError("name one thing to show", where="show", mend="pass --task-id or --seq")
    if task_id is not None:
        entries = logger.read_task(task_id)
        data: dict[str, Any] = {"entries": [json.loads(entry.line) for entry in entries]}
        context.say(data, render_task_log(task_id, entries))
    elif seq is not None:
        data = {"entry": json.loads(read_entry(logger.layout, seq).line)}
        if proof:
            data["inclusion"] = prove(logger.layout, seq)
        context.say(data, json.dumps(data, indent=2, ensure_ascii=False))


def _say_entry(context: _Context, entry: Entry, what: str) -> None:
    data = {"seq": entry.seq, "task_id": entry.task_id, "event_hash": entry.hash, "at": entry.at}
    context.say(data, f"{entry.task_id} {what}: entry {entry.seq}, {entry.hash}")


def _say_report(context: _Context, report: Report) -> None:
    if context.as_json:
        click.echo(json.dumps(report.to_dict(), ensure_ascii=False))
        return
    for finding in report.findings:
        click.echo(f"{finding.severity}: {finding.rule}: {finding.where}")
        click.echo(f"    {finding.what}\n    mend: {finding.mend}")
    if report.findings_dropped:
        click.echo(f"... and {report.findings_dropped} more")
    verdict = "verifies" if report.ok else "DOES NOT VERIFY"
    click.echo(
        f"{report.project_id} {verdict}: {report.entries} entries of {report.tasks} tasks, "
        f"{report.anchored_entries} anchored, {report.unanchored_entries} not anchored"
    )


def _gist(entry: Entry) -> str:
    body = entry.body
    if entry.kind == "attempt":
        return f"R{body.get('r')}/S{body.get('s')} {body.get('result')} {body.get('reason_code')}"
    text = body.get("final_status") or body.get("summary") or ""
    return str(text).splitlines()[0][:60] if text else ""


def _text_or_file(value: str) -> str:
    if not value.startswith("@"):
        return value
    try:
        with open(value[1:], encoding="utf-8", newline="") as file:  # noqa: PTH123  no pathlib here
            return file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"cannot be read: {error}", where=value[1:], mend="pass a UTF-8 text file after '@'"
        ) from error


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    arguments = sys.argv[1:] if argv is None else argv
    try:
        code = cli.main(arguments, prog_name="workflow-logger", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        return 130
    except LoggerError as error:
        return _fail(error.what, error.where, error.mend, error.exit_code, arguments)
    except OSError as error:
        what = error.strerror or str(error)
        mend = "check the path, its permissions and the room on the disk"
        return _fail(what, str(error.filename or "file"), mend, 3, arguments)
    return code if isinstance(code, int) else 0


def _fail(what: str, where: str, mend: str, code: int, arguments: list[str]) -> int:
    if "--json" in arguments:
        error = {"what": what, "where": where, "mend": mend}
        click.echo(json.dumps({"ok": False, "exit_code": code, "error": error}))
    else:
        click.echo(f"{where}: {what}\nmend: {mend}", err=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
