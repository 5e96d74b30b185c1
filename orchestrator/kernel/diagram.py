"""The machine as Mermaid text; `docs/task-life.md` holds it, a test keeps the two equal."""

from __future__ import annotations

from typing import Final

from orchestrator.kernel.life import TRANSITIONS, State

BEGIN: Final = "<!-- generated: scripts/refresh_docs.py -->"
END: Final = "<!-- end of generated -->"


def mermaid() -> str:
    """Render the transition table as a Mermaid state diagram, in the order of the table."""
    lines = ["stateDiagram-v2", f"    [*] --> {State.PENDING}"]
    for source, moves in TRANSITIONS.items():
        lines += [f"    {source} --> {target}: {event}" for event, target in moves.items()]
        if not moves:
            lines.append(f"    {source} --> [*]")
    return "\n".join(lines) + "\n"


def refreshed(page: str) -> str:
    """Return the page with the present diagram between its markers.

    Raises:
        ValueError: the page does not have each marker once, in order.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end or BEGIN in after or END in after:
        msg = f"the page needs one {BEGIN!r} and, after it, one {END!r}"
        raise ValueError(msg)
    return f"{before}{BEGIN}\n\n```mermaid\n{mermaid()}```\n\n{END}{after}"
