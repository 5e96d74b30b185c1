"""A world for the engine: the real store and queue file, scripted doubles for the rest."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from orchestrator.engine.controller import ControllerEngine
from orchestrator.engine.phases import Preparation
from orchestrator.engine.ports import Parts
from orchestrator.engine.reports import CycleOptions
from orchestrator.errors import ContractError, PolicyError, WorkerError, WorkspaceError
from orchestrator.kernel.journey import Limits
from orchestrator.kernel.records import Moment, RunRecord, TaskRecord
from orchestrator.kernel.work import (
    CheckpointTaken,
    LoadedPack,
    Round,
    WorkerAnswer,
    WorkOrder,
)
from orchestrator.process.builtin import builtin_contract
from orchestrator.protocol.evidence import Observations
from orchestrator.protocol.step_pack import StepPack
from orchestrator.protocol.task import Task
from orchestrator.session_log.store import SessionLog
from orchestrator.store.evidence import FileEvidence
from orchestrator.store.queuefile import QueueFile
from orchestrator.store.sql import SqliteDatabase, migrate
from orchestrator.store.store import SqlStore
from tests.unit.qa import attempts

START_MS = 1_800_000_000_000


@dataclass(frozen=True)
class Play:
    """What a worker does in one round, and what our own look then shows."""

    tree: str | None = "done"  # what it leaves; None: nothing changed
    claim: str | None = "PASS"
    check_exit: int | None = 0  # None: the check could not be started
    ending: str = "exited"
    thread_id: str | None = "th-1"
    error: WorkerError | None = None
    act: Callable[[World], None] | None = None
    check_ending: str | None = None
    outside: bool = False  # something outside the allowed paths changed too


HONEST = Play()
WRONG = Play(tree="half", claim="FAIL", check_exit=1)
UNKNOWN = Play(check_exit=None)
ASKS = Play(tree=None, claim="BLOCKED", check_exit=1)
CANCELLED = Play(ending="cancelled", claim=None)
MISSING = Play(error=WorkerError("there is no such program", where="the shim", mend="install it"))


@dataclass
class Clock:
    """Time that passes a millisecond at each look; a wait is over at once."""

    ms: int = START_MS
    waits: list[int] = field(default_factory=list)

    def now(self) -> Moment:
        self.ms += 1
        at = datetime.fromtimestamp(self.ms / 1000, tz=UTC)
        return Moment(self.ms, at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{self.ms % 1000:03d}Z")

    def wait(self, milliseconds: int) -> None:
        self.waits.append(milliseconds)
        self.ms += milliseconds


@dataclass
class Ids:
    number: int = 0

    def run_id(self, stem: str, moment: Moment) -> str:
        self.number += 1
        return f"{stem}_{self.number}"

    def attempt_id(self, moment: Moment) -> str:
        self.number += 1
        return f"A_{self.number}"


@dataclass
class Packs:
    broken: set[str] = field(default_factory=set)

    def load(self, task: Task) -> LoadedPack:
        if task.task_key in self.broken:
            raise ContractError(
                "the StepPack cannot be read", where="p.json", mend="write it anew",
                problems=("p.json:3:1: allowed_paths: missing",),
            )  # fmt: skip
        data = attempts.pack(task_id=task.task_key)
        return LoadedPack(data, data.model_dump_json().encode(), "c" * 64, "p.json")


@dataclass
class Contracts:
    not_ready: set[str] = field(default_factory=set)
    tier: str = "tier2"
    conforms: bool | None = None

    def prepare(self, task: TaskRecord, pack: LoadedPack, moment: Moment) -> Preparation:
        if task.key in self.not_ready:
            raise PolicyError("it has no criteria", where=task.key, mend="write them")
        contract = builtin_contract(self.tier)
        return Preparation(contract, self.conforms, {"tier": self.tier, "tier_reasons": []})


@dataclass
class Workplace:
    """A tree that is one word."""

    tree: str = "base"
    play: Play = HONEST
    saved: dict[str, str] = field(default_factory=dict)
    kept: list[tuple[str, str, str]] = field(default_factory=list)
    broken: bool = False

    def checkpoint(self, task_key: str, run_id: str, moment: Moment) -> CheckpointTaken:
        name = f"{task_key}_{moment.ms}"
        self.saved[name] = self.tree
        return CheckpointTaken(name, self.tree)

    def restore(self, checkpoint_id: str) -> int:
        if self.broken:
            raise WorkspaceError("the disk refuses", where="the tree", mend="free some space")
        changed = int(self.tree != self.saved[checkpoint_id])
        self.tree = self.saved[checkpoint_id]
        return changed

    def keep(self, *, kind: str, task_key: str, attempt_id: str, tree: str) -> str:
        self.kept.append((kind, task_key, tree))
        return f"refs/{kind}"

    def before(self, place: Round, pack: StepPack, checkpoint: CheckpointTaken) -> object:
        return checkpoint.tree

    def observe(
        self, noted: object, place: Round, pack: StepPack, answer: WorkerAnswer
    ) -> Observations:
        play = self.play
        run: dict[str, Any] = {"tree": self.tree, "exit_code": play.check_exit}
        if play.check_exit is None:
            run |= {"ending": "not_started", "harness_fault": "there is no such program"}
        elif play.check_exit:
            run["tests"] = attempts.ran(3, failed=1)
        if play.check_ending:
            run |= {"ending": play.check_ending, "exit_code": None}
        changes = [attempts.changed()] if self.tree != noted else []
        if play.outside:
            changes.append(attempts.changed("docs/a.md"))
        return attempts.facts(
            attempt_id=place.attempt_id,
            base_tree=noted,
            tree=self.tree,
            changes=changes,
            worker=answer.run,
            commands=[attempts.run(**run)],
            base_commands=[attempts.base_run(tree=noted)],
        )


class Worker:
    """Plays what is written down, in order, then goes on with the last play."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.orders: list[WorkOrder] = []

    def run(self, order: WorkOrder) -> WorkerAnswer:
        plays = self._world.plays
        play = plays.popleft() if len(plays) > 1 else plays[0]
        self.orders.append(order)
        if play.error is not None:
            raise play.error
        if play.act is not None:
            play.act(self._world)
        place = self._world.workplace
        place.play = play
        is_again = order.thread_id is None and play.tree == place.tree
        place.tree = f"{play.tree}+" if is_again else play.tree or place.tree
        result = None
        if play.claim is not None:
            more: dict[str, Any] = {"result": play.claim, "task_id": order.pack.task_id}
            if play.check_exit:
                more["commands_executed"] = [
                    {"command": attempts.COMMAND, "exit_code": play.check_exit}
                ]
            if play.tree is None:
                more["files_changed"] = []
            result = attempts.result(**more)
        code = 0 if play.ending == "exited" else None
        run = attempts.worker(ending=play.ending, exit_code=code, thread_id=play.thread_id)
        return WorkerAnswer(run, result, play.thread_id)


