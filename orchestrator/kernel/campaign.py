"""When a campaign stops. Pure: the engine reports each cycle, this says whether to go on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from orchestrator.kernel.life import State


class Stop(StrEnum):
    """Why a campaign ended."""

    DRAINED = "drained"  # nothing is eligible now, and nothing will become so by waiting
    MAX_CYCLES = "max_cycles"
    STAGNANT = "stagnant"  # this many cycles in a row completed nothing
    IDENTICAL_FAILURES = "identical_failures"  # refusals in a row have one signature
    INTERRUPTED = "interrupted"
    WORKER_UNAVAILABLE = "worker_unavailable"


@dataclass(frozen=True, slots=True)
class CampaignLimits:
    """Bounds of one campaign; None means without bound."""

    max_cycles: int | None = None
    max_stagnant_cycles: int | None = None
    max_identical_failures: int | None = 5

    def __post_init__(self) -> None:
        """Refuse bounds under which no campaign could begin."""
        for name in ("max_cycles", "max_stagnant_cycles", "max_identical_failures"):
            value = getattr(self, name)
            if value is not None and value < 1:
                msg = f"{name} must be at least 1, got {value}"
                raise ValueError(msg)


@dataclass(frozen=True, slots=True)
class CampaignState:
    """Where a campaign stands."""

    cycles: int = 0
    stagnant: int = 0
    identical: int = 0
    signature: str = ""


def after_cycle(state: CampaignState, *, ended_in: State, signature: str) -> CampaignState:
    """Count one finished cycle.

    Args:
        state: before the cycle.
        ended_in: the task's state when its cycle ended.
        signature: of the refusal, empty when nothing was refused.
    """
    progressed = ended_in is State.COMPLETED
    same = bool(signature) and signature == state.signature
    return replace(
        state,
        cycles=state.cycles + 1,
        stagnant=0 if progressed else state.stagnant + 1,
        identical=(state.identical + 1 if same else 1) if signature else 0,
        signature=signature,
    )


def why_stop(state: CampaignState, limits: CampaignLimits) -> Stop | None:
    """Say why the campaign should end now, or None to go on."""
    if limits.max_cycles is not None and state.cycles >= limits.max_cycles:
        return Stop.MAX_CYCLES
    if (
        limits.max_identical_failures is not None
        and state.identical >= limits.max_identical_failures
    ):
        return Stop.IDENTICAL_FAILURES
    if limits.max_stagnant_cycles is not None and state.stagnant >= limits.max_stagnant_cycles:
        return Stop.STAGNANT
    return None
