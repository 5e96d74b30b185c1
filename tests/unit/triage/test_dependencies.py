from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.triage.dependencies import check_graph, find_cycles, spoken_cycle

NAMES = [f"T-{n}" for n in range(7)]
GRAPHS = st.dictionaries(
    st.sampled_from(NAMES), st.lists(st.sampled_from(NAMES), max_size=3).map(tuple), max_size=7
)


def reaches(graph: dict[str, tuple[str, ...]], start: str) -> set[str]:
    found: set[str] = set()
    line = list(graph.get(start, ()))
    while line:
        name = line.pop()
        if name not in found:
            found.add(name)
            line += graph.get(name, ())
    return found


def knots(graph: dict[str, tuple[str, ...]]) -> set[frozenset[str]]:
    far = {key: reaches(graph, key) for key in graph}
    together = [frozenset(b for b in graph if b in far[a] and a in far[b]) | {a} for a in graph]
    return {knot for knot in together if len(knot) > 1}


def test_a_cycle_is_named_in_order_from_its_first_task() -> None:
    graph = {"c": ("a",), "x": ("c",), "a": ("b",), "b": ("c", "y"), "y": ()}
    assert find_cycles(graph) == [("c", "a", "b")]
    assert spoken_cycle(("c", "a", "b")) == "c -> a -> b -> c"


def test_a_long_cycle_is_told_in_short() -> None:
    said = spoken_cycle([f"T-{n}" for n in range(100)])
    assert said == "T-0 -> T-1 -> T-2 -> T-3 -> T-4 -> (92 more) -> T-97 -> T-98 -> T-99 -> T-0"


def test_two_knots_that_hang_together_are_both_named() -> None:
    graph = {"a": ("c", "b"), "b": ("a",), "c": ("d",), "d": ("c",)}
    assert find_cycles(graph) == [("a", "b"), ("c", "d")]


def test_unknown_names_and_selves_are_told_with_the_rest() -> None:
    faults = check_graph({"a": ("a", "nobody", "nobody", "old")}, known={"old"})
    assert (faults.unknown, faults.on_itself, faults.cycles) == ((("a", "nobody"),), ("a",), ())
    assert faults
    assert not check_graph({"a": ("b",), "b": ()})


@given(graph=GRAPHS)
def test_every_knot_has_exactly_one_named_cycle_and_each_is_a_cycle(graph: dict) -> None:
    cycles = find_cycles(graph)
    for cycle in cycles:
        assert len(set(cycle)) == len(cycle) > 1
        for here, following in zip(cycle, (*cycle[1:], cycle[0]), strict=True):
            assert following in graph[here]
        assert cycle[0] == min(cycle, key=list(graph).index)
    expected = knots(graph)
    assert len(cycles) == len(expected)
    assert all(any(set(cycle) <= knot for knot in expected) for cycle in cycles)


@given(graph=GRAPHS, key=st.sampled_from(NAMES), needs=st.lists(st.sampled_from(NAMES), max_size=3))
def test_looking_at_the_changed_tasks_alone_finds_every_new_cycle(
    graph: dict, key: str, needs: list[str]
) -> None:
    if find_cycles(graph):
        return
    changed = {**graph, key: tuple(needs)}
    assert bool(find_cycles(changed, [key])) == bool(find_cycles(changed))


@pytest.mark.slow
def test_a_chain_and_a_ring_of_100000_tasks_need_no_recursion() -> None:
    chain = {f"T-{n}": (f"T-{n + 1}",) for n in range(100_000)}
    assert find_cycles({**chain, "T-100000": ()}) == []
    (cycle,) = find_cycles({**chain, "T-100000": ("T-0",)})
    assert len(cycle) == 100_001
