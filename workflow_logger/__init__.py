"""An append-only, tamper-evident log of attempts at tasks: a library and a command line.

`WorkflowLogger` is the door. It is loaded on first use (PEP 562), so that importing one pure
module of this package (`workflow_logger.entry`, `.merkle`, `.canonical`) stays cheap. Bytes on
disk are described in `instructions/FORMAT.md`. This package stands alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workflow_logger.logger import WorkflowLogger

__all__ = ["WorkflowLogger"]


def __getattr__(name: str) -> object:
    if name == "WorkflowLogger":
        from workflow_logger.logger import WorkflowLogger as Loaded  # noqa: PLC0415  lazy door

        globals()[name] = Loaded
        return Loaded
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