@dataclass
class Processes:
    alive: set[str] = field(default_factory=set)
    killed: list[str] = field(default_factory=list)
    elsewhere: set[str] = field(default_factory=set)

    def is_here(self, run: RunRecord) -> bool:
        return run.run_id not in self.elsewhere

    def is_alive(self, run: RunRecord) -> bool:
        return run.run_id in self.alive

    def kill_leftovers(self, attempt_ids: Sequence[str]) -> int:
        self.killed += attempt_ids
        return len(attempt_ids)

    def this_run(self, run_id: str, kind: str, moment: Moment) -> RunRecord:
        return RunRecord(run_id, kind, 1, 1, "boot", "host", moment.at)


@dataclass
class Views:
    published: int = 0

    def publish(self, moment: Moment, *, now: bool = False) -> None:
        self.published += 1


@dataclass
class Stop:
    is_asked: bool = False
    is_forced: bool = False


@dataclass
class Listener:
    told: list[tuple[str, dict[str, object]]] = field(default_factory=list)

    def tell(self, event: str, /, **facts: object) -> None:
        self.told.append((event, facts))

    def names(self) -> list[str]:
        return [event for event, _ in self.told]


class World:
    """Everything at once, with the parts at hand. `close` it."""

    def __init__(self, folder: Path) -> None:
        database = SqliteDatabase(folder / "state.db")
        migrate(database)
        self.folder = folder
        self.store = SqlStore(database, "world")
        self.queue_path = folder / "task_queue.json"
        self.plays: deque[Play] = deque([HONEST])
        self.clock, self.ids, self.stop = Clock(), Ids(), Stop()
        self.packs, self.contracts, self.workplace = Packs(), Contracts(), Workplace()
        self.processes, self.views, self.listener = Processes(), Views(), Listener()
        self.worker = Worker(self)
        self.sessions = SessionLog(self.store.ledger, folder / "sessions")
        self.parts = Parts(
            store=self.store, packs=self.packs, contracts=self.contracts,
            evidence=FileEvidence(folder), workplace=self.workplace, worker=self.worker,
            processes=self.processes, queue=QueueFile(self.store, self.queue_path),
            views=self.views, sessions=self.sessions, clock=self.clock, ids=self.ids,
            stop=self.stop, listener=self.listener,
        )  # fmt: skip

    def close(self) -> None:
        self.store.close()

    def engine(self, *, roll_back: bool = True, **limits: int) -> ControllerEngine:
        bounds = Limits(**{"backoff_base_ms": 0, **limits})
        return ControllerEngine(self.parts, CycleOptions(limits=bounds, roll_back=roll_back))

    def queue(self, *keys: str, **more: object) -> None:
        """Write the queue as a person would."""
        tasks = [
            {"task_key": key, "title": key, "step_pack": "p.json", "max_attempts": 1, **more}
            for key in keys
        ]
        data = {"schema_version": 1, "kind": "task_queue", "tasks": tasks}
        self.queue_path.write_text(json.dumps(data))

    def play(self, *plays: Play) -> None:
        self.plays = deque(plays)

    def kinds(self, task_id: str | None = None) -> list[str]:
        """Give the events, or the kinds where no task moved."""
        return [
            entry["body"].get("event", entry["kind"])
            for entry in self.store.entries(task_id=task_id)
        ]
