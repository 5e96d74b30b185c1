from __future__ import annotations

import math
from typing import Any

import pytest

from orchestrator.runtime.cancel import ParallelSlots
from orchestrator.runtime.capture import OutputBudget
from orchestrator.runtime.limits import Limits

NAMES = ["max_runtime_sec", "max_silence_sec", "max_memory_mb", "max_output_mb"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [0, -1, -0.5, math.nan])
def test_a_bound_that_is_not_above_zero_is_refused_by_name(name: str, value: float) -> None:
    wrong: dict[str, Any] = {name: value}
    with pytest.raises(ValueError, match=f"{name} must be above 0"):
        Limits(**wrong)


def test_output_is_bounded_unless_somebody_says_otherwise() -> None:
    assert Limits().max_output_mb == 64
    assert Limits(max_output_mb=None).max_output_mb is None


@pytest.mark.parametrize("count", [0, -3])
def test_no_slots_at_all_is_refused(count: int) -> None:
    with pytest.raises(ValueError, match="max_parallel_steps must be above 0"):
        ParallelSlots(count)


def test_output_up_to_the_cap_is_within_the_budget_and_a_byte_more_is_not() -> None:
    budget = OutputBudget(10)
    assert budget.take(10) == 10
    assert not budget.is_exceeded
    assert budget.take(1) == 0
    assert budget.is_exceeded


def test_a_budget_without_a_bound_grants_everything() -> None:
    budget = OutputBudget(None)
    assert budget.take(10**12) == 10**12
    assert not budget.is_exceeded
