"""Options that several commands share: how a worker is run, and the flags they make."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from orchestrator.wiring.flags import RunFlags

Option = Callable[[Any], Any]

WORKER_OPTIONS: list[Option] = [
    click.option("--worker-backend", default=None,
                 help="shim, command, or the name of an agent that the shim drives."),
    click.option("--shim", default=None, help="The shim's command line, instead of the settings'."),
    click.option("--max-runtime-sec", type=click.IntRange(1), default=None,
                 help="Overrides the pack's runtime limit."),
    click.option("--max-silence-sec", type=click.IntRange(1), default=None,
                 help="Overrides the pack's silence limit."),
    click.option("--max-memory-mb", type=click.IntRange(1), default=None,
                 help="Overrides the pack's memory limit, of the whole process tree."),
]  # fmt: skip


def with_options(options: Sequence[Option]) -> Option:
    """Return a decorator that adds the options to a command, in their order."""

    def decorate(function: Any) -> Any:  # noqa: ANN401  click's own signature
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def run_flags(options: dict[str, Any]) -> RunFlags:
    """Return what a command's options say about a run; an option that it lacks says nothing."""
    from orchestrator.wiring.flags import RunFlags

    return RunFlags(
        step_pack_map_file=options.get("step_pack_map_file"),
        step_pack_file=options.get("step_pack_file"),
        max_rework_rounds=options.get("max_rework_rounds"),
        worker_backend=options["worker_backend"],
        shim=options["shim"],
        max_runtime_sec=options["max_runtime_sec"],
        max_silence_sec=options["max_silence_sec"],
        max_memory_mb=options["max_memory_mb"],
        roll_back=options.get("rollback_on_fail"),
        rework_thread_id=options.get("rework_thread_id"),
    )
