"""What the command line says about a run, laid over the settings."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from orchestrator.errors import ContractError
from orchestrator.wiring.settings import Settings


@dataclass(frozen=True, slots=True)
class RunFlags:
    """What the command line says about a run; None leaves it to the settings."""

    step_pack_map_file: str | None = None
    step_pack_file: str | None = None
    max_rework_rounds: int | None = None
    worker_backend: str | None = None
    shim: str | None = None
    max_runtime_sec: int | None = None
    max_silence_sec: int | None = None
    max_memory_mb: int | None = None
    roll_back: bool | None = None
    rework_thread_id: str | None = None


def with_flags(settings: Settings, flags: RunFlags) -> Settings:
    """Lay the flags over the settings."""
    changed: dict[str, object] = {}
    if flags.shim is not None:
        changed["worker"] = settings.worker.model_copy(
            update={"shim": _command_line(flags.shim), "backend": "shim"}
        )
    if flags.max_rework_rounds is not None:
        changed["limits"] = settings.limits.model_copy(
            update={"max_rework_rounds": flags.max_rework_rounds}
        )
    if flags.roll_back is not None:
        changed["roll_back"] = flags.roll_back
    return settings.model_copy(update=changed) if changed else settings


def _command_line(text: str) -> tuple[str, ...]:
    try:
        words = tuple(shlex.split(text))
    except ValueError as error:
        raise ContractError(
            f"not a command line: {error}", where="--shim", mend="close what is quoted"
        ) from error
    if not words:
        raise ContractError("the shim has no program", where="--shim", mend="name one")
    return words
