"""What a dead controller left behind: finished or closed at the next start, and told.

    a run without an end whose process is gone   closed as died
    a task in flight                             its processes killed, its attempt closed as
                                                 interrupted, tree rolled back, back to the queue
    a step outside the queue                     its processes killed, its attempt closed as
                                                 interrupted; the tree stays, as after any step
    an effect that was decided and not done      done
    ledger files behind the store                brought up to date (by the views)

A second recovery finds nothing to do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.engine import entries
from orchestrator.engine.effects import interrupt, look_at_queue, run_effects
from orchestrator.engine.ports import Parts
from orchestrator.errors import LeaseHeld
from orchestrator.kernel.journey import Limits
from orchestrator.kernel.life import State
from orchestrator.kernel.records import RunRecord, TaskRecord
from orchestrator.kernel.work import AttemptWindow
from orchestrator.triage.policy import utc


@dataclass(frozen=True, slots=True)
class Recovered:
    """What was repaired, for people."""

    dead_runs: tuple[str, ...] = ()
    interrupted: tuple[str, ...] = ()
    processes_killed: int = 0
    effects_done: int = 0
    edit_refused: tuple[str, ...] = ()  # lines of the queue file, read at the start

    @property
    def is_empty(self) -> bool:
        """Whether there was nothing to repair."""
        return not (self.dead_runs or self.interrupted or self.effects_done)


def recover(parts: Parts, *, run_id: str, limits: Limits, roll_back: bool = True) -> Recovered:
    """Repair before anything new starts. The caller holds the project's controller lock.

    Raises:
        LeaseHeld: a run holds a task: its process is alive here (a lock was removed by hand),
            or it is on another host and its lease has not ended.
    """
    open_runs = [run for run in parts.store.open_runs() if run.run_id != run_id]
    left = parts.store.tasks_in_flight()
    alive = {run.run_id for run in open_runs if _holds(parts, run, left)}
    for task in left:
        if task.run_id in alive:
            raise LeaseHeld(
                f"run {task.run_id} is alive and works on {task.key}",
                where="the store",
                mend="wait for it, or stop that process; on another host, its lease ends at "
                + utc(task.lease_until_ms),
            )
    dead = [run for run in open_runs if run.run_id not in alive]
    steps = _open_steps(parts, dead)
    attempts = [task.attempt_id for task in left if task.attempt_id]
    attempts += [step["body"]["attempt_id"] for step in steps]
    killed = parts.processes.kill_leftovers(attempts) if attempts else 0
    for step in steps:
        _close_step(parts, step, run_id)
    edit = look_at_queue(parts, _window(left))
    for task in left:
        interrupt(
            parts,
            task,
            run_id=run_id,
            limits=limits,
            why=f"the controller of run {task.run_id} died",
            roll_back=roll_back,
        )
    done = run_effects(parts)
    for run in dead:
        parts.store.end_run(run.run_id, at=parts.clock.now().at, outcome="died")
        parts.sessions.write(run.run_id)
    interrupted = [task.key for task in left] + [step["task_id"] for step in steps]
    recovered = Recovered(
        tuple(run.run_id for run in dead), tuple(interrupted), killed, done, edit.refused
    )
    if not recovered.is_empty:
        _tell(parts, recovered, run_id)
    return recovered


def _tell(parts: Parts, recovered: Recovered, run_id: str) -> None:
    facts = {
        "dead_runs": list(recovered.dead_runs),
        "interrupted": list(recovered.interrupted),
        "processes_killed": recovered.processes_killed,
        "effects_done": recovered.effects_done,
    }
    parts.store.note(moment=parts.clock.now(), run_id=run_id, kind="recovery", body=facts)
    parts.listener.tell("recovered", **facts)


def _holds(parts: Parts, run: RunRecord, left: Sequence[TaskRecord]) -> bool:
    """Whether a run still has a right to its tasks.

    A process of this machine is asked for; one of another host holds a task until its lease ends.
    Whatever it writes later is refused by the fencing token.
    """
    if parts.processes.is_here(run):
        return parts.processes.is_alive(run)
    now = parts.clock.now().ms
    leases = [task.lease_until_ms for task in left if task.run_id == run.run_id]
    return any(lease > now for lease in leases)


def _window(left: Sequence[TaskRecord]) -> AttemptWindow | None:
    """The worker's time that the dead controller did not see the end of, if there was one."""
    ran = {State.DISPATCHED, State.IN_REVIEW, State.REWORK}
    attempts = [task.attempt_id for task in left if task.state in ran and task.attempt_id]
    return AttemptWindow(attempts[0]) if attempts else None


def _open_steps(parts: Parts, dead: Sequence[RunRecord]) -> list[dict[str, Any]]:
    """Return the entries of steps that a dead run started and nobody closed."""
    started: dict[str, dict[str, Any]] = {}
    for run in dead:
        if run.kind != "step":
            continue
        for entry in parts.store.entries(run_id=run.run_id):
            if entry["kind"] == "step_started":
                started[entry["body"]["attempt_id"]] = entry
            elif entry["kind"] == "attempt":
                started.pop(entry["body"]["attempt_id"], None)
    return list(started.values())


def _close_step(parts: Parts, step: dict[str, Any], run_id: str) -> None:
    body = step["body"]
    look_at_queue(parts, AttemptWindow(body["attempt_id"]))
    why = "the controller died; what the worker did stays in the tree"
    parts.store.note(
        moment=parts.clock.now(),
        run_id=run_id,
        kind="attempt",
        task_id=step["task_id"],
        body=entries.interrupted(body["r"], body["s"], body["attempt_id"], why),
    )
    undo = f"undo it with: rollback --checkpoint-id {body['checkpoint_id']}"
    parts.listener.tell("warning", task=step["task_id"], text=f"{why}; {undo}")
