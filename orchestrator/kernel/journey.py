"""What a task has used up over its whole life. Counters survive restarts: the store keeps them.

Charged to the agent: attempts, rework rounds, equal failures. Not charged: interruptions (the
controller died) and unknown verdicts (a check could not run); those have limits of their own, so
that the loop ends whatever the reason.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of one journey. All are counts; times are milliseconds."""

    max_attempts: int = 2
    max_rework_rounds: int = 1  # in one attempt
    max_identical_failures: int = 2  # the same signature this often, then no further round
    max_interruptions: int = 5
    max_dispatches: int = 20  # over everything
    backoff_base_ms: int = 5_000
    backoff_max_ms: int = 600_000

    def __post_init__(self) -> None:
        """Refuse limits that would never let a task run, or never stop it."""
        for name in ("max_attempts", "max_identical_failures", "max_dispatches"):
            if getattr(self, name) < 1:
                msg = f"{name} must be at least 1, got {getattr(self, name)}"
                raise ValueError(msg)
        for name in ("max_rework_rounds", "max_interruptions", "backoff_base_ms", "backoff_max_ms"):
            if getattr(self, name) < 0:
                msg = f"{name} must not be negative, got {getattr(self, name)}"
                raise ValueError(msg)


@dataclass(frozen=True, slots=True)
class Journey:
    """What is used up so far. `rework_rounds` counts within the current attempt."""

    attempts: int = 0
    rework_rounds: int = 0
    dispatches: int = 0
    interruptions: int = 0
    unknowns: int = 0
    identical_failures: int = 0
    last_signature: str = ""


def backoff_ms(attempts: int, limits: Limits) -> int:
    """Wait before the next attempt: base * 2^(attempts-1), capped. No jitter: one controller.

    Args:
        attempts: charged so far, at least 1.
        limits: base and cap, in milliseconds.
    """
    if attempts < 1 or limits.backoff_base_ms == 0:
        return 0
    return min(limits.backoff_max_ms, limits.backoff_base_ms << min(attempts - 1, 30))
