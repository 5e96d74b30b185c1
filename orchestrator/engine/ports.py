"""What the engine needs from the world, named for the need. `wiring` brings the adapters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from orchestrator.engine.phases import Preparation
from orchestrator.kernel.records import Moment, Move, Moved, PendingEffect, RunRecord, TaskRecord
from orchestrator.kernel.work import (
    AttemptWindow,
    CheckpointTaken,
    LoadedPack,
    QueueEdit,
    Round,
    WorkerAnswer,
    WorkOrder,
)
from orchestrator.protocol.evidence import Evidence, Observations
from orchestrator.protocol.step_pack import StepPack
from orchestrator.protocol.task import Task


class Clock(Protocol):
    """The only source of time."""

    def now(self) -> Moment:
        """Return the present moment."""
        ...

    def wait(self, milliseconds: int) -> None:
        """Return after that time, or sooner when the run is being stopped."""
        ...


class Ids(Protocol):
    """The only source of chance."""

    def run_id(self, stem: str, moment: Moment) -> str:
        """Return `<stem>_<YYYYMMDDThhmmssZ>_<rand7>`."""
        ...

    def attempt_id(self, moment: Moment) -> str:
        """Return `A_<YYYYMMDDThhmmssZ>_<rand>`."""
        ...


class Store(Protocol):
    """Tasks, leases, ledger and outbox; each `move` is one durable transaction."""

    def task(self, key: str) -> TaskRecord: ...  # noqa: D102
    def tasks_in_flight(self) -> list[TaskRecord]: ...  # noqa: D102
    def next_wake_ms(self) -> int | None: ...  # noqa: D102
    def peek(self, moment: Moment) -> TaskRecord | None: ...  # noqa: D102
    def claim_next(  # noqa: D102
        self, *, run_id: str, moment: Moment, lease_until_ms: int, key: str | None = None
    ) -> TaskRecord | None: ...
    def move(self, move: Move) -> Moved: ...  # noqa: D102
    def note(  # noqa: D102
        self,
        *,
        moment: Moment,
        run_id: str | None,
        kind: str,
        body: Mapping[str, Any],
        task_id: str = "",
    ) -> str: ...
    def pending_effects(self) -> list[PendingEffect]: ...  # noqa: D102
    def effect_done(self, effect: PendingEffect) -> None: ...  # noqa: D102
    def effect_failed(self, effect: PendingEffect, error: str) -> None: ...  # noqa: D102
    def start_run(self, run: RunRecord) -> None: ...  # noqa: D102
    def end_run(self, run_id: str, *, at: str, outcome: str) -> None: ...  # noqa: D102
    def open_runs(self) -> list[RunRecord]: ...  # noqa: D102
    def entries(  # noqa: D102
        self, *, run_id: str | None = None, task_id: str | None = None
    ) -> Iterator[dict[str, Any]]: ...


class Packs(Protocol):
    """Where StepPacks come from."""

    def load(self, task: Task) -> LoadedPack:
        """Return the task's pack. Raises ContractError when it is missing or wrong."""
        ...


class Contracts(Protocol):
    """Readiness, tier routing and the tier-3 master contract, with their files."""

    def prepare(self, task: TaskRecord, pack: LoadedPack, moment: Moment) -> Preparation:
        """Choose the route and its contract. Raises PolicyError for a task not ready."""
        ...


class EvidenceStore(Protocol):
    """Writes evidence and names it by content."""

    def open_round(
        self,
        *,
        run_id: str,
        task_key: str,
        step_id: str,
        attempt_id: str,
        revision: int,
        attempt: int,
    ) -> Round:
        """Make the folder of one attempt."""
        ...

    def save(
        self, place: Round, name: str, data: bytes, *, kind: str, durable: bool = False
    ) -> Evidence:
        """Write one file; `durable` waits until it is on disk."""
        ...


class Workplace(Protocol):
    """The tree that workers change, and the controller's own look at it."""

    def checkpoint(self, task_key: str, run_id: str, moment: Moment) -> CheckpointTaken:
        """Make a state that can be restored exactly."""
        ...

    def restore(self, checkpoint_id: str) -> int:
        """Put the tree back, exactly. Returns how many paths changed. Repeatable."""
        ...

    def keep(self, *, kind: str, task_key: str, attempt_id: str, tree: str) -> str:
        """Keep a tree under `refs/orchestrator/<kind>/...`. Returns its name. Repeatable."""
        ...

    def before(self, place: Round, pack: StepPack, checkpoint: CheckpointTaken) -> object:
        """Note what has to be compared after the worker has ended."""
        ...

    def observe(
        self,
        noted: object,
        place: Round,
        pack: StepPack,
        answer: WorkerAnswer,
    ) -> Observations:
        """Look: real changes, our own run of the checks, the claimed files."""
        ...


class Worker(Protocol):
    """Runs an agent for one order."""

    def run(self, order: WorkOrder) -> WorkerAnswer:
        """Return when no process of the order is left. Raises WorkerError if it cannot start."""
        ...


class Processes(Protocol):
    """What recovery asks about processes."""

    def is_here(self, run: RunRecord) -> bool:
        """Whether the run was started on this machine, so that its process can be asked for."""
        ...

    def is_alive(self, run: RunRecord) -> bool:
        """Whether that very process still runs."""
        ...

    def kill_leftovers(self, attempt_ids: Sequence[str]) -> int:
        """End every process of these attempts. Returns how many there were."""
        ...

    def this_run(self, run_id: str, kind: str, moment: Moment) -> RunRecord:
        """Describe the present process."""
        ...


class QueueInput(Protocol):
    """The queue file that a person edits."""

    def sync(self, moment: Moment, *, window: AttemptWindow | None = None) -> QueueEdit:
        """Read the file if it changed, import what is allowed, say what was refused.

        window: a worker ran in the tree since the last look, so it could have written the file.
        """
        ...


class Views(Protocol):
    """What people and tools read, and the ledger's files."""

    def publish(self, moment: Moment, *, now: bool = False) -> None:
        """Bring the files up to date; without `now`, only as often as it stays cheap."""
        ...


class Sessions(Protocol):
    """The events of each run, for machines."""

    def write(self, run_id: str) -> object:
        """Write the file of one run anew."""
        ...


class Stop(Protocol):
    """How somebody outside asks for an end."""

    @property
    def is_asked(self) -> bool:
        """Take no further task."""
        ...

    @property
    def is_forced(self) -> bool:
        """Stop the present attempt, too."""
        ...


class Listener(Protocol):
    """Who wants to see what happens. Telling never fails and decides nothing."""

    def tell(self, event: str, /, **facts: object) -> None:
        """Something happened."""
        ...


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything the engine works with."""

    store: Store
    packs: Packs
    contracts: Contracts
    evidence: EvidenceStore
    workplace: Workplace
    worker: Worker
    processes: Processes
    queue: QueueInput
    views: Views
    sessions: Sessions
    clock: Clock
    ids: Ids
    stop: Stop
    listener: Listener
