"""The bounds of one run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one run; None is no bound.

    `max_memory_mb` (MiB) is of the whole tree, `max_output_mb` (MiB) of stdout and stderr
    together.

    Raises:
        ValueError: a bound is not above 0.
    """

    max_runtime_sec: float | None = None
    max_silence_sec: float | None = None
    max_memory_mb: int | None = None
    max_output_mb: float | None = 64

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            if value is not None and not value > 0:  # `not >` also refuses NaN
                raise ValueError(f"{name} must be above 0, got {value}")
