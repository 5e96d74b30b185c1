"""What passes between the engine and the adapters around one attempt: plain values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # named in annotations only; a command that shows the queue needs no models
    from orchestrator.protocol.evidence import WorkerRun
    from orchestrator.protocol.step_pack import StepPack
    from orchestrator.protocol.step_result import StepResult


@dataclass(frozen=True, slots=True)
class LoadedPack:
    """A StepPack as a person wrote it: `data` are the file's bytes, `digest` their SHA-256."""

    pack: StepPack
    data: bytes
    digest: str
    source: str


@dataclass(frozen=True, slots=True)
class Round:
    """One attempt's place for evidence. `prefix` is `directory` relative to the project."""

    run_id: str
    task_key: str
    step_id: str
    attempt_id: str
    revision: int
    attempt: int
    directory: str
    prefix: str

    @property
    def name(self) -> str:
        """`R<r>S<s>`."""
        return f"R{self.revision}S{self.attempt}"


@dataclass(frozen=True, slots=True)
class WorkOrder:
    """One dispatch. `payload` is a StepPack (thread_id None) or a ReworkPack, as JSON."""

    round: Round
    payload: bytes
    thread_id: str | None
    pack: StepPack
    backend: str | None


@dataclass(frozen=True, slots=True)
class WorkerAnswer:
    """What came back: how the process ended, and the claim if there is a readable one."""

    run: WorkerRun
    result: StepResult | None
    thread_id: str | None


@dataclass(frozen=True, slots=True)
class CheckpointTaken:
    """A state that can be restored. `tree` names its content."""

    checkpoint_id: str
    tree: str
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AttemptWindow:
    """The time in which a worker ran in the tree, and what is known to have changed in it.

    changed: paths relative to the project; None when nobody looked.
    """

    attempt_id: str
    changed: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class QueueEdit:
    """What reading the queue file led to; empty when the file is as the store last wrote it."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    moved: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()  # lines `file:line:col: path: message`, last good state kept
    notes: tuple[str, ...] = ()  # lines of the same form: what was not taken for a person's wish
    held_as: str = ""  # where an edit lies that nobody can attribute
    digest: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether nothing was read or nothing differed."""
        return not (
            self.added or self.changed or self.removed or self.moved or self.refused or self.notes
        )
