"""The command group, loaded lazily: `--help` imports click and nothing of the engine."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any

import click

from orchestrator import __version__
from orchestrator.cli.output import command_name, fail, wants_json
from orchestrator.errors import OrchestratorError

# name -> (module, attribute, one line of help)
COMMANDS: dict[str, tuple[str, str, str]] = {
    "init": ("setup", "init", "Make this folder a project: queue, folders, ledger key."),
    "doctor": ("setup", "doctor", "Check what a campaign needs, and say how to mend it."),
    "run-campaign": ("run", "run_campaign", "Work through the queue until it is drained."),
    "run-cycle": ("run", "run_cycle", "Run one task: claim, dispatch, verify, finish."),
    "status": ("look", "status", "Show the queue: what is done, refused, waiting, and why."),
    "replay": ("look", "replay", "Tell a run's story from its entries, and check the store."),
    "verify": ("look", "verify", "Check ledger, files and evidence against each other."),
    "queue-take": ("setup", "queue_take", "Import an edit of the queue that was held."),
    "prepare": ("prepare", "prepare", "Check a task's readiness, choose its tier, compile tier 3."),
    "prepare-next": ("prepare", "prepare_next", "Show which task would be next, claim nothing."),
    "dispatch-step": ("step", "dispatch_step", "Send one StepPack to a worker, outside the queue."),
    "dispatch-rework": ("step", "dispatch_rework", "Send a ReworkPack to a worker's session."),
    "review-step": ("step", "review_step", "Review a StepResult against its StepPack."),
    "checkpoint-create": ("undo", "checkpoint_create", "Save the present tree."),
    "rollback": ("undo", "rollback", "Put a saved tree back; list what could be."),
    "help": ("topics", "topics", "Topics: exit-codes, environment."),
}


class LazyGroup(click.Group):
    """Imports a command's module when the command is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the table."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module, attribute, _ = COMMANDS[cmd_name]
        found = getattr(importlib.import_module(f"orchestrator.cli.{module}"), attribute)
        return found if isinstance(found, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry[2]) for name, entry in COMMANDS.items()])


@click.command(
    cls=LazyGroup,
    commands=dict.fromkeys(COMMANDS),  # so that click can suggest a name
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: orchestrator help exit-codes",
)
@click.version_option(__version__, prog_name="orchestrator")
def cli() -> None:
    """Work through a backlog with coding agents, and trust what comes out.

    Bounds each agent before the work, checks the result itself, records every decision in a
    tamper-evident ledger, and undoes what it refuses.
    """


def run(arguments: Sequence[str]) -> int:
    """Run one command. Returns its exit code; the only place where errors become codes."""
    as_json = wants_json(arguments)
    name = command_name(arguments)
    try:
        result: Any = cli.main(
            args=list(arguments), prog_name="orchestrator", standalone_mode=False
        )
    except OrchestratorError as error:
        return fail(name, error, as_json=as_json)
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except click.Abort:
        print("aborted", file=sys.stderr)
        return 130
    except click.ClickException as error:
        if as_json:
            return fail(name, error, as_json=True)
        error.show()
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123
        return 0
    except Exception as error:  # noqa: BLE001  the last door: our own fault, told without a trace
        return _our_fault(name, error, as_json=as_json)
    return result if isinstance(result, int) else 0


def _our_fault(name: str, error: Exception, *, as_json: bool) -> int:
    """Report a refusal of the system, or a fault of ours: its trace goes to a file."""
    if os.environ.get("ORCHESTRATOR_DEBUG"):
        raise error
    import traceback

    from orchestrator.cli.output import write_trace

    if isinstance(error, OSError) and error.filename:
        refused = OrchestratorError(
            f"the system refuses: {error.strerror}",
            where=str(error.filename),
            mend="make it readable and writable; ORCHESTRATOR_DEBUG=1 shows the trace",
        )
        return fail(name, refused, as_json=as_json)
    where = write_trace(traceback.format_exc())
    fault = OrchestratorError(
        f"a fault of this program: {type(error).__name__}: {error}",
        where=where,
        mend="please report it with that file; ORCHESTRATOR_DEBUG=1 shows the trace",
    )
    return fail(name, fault, as_json=as_json)
