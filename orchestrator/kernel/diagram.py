"""The machine as Mermaid text; `docs/task-life.md` holds it, a test keeps the two equal."""

from __future__ import annotations

from orchestrator.kernel.life import TRANSITIONS, State


def mermaid() -> str:
    """Render the transition table as a Mermaid state diagram, in the order of the table."""
    lines = ["stateDiagram-v2", f"    [*] --> {State.PENDING}"]
    for source, moves in TRANSITIONS.items():
        lines += [f"    {source} --> {target}: {event}" for event, target in moves.items()]
        if not moves:
            lines.append(f"    {source} --> [*]")
    return "\n".join(lines) + "\n"
