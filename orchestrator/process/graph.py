"""The phases of a raw contract as a graph: what leads where, and what leads nowhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.protocol.faults import Fault, KeyPath, one_line


@dataclass(frozen=True, slots=True)
class _Move:
    at: KeyPath
    source: str
    target: str
    gate: str | None
    backtrack: bool


@dataclass(frozen=True, slots=True)
class Graph:
    """Phase ids in their order, the gates of each, and the moves between them."""

    order: dict[str, int]
    gates: dict[str, set[str]]
    moves: tuple[_Move, ...]
    initial: str | None
    final: tuple[str, ...]

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Graph:
        """Read the graph off a raw contract; what has the wrong type is left out."""
        order: dict[str, int] = {}
        gates: dict[str, set[str]] = {}
        for i, phase in enumerate(_objects(data.get("phases"))):
            if isinstance(name := phase.get("id"), str):
                order.setdefault(name, i)
                names = (gate.get("id") for gate in _objects(phase.get("gates")))
                gates.setdefault(name, set()).update(n for n in names if isinstance(n, str))
        moves = tuple(_moves(data))
        initial, final = data.get("initial"), data.get("final")
        listed = [one for one in final if isinstance(one, str)] if isinstance(final, list) else []
        ids = list(order)
        return cls(
            order,
            gates,
            moves,
            initial if isinstance(initial, str) else (ids[0] if ids else None),
            tuple(listed or ids[-1:]),
        )

    def faults(self) -> list[Fault]:
        """Name moves that lead astray, then phases that cannot be reached or left."""
        found = [fault for move in self.moves for fault in self._move_faults(move)]
        found += self._named_twice()
        if self.initial is not None and self.initial not in self.order:
            found.append(Fault(("initial",), self._no_phase(self.initial)))
        found += [
            Fault(("final", i), self._no_phase(name))
            for i, name in enumerate(self.final)
            if name not in self.order
        ]
        # With a wrong name in it, the graph says nothing about reachability.
        return found or list(self._stranded())

    def before(self, phase: str) -> set[str]:
        """Return the phase and every phase from which it can be reached by forward moves."""
        return self._reach({phase}, forward_only=True, backward=True)

    def _move_faults(self, move: _Move) -> Iterator[Fault]:
        for key, name in (("from", move.source), ("to", move.target)):
            if name not in self.order:
                yield Fault((*move.at, key), self._no_phase(name))
        if move.source not in self.order or move.target not in self.order:
            return
        back = self.order[move.target] - self.order[move.source]
        if back == 0:
            yield Fault((*move.at, "to"), "leads to the phase that it leaves")
        elif back < 0 and not move.backtrack:
            what = "leads to an earlier phase; mark it with 'backtrack: true'"
            yield Fault((*move.at, "to"), what)
        elif back > 0 and move.backtrack:
            yield Fault((*move.at, "backtrack"), "leads to a later phase, so it is no backtrack")
        yield from self._gate_faults(move)

    def _gate_faults(self, move: _Move) -> Iterator[Fault]:
        own = self.gates[move.source]
        if move.gate is None:
            if own and not move.backtrack:
                names = one_line(", ".join(sorted(own)), 120)
                yield Fault(move.at, f"leaves {move.source} past its gate; name one of: {names}")
        elif move.gate not in own:
            shown = one_line(move.gate, 60, quote="'")
            has = one_line(", ".join(sorted(own)), 120) or "none"
            what = f"{move.source} has no gate {shown}; its gates: {has}"
            yield Fault((*move.at, "gate"), what)

    def _named_twice(self) -> Iterator[Fault]:
        first: dict[tuple[str, str], KeyPath] = {}
        for move in self.moves:
            pair = (move.source, move.target)
            if pair in first:
                yield Fault(move.at, "the same move is there twice", other=first[pair])
            first.setdefault(pair, move.at)

    def _stranded(self) -> Iterator[Fault]:
        reached = self._reach({self.initial} if self.initial else set())
        leading = self._reach(set(self.final), forward_only=True, backward=True)
        for name, i in self.order.items():
            if name not in reached:
                what = f"the phase {name} cannot be reached from {self.initial}"
                yield Fault(("phases", i, "id"), what)
            elif name not in leading:
                finals = ", ".join(self.final)
                what = f"the phase {name} is a dead end: no way forward leads from it to {finals}"
                yield Fault(("phases", i, "id"), what)

    def _reach(
        self, start: set[str], *, forward_only: bool = False, backward: bool = False
    ) -> set[str]:
        reached, fresh = set(start), set(start)
        edges: dict[str, set[str]] = {}
        for move in self.moves:
            if not (forward_only and move.backtrack):
                pair = (move.target, move.source) if backward else (move.source, move.target)
                edges.setdefault(pair[0], set()).add(pair[1])
        while fresh:
            fresh = {one for name in fresh for one in edges.get(name, ())} - reached
            reached |= fresh
        return reached

    def _no_phase(self, name: str) -> str:
        has = one_line(", ".join(self.order), 200)
        return f"there is no phase {one_line(name, 60, quote=chr(39))}; there are {has}"


def _objects(value: Any) -> list[dict[str, Any]]:  # noqa: ANN401  a raw value
    # Positions count: an entry that is no object keeps its place as an empty one.
    return (
        [one if isinstance(one, dict) else {} for one in value] if isinstance(value, list) else []
    )


def _moves(data: Mapping[str, Any]) -> Iterator[_Move]:
    for i, raw in enumerate(_objects(data.get("transitions"))):
        source, target, gate = raw.get("from"), raw.get("to"), raw.get("gate")
        if isinstance(source, str) and isinstance(target, str):
            named = gate if isinstance(gate, str) else None
            back = raw.get("backtrack") is True
            yield _Move(("transitions", i), source, target, named, back)
