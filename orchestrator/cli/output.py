"""What goes out: data to stdout, everything else to stderr, one JSON envelope for machines."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, TypeVar

import click

from orchestrator.errors import ContractError, OrchestratorError

F = TypeVar("F", bound=Callable[..., Any])


def command_name(arguments: Sequence[str]) -> str:
    """Return the command's name for the envelope: the first argument that is no option."""
    return next((word for word in arguments if not word.startswith("-")), "")


def emit(command: str, data: dict[str, Any], *, as_json: bool, text: Callable[[], str]) -> None:
    """Print a result: the envelope, or the text for a person."""
    if as_json:
        print(json.dumps(envelope(command, data), ensure_ascii=False))
    else:
        click.echo(text())


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


def write_trace(text: str) -> str:
    """Write a trace where a person can send it from."""
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
