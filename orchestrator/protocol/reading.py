"""Bytes to a model; everything that is wrong is told at once, each with file, line and column.

    pack.json:14:5: runtime_policy.timeout_sec: expected an integer, got "3600" (a string)

A line is `file:line:col: path: message`. In the good case JSON is decoded by the C decoder and
validated once; the tree with positions is built only when there is something to report. A byte
order mark of UTF-8 is skipped; any other encoding is refused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from pydantic import ValidationError

from orchestrator.errors import ContractError, ProtocolError
from orchestrator.protocol import json_text
from orchestrator.protocol.base import Wire
from orchestrator.protocol.faults import Fault
from orchestrator.protocol.limits import USUAL, Limits
from orchestrator.protocol.positions import Mark, Tree
from orchestrator.protocol.report import Problem, lines, problems_of
from orchestrator.protocol.utf8 import decode_utf8
from orchestrator.vocabulary import Sha256

if TYPE_CHECKING:  # each of these costs milliseconds of import, and most commands read no pack
    from orchestrator.protocol.rework_pack import ReworkPack
    from orchestrator.protocol.step_pack import StepPack
    from orchestrator.protocol.step_result import StepResult
    from orchestrator.protocol.task import IntakeTask

M = TypeVar("M", bound=Wire)
Kind = Literal["json", "yaml"]
MoreFaults = Callable[[Mapping[str, Any]], Iterable[Fault]]


def digest_of(data: bytes) -> Sha256:
    """Return the SHA-256 of the bytes as they are: what freezes a file."""
    return Sha256(hashlib.sha256(data).hexdigest())


def kind_of(source: str) -> Kind:
    """Tell the kind by the name: `.yaml` and `.yml` are YAML, anything else is JSON."""
    return "yaml" if source.lower().endswith((".yaml", ".yml")) else "json"


def read_model(
    data: bytes,
    model: type[M],
    *,
    source: str,
    kind: Kind | None = None,
    error: type[ContractError] = ContractError,
    limits: Limits = USUAL,
    more_faults: MoreFaults | None = None,
) -> M:
    """Read one document.

    Args:
        data: the file's bytes, UTF-8.
        model: what it should be.
        source: the name that the messages show.
        kind: JSON or YAML; by the suffix of `source` when None.
        error: what to raise; `ProtocolError` for what a peer sent.
        limits: how large the document may be.
        more_faults: faults that the model itself cannot know; asked with the raw value.

    Raises:
        ContractError: (or `error`) with every problem in `problems`.
    """
    kind = kind or kind_of(source)
    text, marks = decode_utf8(data, limits.json_bytes if kind == "json" else limits.yaml_bytes)
    if kind == "json" and not marks:
        try:
            value = json_text.decode_fast(text, limits)
            if more_faults is None or not any(True for _ in more_faults(_object(value))):
                return model.model_validate(value)
        except (json_text.LookCloser, ValidationError):
            pass  # the tree says why
    tree = _scan(text, kind, limits, marks)
    problems = problems_of(tree, model, more_faults=more_faults, quotes_help=kind == "yaml")
    if not problems and tree.root is not None:
        return model.model_validate(tree.root.value)
    raise refusal(problems, tree.text, source=source, name=model.__name__, error=error)


def refusal(
    problems: list[Problem], text: str, *, source: str, name: str, error: type[ContractError]
) -> ContractError:
    """Make the error that tells all problems of one document."""
    told = lines(problems, text, source)
    count = f"{len(problems)} problems" if len(problems) != 1 else "1 problem"
    mend = "change each place that is named, then read the file again"
    return error(f"not a valid {name}: {count}", where=source, mend=mend, problems=told)


def read_step_pack(data: bytes, source: str) -> StepPack:
    """Read a StepPack that a person or a controller wrote."""
    from orchestrator.protocol.step_pack import StepPack  # noqa: PLC0415

    return read_model(data, StepPack, source=source)


def read_rework_pack(data: bytes, source: str) -> ReworkPack:
    """Read a ReworkPack."""
    from orchestrator.protocol.rework_pack import ReworkPack  # noqa: PLC0415

    return read_model(data, ReworkPack, source=source)


def read_step_result(data: bytes, source: str) -> StepResult:
    """Read what a worker says about its attempt; it is a peer, so `ProtocolError`."""
    from orchestrator.protocol.step_result import StepResult  # noqa: PLC0415

    return read_model(data, StepResult, source=source, error=ProtocolError)


def read_intake_task(data: bytes, source: str) -> IntakeTask:
    """Read the `task.json` (or YAML) of `prepare`."""
    from orchestrator.protocol.task import IntakeTask  # noqa: PLC0415

    return read_model(data, IntakeTask, source=source)


def _object(value: Any) -> Mapping[str, Any]:  # noqa: ANN401  any JSON value
    return value if isinstance(value, dict) else {}


def _scan(text: str, kind: Kind, limits: Limits, marks: list[Mark]) -> Tree:
    if any(mark.fatal for mark in marks):
        return Tree(text, marks=marks)
    if kind == "json":
        tree = json_text.scan(text, limits=limits)
    else:
        # PyYAML costs 20 ms of import, and most processes read no YAML.
        from orchestrator.protocol import yaml_text  # noqa: PLC0415

        tree = yaml_text.scan(text, limits=limits)
    tree.marks.extend(marks)
    return tree
