"""Help topics that belong to no command."""

from __future__ import annotations

import click

EXIT_CODES: dict[int, str] = {
    0: "ok",
    1: "ran, and the verdict is negative: review refused, gate failed, ledger does not verify",
    2: "usage or a file that a person wrote is wrong; each fault is named with its line",
    3: "a fault of this program, its store or its workspace",
    4: "waiting for a person: an approval or an answer",
    5: "nothing to do: the queue is drained, or the thing asked for does not exist",
    6: "refused by a rule: not allowed now, out of scope, not approved",
    7: "a worker backend is not available",
    75: "somebody else holds the lock or the lease; try again",
    124: "a time or silence limit ended the worker",
    130: "interrupted (SIGINT)",
    143: "terminated (SIGTERM)",
}

ENVIRONMENT: dict[str, str] = {
    "ORCHESTRATOR_PROJECT": "the project's folder, when --project is not given",
    "ORCHESTRATOR_HOME": "keys, trusted keys and anchors  [default: the user's config folder]",
    "ORCHESTRATOR_DEBUG": "1 shows the trace of a fault of this program",
    "NO_COLOR, FORCE_COLOR, CI, TERM=dumb": "colour and live display",
}


@click.command("help")
@click.argument("topic", required=False, type=click.Choice(["exit-codes", "environment"]))
def topics(topic: str | None) -> None:
    """Show a topic: exit-codes or environment."""
    if topic is None:
        click.echo("orchestrator help exit-codes     what each exit code means")
        click.echo("orchestrator help environment    variables that are read")
        click.echo("orchestrator COMMAND --help      one command")
        return
    table = EXIT_CODES if topic == "exit-codes" else ENVIRONMENT
    width = max(len(str(name)) for name in table)
    for name, text in table.items():
        click.echo(f"{name!s:>{width}}  {text}")
