"""What follows a decision: effects, repeated until done, and closing what was broken off."""

from __future__ import annotations

from dataclasses import replace

from orchestrator.engine import entries
from orchestrator.engine.ports import Parts
from orchestrator.errors import OrchestratorError
from orchestrator.kernel.decide import after_interruption
from orchestrator.kernel.journey import Limits
from orchestrator.kernel.life import Event, State
from orchestrator.kernel.records import Effect, Move, TaskRecord
from orchestrator.kernel.work import AttemptWindow, QueueEdit


def rollback_effect(checkpoint_id: str, attempt_id: str) -> Effect:
    """The effect that puts the tree back after an attempt."""
    return Effect("rollback", f"rollback:{attempt_id}", {"checkpoint_id": checkpoint_id})


def interrupt(
    parts: Parts,
    task: TaskRecord,
    *,
    run_id: str,
    limits: Limits,
    why: str,
    roll_back: bool = True,
    counted: bool = True,
) -> State:
    """Close what nobody can finish: the attempt as interrupted, the task back to the queue.

    Returns the state that the task has now. Its effects are recorded and not yet done.

    counted: False when it says nothing about the task: a person stopped it, or the worker is
            not installed.
    """
    step = after_interruption(task.journey, limits)
    if not counted:
        journey = replace(step.journey, interruptions=task.journey.interruptions)
        step = replace(step, event=Event.INTERRUPT, reason="INTERRUPTED", journey=journey)
    ran = task.state in {State.DISPATCHED, State.IN_REVIEW}
    touched = ran or task.state is State.REWORK
    effects: tuple[Effect, ...] = ()
    if touched and roll_back and task.checkpoint_id:
        effects = (rollback_effect(task.checkpoint_id, task.attempt_id or task.key),)
    moved = parts.store.move(
        Move(
            task_key=task.key,
            event=step.event,
            moment=parts.clock.now(),
            run_id=run_id,
            token=task.lease_token,
            reason=step.reason,
            kind="attempt" if ran else "decision",
            journey=step.journey,
            body=entries.interrupted(task.revision, task.attempt, task.attempt_id or "", why)
            if ran
            else {"why": why},
            effects=effects,
        )
    )
    parts.listener.tell("interrupted", task=task.key, why=why)
    return moved.state


def run_effects(parts: Parts) -> int:
    """Do what is decided and not yet done, oldest first. Returns how many effects were done."""
    done = 0
    for effect in parts.store.pending_effects():
        payload = effect.payload
        try:
            if effect.kind == "rollback":
                count = parts.workplace.restore(payload["checkpoint_id"])
                parts.listener.tell("rolled_back", task=effect.task_key, paths=count)
            elif effect.kind == "keep":
                parts.workplace.keep(**payload)
        except OrchestratorError as error:
            parts.store.effect_failed(effect, error.what)
            raise
        parts.store.effect_done(effect)
        done += 1
    return done


def look_at_queue(parts: Parts, window: AttemptWindow | None = None) -> QueueEdit:
    """Read the queue file, and say what that led to.

    window: a worker ran in the tree since the last look, so it could have written the file.
    """
    edit = parts.queue.sync(parts.clock.now(), window=window)
    if edit.is_empty:
        return edit
    parts.listener.tell(
        "queue_read",
        added=len(edit.added),
        changed=len(edit.changed),
        removed=len(edit.removed),
        moved=len(edit.moved),
        refused=edit.refused,
        notes=edit.notes,
        held_as=edit.held_as,
    )
    return edit
