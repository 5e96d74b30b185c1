"""What goes out: data to stdout, everything else to stderr, one JSON envelope for machines."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Sequence
from functools import wraps
from itertools import pairwise
from typing import Any, TypeVar

import click

from orchestrator.errors import ContractError, OrchestratorError
from orchestrator.vocabulary import ID_PATTERN

F = TypeVar("F", bound=Callable[..., Any])


def wants_json(arguments: Sequence[str]) -> bool:
    """Whether the answer has to be one JSON document, also when the arguments are wrong."""
    return (
        "--json" in arguments
        or "--output-format=json" in arguments
        or "--output=json" in arguments
        or any(
            name in {"--output-format", "--output"} and value == "json"
            for name, value in pairwise(arguments)
        )
    )


def command_name(arguments: Sequence[str]) -> str:
    """Return the command's name for the envelope: the first argument that is no option."""
    return next((word for word in arguments if not word.startswith("-")), "")


def emit(
    command: str,
    data: dict[str, Any],
    *,
    as_json: bool,
    text: Callable[[], str],
    code: int = 0,
    error: OrchestratorError | None = None,
) -> int:
    """Print a result: the envelope, or the text for a person. Returns the exit code.

    Args:
        command: its name.
        data: the result.
        as_json: print one JSON document, and nothing else.
        text: makes the text for a person.
        code: the exit code; the envelope's `ok` says whether it is 0.
        error: what ended the work before its time; its own code goes before `code`.
    """
    code = code if error is None else error.exit_code
    if as_json:
        rows = [] if error is None else _error_rows(error)
        print(json.dumps(envelope(command, data, rows, ok=code == 0), ensure_ascii=False))
        return code
    click.echo(text())
    return code if error is None else fail(command, error, as_json=False)


def envelope(
    command: str, data: dict[str, Any], errors: Sequence[dict[str, Any]] = (), *, ok: bool = True
) -> dict[str, Any]:
    """The one envelope of `--json`."""
    return {
        "schema_version": 1,
        "command": command,
        "ok": ok and not errors,
        "data": data,
        "errors": list(errors),
    }


def fail(command: str, error: OrchestratorError | click.ClickException, *, as_json: bool) -> int:
    """Report an error. Returns the exit code."""
    if as_json:
        print(json.dumps(envelope(command, {}, _error_rows(error), ok=False), ensure_ascii=False))
        return error.exit_code
    if isinstance(error, click.ClickException):
        error.show()
        return error.exit_code
    click.secho(f"error: {error.what}", fg="red", err=True)
    for line in getattr(error, "problems", ()):
        click.echo(f"  {line}", err=True)
    click.echo(f"  where: {error.where}", err=True)
    click.echo(f"  mend:  {error.mend}", err=True)
    return error.exit_code


def _error_rows(error: OrchestratorError | click.ClickException) -> list[dict[str, Any]]:
    if isinstance(error, click.ClickException):
        return [{"code": "usage", "message": error.format_message(), "path": "", "hint": "--help"}]
    code = type(error).__name__
    if isinstance(error, ContractError) and error.problems:
        return [_problem(code, line, error.mend) for line in error.problems]
    return [{"code": code, "message": error.what, "path": error.where, "hint": error.mend}]


def _problem(code: str, line: str, hint: str) -> dict[str, Any]:
    parts = line.split(":", 3)
    if len(parts) == 4 and parts[1].isdigit() and parts[2].isdigit():  # noqa: PLR2004
        return {
            "code": code,
            "message": parts[3].strip(),
            "path": parts[0],
            "line": int(parts[1]),
            "column": int(parts[2]),
            "hint": hint,
        }
    return {"code": code, "message": line, "path": "", "hint": hint}


def plain_id(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Refuse an id that could not name a file and a git ref. For `callback` of an option."""
    if value is not None and not re.fullmatch(ID_PATTERN, value):
        what = f"{value!r} is no plain id: letters, digits, dots inside, - and _"
        raise click.BadParameter(what, ctx, param)
    return value


def confirm(what: str, question: str, *, as_json: bool) -> None:
    """Ask a person before something is changed; without one there, refuse.

    Raises:
        UsageError: nobody can be asked, and `--yes` is not given.
        Abort: the person says no.
    """
    if as_json or not sys.stdin.isatty():
        raise click.UsageError("nobody can be asked here: give --yes, or --dry-run to see the plan")
    click.echo(what, err=True)
    click.confirm(question, abort=True, err=True)


def undo_line(checkpoint_id: str) -> str:
    """Say how a person gets back to a checkpoint."""
    return f"undo with: python -m orchestrator rollback --checkpoint-id {checkpoint_id}"


def write_trace(text: str) -> str:
    """Write a trace where a person can send it from."""
    import tempfile

    handle, path = tempfile.mkstemp(prefix="orchestrator-fault-", suffix=".txt")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def common(function: F) -> F:
    """Add the options that every command has."""

    @click.option(
        "--project",
        "project_dir",
        type=click.Path(file_okay=False),
        default=None,
        help="The project's folder.  [env: ORCHESTRATOR_PROJECT; default: here]",
    )
    @click.option(
        "--progress-dir",
        type=click.Path(file_okay=False),
        default=None,
        help="Where state and views are.  [default: <project>/progress]",
    )
    @click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
    @wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  click's own signature
        return function(*args, **kwargs)

    return wrapped  # type: ignore[return-value]


def is_plain() -> bool:
    """Whether stderr is not a terminal, or the person asked for plain text."""
    if os.environ.get("FORCE_COLOR"):
        return False
    return (
        not sys.stderr.isatty()
        or bool(os.environ.get("NO_COLOR"))
        or os.environ.get("TERM") == "dumb"
        or bool(os.environ.get("CI"))
    )


def counted(count: int, word: str) -> str:
    """Say a number of things: `1 path`, `2 paths`."""
    return f"{count} {word}" if count == 1 else f"{count} {word}s"
