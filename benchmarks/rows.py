"""One figure: what was measured, beside the least that the machine could have taken for it."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. `floor` and `ratio` (p50 to floor) are None where there is no floor."""

    name: str
    p50: float
    p95: float
    unit: str
    n: int
    floor: float | None = None
    ratio: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for `--json`."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured; the defaults are those of the README's table."""

    cycles: int = 60  # for each length of the queue
    queues: tuple[int, ...] = (10, 1_000, 100_000)
    moves: int = 400
    entries: int = 100_000
    starts: int = 21
    tasks: int = 100_000  # for memory and status


FAST = Scale(cycles=20, queues=(10, 1_000), moves=100, entries=10_000, starts=7, tasks=1_000)


def row(name: str, samples: Iterable[float], unit: str, *, floor: float | None = None) -> Row:
    """Make the row of some samples. Raises ValueError when there is none."""
    ordered = sorted(samples)
    if not ordered:
        msg = f"{name}: nothing was measured"
        raise ValueError(msg)
    middle = statistics.median(ordered)
    ratio = round(middle / floor, 2) if floor else None
    shown = None if floor is None else _rounded(floor)
    p95 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))]
    return Row(name, _rounded(middle), _rounded(p95), unit, len(ordered), shown, ratio)


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")


def table(rows: Sequence[Row]) -> str:
    """Render rows as aligned text."""
    head = ("name", "p50", "p95", "unit", "n", "floor", "ratio")
    lines = [head, *(_cells(item) for item in rows)]
    widths = [max(len(line[at]) for line in lines) for at in range(len(head))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if at in (0, 3) else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def _cells(item: Row) -> tuple[str, ...]:
    floor = "" if item.floor is None else f"{item.floor:g}"
    ratio = "" if item.ratio is None else f"{item.ratio:g}"
    return (item.name, f"{item.p50:g}", f"{item.p95:g}", item.unit, str(item.n), floor, ratio)
