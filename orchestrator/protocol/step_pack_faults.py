"""What must hold between the fields of a StepPack, asked of the raw document.

It works on raw values, so that a wrong type in one place does not hide a fault in another; what
has the wrong type is skipped here and told by the model.

    copies        scope and criteria, written up to three times, hold the same
    criteria      there is at least one, each id once
    gates         each gate_id once; target_ac names criteria; command_index names a command
    evidence      each id once; required_for names criteria
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from orchestrator.protocol.faults import Fault, KeyPath, one_line, render_path

# field -> the places where seed 004 writes it, ours first
COPIES: Final[Mapping[str, tuple[tuple[str, ...], ...]]] = {
    "allowed_paths": (
        ("allowed_paths",),
        ("scope", "allowed_paths"),
        ("scope_guard", "allowed_paths"),
    ),
    "forbidden_paths": (
        ("forbidden_paths",),
        ("scope", "forbidden_paths"),
        ("scope_guard", "forbidden_paths"),
    ),
    "dependency_policy": (
        ("dependency_policy",),
        ("scope", "dependency_policy"),
        ("scope_guard", "dependency_policy"),
    ),
    "acceptance_criteria": (("acceptance_criteria",), ("AC",), ("acceptance", "AC")),
    "gates": (("gates",), ("acceptance", "gates")),
    "evidence_required": (("evidence_required",), ("acceptance", "evidence_required")),
}
# field -> (place, value) of each copy that is there
Written = dict[str, list[tuple[KeyPath, Any]]]

_NEEDS_COMMAND: Final = ("required_command_exit_0", "required_command_evidence_only")
_MOST_NAMED: Final = 3  # differing entries that a message names


def criterion_id(criterion: str) -> str:
    """Give the id of a criterion: the part before the first colon, or the whole text."""
    head, colon, _ = criterion.partition(":")
    return head.strip() if colon else criterion.strip()


def all_places(path: KeyPath) -> tuple[KeyPath, ...]:
    """Return every place of the value at `path`, ours first."""
    for places in COPIES.values():
        for place in places:
            if path[: len(place)] == place:
                return tuple((*other, *path[len(place) :]) for other in places)
    return (path,)


def written_in(data: Mapping[str, Any]) -> Written:
    """Collect the copies of each field that are there (null counts as not there), ours first."""
    written: Written = {}
    for field, places in COPIES.items():
        found: list[tuple[KeyPath, Any]] = []
        for place in places:
            value = data.get(place[0])
            if value is not None and len(place) > 1:
                value = value.get(place[1]) if isinstance(value, dict) else None
            if value is not None:
                found.append((place, value))
        written[field] = found
    return written


def merged(data: Mapping[str, Any], written: Written) -> dict[str, Any]:
    """Fill the top-level fields from whichever copy is there."""
    whole = dict(data)
    for field, copies in written.items():
        if copies and copies[0][0] != (field,):
            whole[field] = copies[0][1]
    if whole.get("AC") is None and "acceptance_criteria" in whole:
        whole["AC"] = whole["acceptance_criteria"]
    return whole


def faults_of(data: Mapping[str, Any], written: Written) -> list[Fault]:
    """Name every fault of a raw StepPack."""
    criteria_at, criteria = _list(written, "acceptance_criteria")
    ids = {i: criterion_id(text) for i, text in enumerate(criteria) if isinstance(text, str)}
    known = set(ids.values())
    faults = _copy_faults(written)
    if not written["acceptance_criteria"] or written["acceptance_criteria"][0][1] == []:
        faults.append(Fault(criteria_at, "a StepPack needs at least one acceptance criterion"))
    if len(known) < len(ids):
        faults += _twice(criteria_at, ids, ())
    gates_at, gates = _list(written, "gates")
    commands = data.get("commands_to_run", [])
    count = len(commands) if isinstance(commands, list) else None
    for i, gate in enumerate(gates):
        if isinstance(gate, dict):
            faults += _gate_faults((*gates_at, i), gate, known, count)
    wanted_at, wanted = _list(written, "evidence_required")
    for i, one in enumerate(wanted):
        if isinstance(one, dict):
            faults += _unknown(one.get("required_for"), known, (*wanted_at, i, "required_for"))
    faults += _same_id(gates_at, gates, "gate_id")
    faults += _same_id(wanted_at, wanted, "id")
    return faults


def disagreements(data: Mapping[str, Any]) -> list[tuple[KeyPath, KeyPath]]:
    """Name each pair of places (the first, the other) that should hold the same and do not."""
    return [(fault.other or (), fault.path) for fault in _copy_faults(written_in(data))]


def _copy_faults(written: Written) -> list[Fault]:
    faults = []
    for copies in written.values():
        for place, value in copies[1:]:
            first, truth = copies[0]
            if value != truth:
                what = f"differs from {render_path(first)}, which must hold the same"
                faults.append(Fault(place, what + _difference(truth, value), other=first))
    return faults


def _difference(first: Any, other: Any) -> str:  # noqa: ANN401  raw values
    if isinstance(first, dict) and isinstance(other, dict):
        both = sorted(first.keys() | other.keys())
        keys = [key for key in both if first.get(key) != other.get(key)]
        return f": not the same in {_named(keys)}"
    if not isinstance(first, list) or not isinstance(other, list):
        return ""
    more = [one for one in other if one not in first]
    less = [one for one in first if one not in other]
    told = [f"{_named(more)} only here"] if more else []
    told += [f"{_named(less)} only there"] if less else []
    return f": {', '.join(told)}" if told else ": the order or the number of entries"


def _named(values: list[Any]) -> str:
    shown = []
    for value in values[:_MOST_NAMED]:
        is_object = isinstance(value, dict)
        name = value.get("gate_id", value.get("id", "an entry")) if is_object else value
        shown.append(one_line(str(name), 60, quote="'"))
    more = len(values) - _MOST_NAMED
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")


def _gate_faults(
    at: KeyPath, gate: dict[str, Any], criteria: set[str], count: int | None
) -> list[Fault]:
    faults = _unknown(gate.get("target_ac"), criteria, (*at, "target_ac"))
    if count is None or gate.get("type") not in _NEEDS_COMMAND:
        return faults
    index = gate.get("command_index")
    has = f"commands_to_run has {count} {'entry' if count == 1 else 'entries'}"
    if index is None:
        faults.append(Fault(at, f"a gate of this type needs a command_index; {has}"))
    elif isinstance(index, int) and index >= count:
        last = f", the last is {count - 1}" if count else ""
        what = f"there is no command {index}: {has}{last}"
        faults.append(Fault((*at, "command_index"), what))
    return faults


def _unknown(names: Any, criteria: set[str], at: KeyPath) -> list[Fault]:  # noqa: ANN401
    if not isinstance(names, list) or not criteria:
        return []
    unknown = [i for i, name in enumerate(names) if isinstance(name, str) and name not in criteria]
    if not unknown:
        return []
    known = one_line(", ".join(sorted(criteria)), 120)
    what = "no acceptance criterion has the id {}; there are {}"
    return [Fault((*at, i), what.format(one_line(names[i], 60, quote="'"), known)) for i in unknown]


def _same_id(at: KeyPath, entries: list[Any], key: str) -> list[Fault]:
    ids = {i: one.get(key) for i, one in enumerate(entries) if isinstance(one, dict)}
    named = {i: name for i, name in ids.items() if isinstance(name, str)}
    return _twice(at, named, (key,)) if len(set(named.values())) < len(named) else []


def _twice(at: KeyPath, ids: Mapping[int, str], tail: KeyPath) -> list[Fault]:
    seen: dict[str, int] = {}
    faults = []
    for i, name in ids.items():
        if name in seen:
            what = f"the id {one_line(name, 60, quote=chr(39))} is there twice"
            faults.append(Fault((*at, i, *tail), what, other=(*at, seen[name], *tail)))
        seen.setdefault(name, i)
    return faults


def _list(written: Written, field: str) -> tuple[KeyPath, list[Any]]:
    copies = written[field]
    if not copies:
        return (field,), []
    place, value = copies[0]
    return place, value if isinstance(value, list) else []
