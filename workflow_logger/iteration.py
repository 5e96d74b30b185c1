"""The R/S protocol: which attempt may follow which (FORMAT.md 3.5). Pure.

Revision R counts versions of a task's brief, S counts tries at one version:

- the first attempt is R0/S0;
- a retry keeps R and has S+1;
- a new revision has R+1 and S0;
- a task is closed exactly once, and nothing follows its close.
"""

from __future__ import annotations

from typing import NamedTuple

from workflow_logger.errors import IterationError


class Iteration(NamedTuple):
    """One attempt's number."""

    r: int
    s: int

    def __str__(self) -> str:
        return f"R{self.r}/S{self.s}"


FIRST = Iteration(0, 0)


def allowed_next(previous: Iteration | tuple[int, int] | None) -> tuple[Iteration, ...]:
    """Return the attempts that may follow `previous` (None: there is no attempt yet).

    The first is the retry, the last the new revision; they are one where nothing came before.
    """
    if previous is None:
        return (FIRST,)
    r, s = previous
    return Iteration(r, s + 1), Iteration(r + 1, 0)


def check_next(
    previous: Iteration | tuple[int, int] | None,
    r: int,
    s: int,
    closed: bool,  # noqa: FBT001  the rule's own words
    *,
    where: str = "task",
) -> Iteration:
    """Return R/S as the next attempt after `previous`.

    Raises:
        IterationError: the task is closed, or the numbers do not follow; it names what may.
    """
    asked = Iteration(r, s)
    if closed:
        raise IterationError(
            f"{asked} is refused: the task is closed",
            where=where,
            mend="open a new task; a closed one takes nothing more",
        )
    allowed = allowed_next(previous)
    if type(r) is not int or type(s) is not int or asked not in allowed:
        names = " or ".join(f"{item} ({_reason(previous, item)})" for item in allowed)
        after = "no attempt" if previous is None else str(Iteration(*previous))
        raise IterationError(
            f"{asked} is refused after {after}; allowed: {names}",
            where=where,
            mend="number the attempt by the R/S protocol",
        )
    return asked


def check_close(closed: bool, *, where: str = "task") -> None:  # noqa: FBT001
    """Raise IterationError when the task is already closed."""
    if closed:
        raise IterationError(
            "the close is refused: the task is closed already",
            where=where,
            mend="a task is closed exactly once; read its last entry",
        )


def _reason(previous: Iteration | tuple[int, int] | None, item: Iteration) -> str:
    if previous is None:
        return "first"
    return "retry" if item.r == previous[0] else "new revision"
