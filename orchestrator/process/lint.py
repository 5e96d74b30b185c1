"""What must hold between the parts of a contract, asked of the raw document.

It works on raw values, so that a wrong type in one place does not hide a fault in another; what
has the wrong type is skipped here and told by the model.

    names         each phase id and gate id once; each (from, to) once
    catalog       every check, artifact rule and action is one that the program carries out
    gates         a validation gate has a blocking check, an approval gate has approvers
    tools         none both allowed and forbidden; constraints only on allowed tools
    artifacts     what a check reads is produced in its phase or on the way there
    transitions   between phases that exist; forward through a gate of the phase that is left,
                  backward only as a backtrack
    the whole     every phase can be reached, and from each a final phase can be reached
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from orchestrator.process.catalog import Catalog
from orchestrator.process.contract import Phase
from orchestrator.process.graph import Graph
from orchestrator.protocol.faults import Fault, KeyPath, one_line

Raw = Mapping[str, Any]


def faults_of(data: Raw, catalog: Catalog) -> list[Fault]:
    """Name every fault of a raw contract."""
    phases = entries(data, "phases")
    found = [
        *_twice([((*at, "id"), _text(phase, "id")) for at, phase in phases], "phase"),
        *_twice([((*at, "id"), _text(gate, "id")) for at, gate in _gates(phases)], "gate"),
    ]
    for at, phase in phases:
        found += _under(at, Phase.faults(phase))
        found += _tool_faults(at, phase)
        found += _artifact_faults(at, phase, data, catalog)
    for at, gate in _gates(phases):
        found += _gate_faults(at, gate, catalog)
    for at, move in entries(data, "transitions"):
        for where, trigger in entries(move, "triggers", at):
            found += _unknown((*where, "action"), trigger.get("action"), catalog.actions, "action")
    graph = Graph.of(data)
    found += graph.faults()
    found += _unread_artifacts(phases, graph, catalog)
    return found


def entries(data: Raw, key: str, at: KeyPath = ()) -> list[tuple[KeyPath, dict[str, Any]]]:
    """Return the objects of the list under `key` with their paths; what is no object is skipped."""
    value = data.get(key)
    if not isinstance(value, list):
        return []
    return [((*at, key, i), one) for i, one in enumerate(value) if isinstance(one, dict)]


def _gates(phases: list[tuple[KeyPath, dict[str, Any]]]) -> Iterator[tuple[KeyPath, Raw]]:
    for at, phase in phases:
        yield from entries(phase, "gates", at)


def _text(data: Raw, key: str) -> str | None:
    value = data.get(key)
    return value if isinstance(value, str) else None


def _strings(data: Raw, key: str) -> list[str]:
    value = data.get(key)
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def _under(at: KeyPath, faults: Iterable[Fault]) -> Iterator[Fault]:
    for fault in faults:
        other = (*at, *fault.other) if fault.other is not None else None
        yield Fault((*at, *fault.path), fault.what, other)


def _twice(named: Iterable[tuple[KeyPath, str | None]], noun: str) -> Iterator[Fault]:
    first: dict[str, KeyPath] = {}
    for at, name in named:
        if name is not None and name in first:
            what = f"the {noun} {one_line(name, 60, quote=chr(39))} is defined twice"
            yield Fault(at, what, other=first[name])
        elif name is not None:
            first[name] = at


def _unknown(at: KeyPath, name: Any, known: Mapping[str, object], noun: str) -> Iterator[Fault]:  # noqa: ANN401
    if not isinstance(name, str) or name in known:
        return
    close = difflib.get_close_matches(name[:200], known, n=1, cutoff=0.7)
    listed = ", ".join(sorted(known)) or "none"
    hint = f"; did you mean '{close[0]}'?" if close else f"; there are: {one_line(listed, 300)}"
    shown = one_line(name, 60, quote="'")
    yield Fault(at, f"this program carries out no {noun} {shown}{hint}")


def _tool_faults(at: KeyPath, phase: Raw) -> Iterator[Fault]:
    allowed = set(_strings(phase, "allowed_tools"))
    forbidden = phase.get("forbidden_tools")
    for i, tool in enumerate(forbidden if isinstance(forbidden, list) else ()):
        if isinstance(tool, str) and tool in allowed:
            what = f"{one_line(tool, 60, quote=chr(39))} is both allowed and forbidden"
            yield Fault((*at, "forbidden_tools", i), what, other=(*at, "allowed_tools"))
    constraints = phase.get("tool_constraints")
    for tool in constraints if isinstance(constraints, dict) else ():
        if tool not in allowed:
            yield Fault((*at, "tool_constraints", tool), "constrains a tool that is not allowed")


def _artifact_faults(at: KeyPath, phase: Raw, data: Raw, catalog: Catalog) -> Iterator[Fault]:
    inline = data.get("schemas")
    schemas = inline if isinstance(inline, dict) else {}
    for where, artifact in entries(phase, "required_artifacts", at):
        for here, rule in entries(artifact, "validation", where):
            yield from _unknown((*here, "rule"), rule.get("rule"), catalog.rules, "artifact rule")
        path = _text(artifact, "schema")
        known = path is None or data.get("schemas_dir") or path.rpartition("/")[2] in schemas
        if not known:
            what = "the schema is neither in 'schemas' nor in a 'schemas_dir'"
            yield Fault((*where, "schema"), what)


def _gate_faults(at: KeyPath, gate: Raw, catalog: Catalog) -> Iterator[Fault]:
    blockers = entries(gate, "blockers", at)
    for where, check in blockers:
        yield from _unknown((*where, "check"), check.get("check"), catalog.checks, "check")
    blocking = [one for _, one in blockers if one.get("severity", "blocking") == "blocking"]
    if gate.get("type") == "validation" and not blocking:
        yield Fault(at, "a validation gate without a blocking check lets everything through")
    if gate.get("type") == "approval" and not _strings(gate, "approvers"):
        yield Fault(at, "an approval gate needs approvers")


def _unread_artifacts(
    phases: list[tuple[KeyPath, dict[str, Any]]], graph: Graph, catalog: Catalog
) -> Iterator[Fault]:
    produced = {
        str(phase.get("id")): {
            kind
            for _, one in entries(phase, "required_artifacts")
            if (kind := _text(one, "type")) is not None
        }
        for _, phase in phases
    }
    for at, phase in phases:
        here = str(phase.get("id"))
        there = {kind for source in graph.before(here) for kind in produced.get(source, ())}
        for where, gate in entries(phase, "gates", at):
            for spot, check in entries(gate, "blockers", where):
                for kind in _reads(check, catalog):
                    if kind not in there:
                        shown = one_line(kind, 60, quote="'")
                        what = f"reads the artifact {shown}, which no phase up to here produces"
                        yield Fault((*spot, "check"), what)


def _reads(check: Raw, catalog: Catalog) -> tuple[str, ...]:
    own = _text(check, "artifact")
    if own is not None:
        return (own,)
    spec = catalog.checks.get(_text(check, "check") or "")
    return spec.reads if spec is not None else ()
