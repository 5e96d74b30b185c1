"""A contract as the text of a Mermaid state diagram."""

from __future__ import annotations

from orchestrator.process.contract import PhaseContract


def render_diagram(contract: PhaseContract) -> str:
    """Render phases and moves; a forward edge is labelled with its gate, a way back with `back`."""
    lines = ["stateDiagram-v2", f"    [*] --> {contract.initial_phase.id}"]
    for phase in contract.phases:
        for move in contract.moves(phase.id):
            label = "back" if move.backtrack else move.gate
            edge = f"    {move.from_phase} --> {move.to_phase}"
            lines.append(f"{edge} : {label}" if label else edge)
    for final in contract.final_phases:
        gates = ", ".join(gate.id for gate in contract.phase(final).gates)
        lines.append(f"    {final} --> [*] : {gates}" if gates else f"    {final} --> [*]")
    return "\n".join(lines) + "\n"
