"""What a dead controller left behind: finished or closed at the next start, and told.

    a run without an end whose process is gone   closed as died
    a task in flight                             its processes killed, its attempt closed as
                                                 interrupted, tree rolled back, back to the queue
    an effect that was decided and not done      done
    ledger files behind the store                brought up to date (by the views)

A second recovery finds nothing to do.
"""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.engine.effects import interrupt, run_effects
from orchestrator.engine.ports import Parts
from orchestrator.errors import LeaseHeld
from orchestrator.kernel.journey import Limits


@dataclass(frozen=True, slots=True)
class Recovered:
    """What was repaired, for people."""

    dead_runs: tuple[str, ...] = ()
    interrupted: tuple[str, ...] = ()
    processes_killed: int = 0
    effects_done: int = 0

    @property
    def is_empty(self) -> bool:
        """Whether there was nothing to repair."""
        return not (self.dead_runs or self.interrupted or self.effects_done)


def recover(parts: Parts, *, run_id: str, limits: Limits, roll_back: bool = True) -> Recovered:
    """Repair before anything new starts. The caller holds the project's controller lock.

    Raises:
        LeaseHeld: a run that is still alive holds a task (another host, or a lock that was
            removed by hand).
    """
    open_runs = [run for run in parts.store.open_runs() if run.run_id != run_id]
    alive = {run.run_id for run in open_runs if parts.processes.is_alive(run)}
    left = parts.store.tasks_in_flight()
    for task in left:
        if task.run_id in alive:
            raise LeaseHeld(
                f"run {task.run_id} is alive and works on {task.key}",
                where="the store",
                mend="wait for it, or stop that process",
            )
    attempts = [task.attempt_id for task in left if task.attempt_id]
    killed = parts.processes.kill_leftovers(attempts) if attempts else 0
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
    dead = [run.run_id for run in open_runs if run.run_id not in alive]
    for dead_run in dead:
        parts.store.end_run(dead_run, at=parts.clock.now().at, outcome="died")
    recovered = Recovered(tuple(dead), tuple(task.key for task in left), killed, done)
    if not recovered.is_empty:
        parts.store.note(
            moment=parts.clock.now(),
            run_id=run_id,
            kind="recovery",
            body={
                "dead_runs": list(recovered.dead_runs),
                "interrupted": list(recovered.interrupted),
                "processes_killed": killed,
                "effects_done": done,
            },
        )
        parts.listener.tell(
            "recovered",
            dead_runs=recovered.dead_runs,
            interrupted=recovered.interrupted,
            processes_killed=killed,
            effects_done=done,
        )
    return recovered
