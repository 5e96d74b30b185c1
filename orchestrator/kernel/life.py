"""The transition table of a task. A pair that is not in it is an error that names what is.

    pending            in the queue, waits for its turn, its dependencies or its backoff
    claimed            one controller holds the lease and prepares it
    prepared           StepPack frozen, checkpoint taken, nothing started
    dispatched         a worker runs, or ran when the controller died
    in_review          the worker ended; the controller looks for itself
    rework             refused with a ReworkPack; the same session goes on
    awaiting_approval  a person has to answer
    quarantined        nothing could be proved: a check could not run, or the controller died
                       over this task too often, wherever it stood
    completed          accepted; nothing leads out
    failed             refused, and the journey is used up; a person may requeue it
    blocked            cannot start: no StepPack, refused by the guard, put aside by a person
    cancelled          a person took it out; a person may requeue it

The `transitions` library builds the machine from the table (`TaskLife`); nothing else in the
program moves a state.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from transitions import Machine, MachineError

from orchestrator.errors import TransitionError


class State(StrEnum):
    """Where a task is."""

    PENDING = "pending"
    CLAIMED = "claimed"
    PREPARED = "prepared"
    DISPATCHED = "dispatched"
    IN_REVIEW = "in_review"
    REWORK = "rework"
    AWAITING_APPROVAL = "awaiting_approval"
    QUARANTINED = "quarantined"
    COMPLETED = "completed"
    FAILED = "failed"
    BLOCKED = "blocked"
    CANCELLED = "cancelled"


class Event(StrEnum):
    """What moves a task."""

    CLAIM = "claim"
    PREPARE = "prepare"
    DISPATCH = "dispatch"
    RECEIVE = "receive"
    ACCEPT = "accept"
    ORDER_REWORK = "order_rework"
    REQUEUE = "requeue"  # refused, the journey goes on from the checkpoint
    INTERRUPT = "interrupt"  # the controller or the machine stopped; not the agent's fault
    FAIL = "fail"
    QUARANTINE = "quarantine"
    ASK = "ask"
    APPROVE = "approve"
    DENY = "deny"
    BLOCK = "block"
    UNBLOCK = "unblock"
    CANCEL = "cancel"
    REVIVE = "revive"  # a person puts it back into the queue, with a new journey


# fmt: off
TRANSITIONS: Final[Mapping[State, Mapping[Event, State]]] = MappingProxyType({
    State.PENDING: {Event.CLAIM: State.CLAIMED, Event.BLOCK: State.BLOCKED,
                    Event.CANCEL: State.CANCELLED},
    State.CLAIMED: {Event.PREPARE: State.PREPARED, Event.BLOCK: State.BLOCKED,
                    Event.ASK: State.AWAITING_APPROVAL, Event.INTERRUPT: State.PENDING,
                    Event.QUARANTINE: State.QUARANTINED},
    State.PREPARED: {Event.DISPATCH: State.DISPATCHED, Event.BLOCK: State.BLOCKED,
                     Event.INTERRUPT: State.PENDING, Event.QUARANTINE: State.QUARANTINED},
    State.DISPATCHED: {Event.RECEIVE: State.IN_REVIEW, Event.INTERRUPT: State.PENDING,
                       Event.QUARANTINE: State.QUARANTINED},
    State.IN_REVIEW: {Event.ACCEPT: State.COMPLETED, Event.ORDER_REWORK: State.REWORK,
                      Event.REQUEUE: State.PENDING, Event.FAIL: State.FAILED,
                      Event.QUARANTINE: State.QUARANTINED, Event.ASK: State.AWAITING_APPROVAL,
                      Event.INTERRUPT: State.PENDING},
    State.REWORK: {Event.DISPATCH: State.DISPATCHED, Event.INTERRUPT: State.PENDING,
                   Event.QUARANTINE: State.QUARANTINED},
    State.AWAITING_APPROVAL: {Event.APPROVE: State.PENDING, Event.DENY: State.FAILED,
                              Event.CANCEL: State.CANCELLED},
    State.QUARANTINED: {Event.REVIVE: State.PENDING, Event.CANCEL: State.CANCELLED},
    State.FAILED: {Event.REVIVE: State.PENDING, Event.CANCEL: State.CANCELLED},
    State.BLOCKED: {Event.UNBLOCK: State.PENDING, Event.CANCEL: State.CANCELLED},
    State.CANCELLED: {Event.REVIVE: State.PENDING},
    State.COMPLETED: {},  # the end: new work is a new task
})
# fmt: on

IN_FLIGHT: Final = frozenset(
    {State.CLAIMED, State.PREPARED, State.DISPATCHED, State.IN_REVIEW, State.REWORK}
)
"""States that only the holder of the lease may leave."""

RESTING: Final = frozenset(State) - IN_FLIGHT - {State.PENDING}
"""States in which nothing happens until a person acts, or never again."""


class TaskLife:
    """The machine, built once from the table and asked for each move.

    Not thread-safe: one instance a store or engine. One guarded move costs about 5 microseconds.
    """

    state: State

    def __init__(self) -> None:
        self._machine = Machine(
            model=self,
            states=[state.value for state in State],
            initial=State.PENDING.value,
            transitions=[
                {"trigger": event.value, "source": source.value, "dest": target.value}
                for source, moves in TRANSITIONS.items()
                for event, target in moves.items()
            ],
            auto_transitions=False,
            send_event=False,
            model_attribute="state",
        )

    def advance(self, state: State, event: Event, *, task_key: str = "") -> State:
        """Return the state after `event`. Raises TransitionError for a pair the table lacks."""
        self._machine.set_state(state.value)
        try:
            self._machine.events[event.value].trigger(self)
        except MachineError as error:
            allowed = ", ".join(sorted(TRANSITIONS[state])) or "nothing, it is the end"
            what = f"{event} is not allowed while {state}; allowed: {allowed}"
            raise TransitionError(
                what, where=f"task {task_key}", mend="look at the task's state again: status"
            ) from error
        return State(self.state)
