"""The graph of `depends_on`: unknown names, self-references and cycles.

Everything is O(V + E) and iterative, so a chain of 100,000 tasks neither recurses nor crawls.
Answers come in the order of the tasks given, never in the order of a set.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass

Graph = Mapping[str, Sequence[str]]  # key -> the keys it depends on


@dataclass(frozen=True, slots=True)
class GraphFaults:
    """What is wrong with a graph; all empty when nothing is.

    unknown: (task, the name it gives that nobody has); on_itself: tasks that name themselves;
    cycles: one for each knot of tasks that wait for each other, in order, starting with the
    member that comes first: `("a", "b")` means that a depends on b and b depends on a.
    """

    unknown: tuple[tuple[str, str], ...] = ()
    on_itself: tuple[str, ...] = ()
    cycles: tuple[tuple[str, ...], ...] = ()

    def __bool__(self) -> bool:
        """Say whether there is any fault."""
        return bool(self.unknown or self.on_itself or self.cycles)


def check_graph(
    graph: Graph, *, known: Container[str] = (), changed: Iterable[str] | None = None
) -> GraphFaults:
    """Return the faults of `graph`.

    Args:
        graph: every task that can still run, with what it depends on.
        known: more names that may be depended on (completed tasks, for one).
        changed: look only at these tasks and what they reach. Enough when the graph without
            them is sound, for a new cycle passes through a new or changed task. Absent: all.
    """
    roots = list(graph if changed is None else dict.fromkeys(changed))
    unknown = [
        (key, name)
        for key in roots
        for name in dict.fromkeys(graph.get(key, ()))
        if name not in graph and name not in known
    ]
    on_itself = [key for key in roots if key in graph.get(key, ())]
    return GraphFaults(tuple(unknown), tuple(on_itself), tuple(find_cycles(graph, roots)))


def spoken_cycle(cycle: Sequence[str]) -> str:
    """Return a cycle as a person reads it: `a -> b -> a`, the middle of a long one left out."""
    path = [*cycle, cycle[0]]
    if len(path) > 10:  # noqa: PLR2004
        path = [*path[:5], f"({len(path) - 9} more)", *path[-4:]]
    return " -> ".join(path)


def find_cycles(graph: Graph, roots: Iterable[str] | None = None) -> list[tuple[str, ...]]:
    """Return one cycle of each knot that `roots` reach; a task naming itself is left out."""
    place = {key: index for index, key in enumerate(graph)}
    cycles = [
        _cycle_in(graph, knot, place)
        for knot in _components(graph, graph if roots is None else roots)
        if len(knot) > 1
    ]
    return sorted(cycles, key=lambda cycle: place[cycle[0]])


def _components(graph: Graph, roots: Iterable[str]) -> list[list[str]]:
    """Return the strongly connected components that `roots` reach (Tarjan, with a stack)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    on_path: set[str] = set()
    path: list[str] = []
    found: list[list[str]] = []
    for root in roots:
        if root in index or root not in graph:
            continue
        index[root] = low[root] = len(index)
        path.append(root)
        on_path.add(root)
        work = [(root, iter(graph[root]))]
        while work:
            key, rest = work[-1]
            following = next((name for name in rest if name in graph), None)
            if following is None:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[key])
                if low[key] == index[key]:
                    start = _last_index(path, key)
                    found.append(path[start:])
                    on_path.difference_update(path[start:])
                    del path[start:]
            elif following not in index:
                index[following] = low[following] = len(index)
                path.append(following)
                on_path.add(following)
                work.append((following, iter(graph[following])))
            elif following in on_path:
                low[key] = min(low[key], index[following])
    return found


def _last_index(path: Sequence[str], key: str) -> int:
    place = len(path) - 1
    while path[place] != key:
        place -= 1
    return place


def _cycle_in(graph: Graph, knot: Iterable[str], place: Mapping[str, int]) -> tuple[str, ...]:
    """Return the cycle met when each member of `knot` hands on to its first member in it."""
    members = set(knot)
    key = min(members, key=place.__getitem__)
    met: dict[str, int] = {}
    path: list[str] = []
    while key not in met:
        met[key] = len(path)
        path.append(key)
        here = key
        key = next(name for name in graph[here] if name in members and name != here)
    cycle = path[met[key] :]
    first = min(range(len(cycle)), key=lambda at: place[cycle[at]])
    return (*cycle[first:], *cycle[:first])
