"""Any bytes give a model or a refusal that names a line; never another exception."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.errors import ContractError
from orchestrator.process.loader import read_phase_contract
from orchestrator.protocol.queue_text import iter_tasks, read_task_queue
from orchestrator.protocol.reading import (
    read_intake_task,
    read_rework_pack,
    read_step_pack,
    read_step_result,
)
from tests.unit.protocol.documents import GOLDEN, LINE, sound, text_of

pytestmark = pytest.mark.slow

READERS: dict[str, Callable[[bytes, str], object]] = {
    "step_pack": read_step_pack,
    "step_result": read_step_result,
    "rework_pack": read_rework_pack,
    "intake_task": read_intake_task,
    "task_queue": read_task_queue,
    "tasks": lambda data, source: list(iter_tasks(data, source)),
    "phase_contract": read_phase_contract,
}
KEYS = [
    "task_id",
    "task_key",
    "objective",
    "allowed_paths",
    "scope",
    "scope_guard",
    "acceptance",
    "AC",
    "gates",
    "gate_id",
    "type",
    "owner",
    "acceptance_criteria",
    "evidence_required",
    "id",
    "commands_to_run",
    "command_index",
    "target_ac",
    "required_for",
    "dependency_policy",
    "runtime_policy",
    "retry",
    "tasks",
    "depends_on",
    "result",
    "verdict",
    "evidence_map",
    "phases",
    "transitions",
    "from",
    "to",
    "gate",
    "initial",
    "final",
    "allowed_tools",
    "tool_constraints",
    "blockers",
    "check",
    "priority",
    "required_artifacts",
    "schema",
    "extensions",
    "x_",
    "x_a",
    "scema",
    "<<",
    "on",
]
WORDS = [
    "AC1",
    "AC1: a",
    "G1",
    "EXECUTE",
    "required_command_exit_0",
    "approval",
    "high",
    "step",
    "S1",
]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6) | st.sampled_from(WORDS),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=6),
    max_leaves=25,
)  # fmt: skip


def read_or_refuse(reader: str, data: bytes, source: str) -> None:
    try:
        READERS[reader](data, source)
    except ContractError as error:
        problems = error.problems
    else:
        return
    assert problems
    assert all(LINE.fullmatch(line) for line in problems), problems


@pytest.mark.parametrize("reader", READERS)
@settings(max_examples=40)
@given(data=st.binary(max_size=80), source=st.sampled_from(["a.json", "a.yaml", "a\n.json", ""]))
def test_noise(reader: str, data: bytes, source: str) -> None:
    read_or_refuse(reader, data, source)


@pytest.mark.parametrize("reader", READERS)
@settings(max_examples=40)
@given(text=st.text(alphabet='{}[]":,\\ \n\t-?&*!|>%@`#<0e9.a\ud7ff\ufffe\u0085é😀', max_size=40))
def test_signs_that_mean_something(reader: str, text: str) -> None:
    for source in ("a.json", "a.yaml"):
        read_or_refuse(reader, text.encode(), source)


@pytest.mark.parametrize("reader", READERS)
@settings(max_examples=40)
@given(document=VALUES)
def test_documents_of_the_wrong_shape(reader: str, document: Any) -> None:  # noqa: ANN401
    text = json.dumps(document)
    for source in ("a.json", "a.yaml"):
        read_or_refuse(reader, text.encode(), source)


PACK = (GOLDEN / "SAMPLE-2_S1.json").read_bytes()


@given(
    at=st.integers(0, len(PACK) - 1),
    instead=st.binary(max_size=3)
    | st.sampled_from([b"{", b"]", b'"', b"NaN", b"\\ud800", b"\xff"]),
    length=st.integers(0, 40),
)
def test_a_damaged_pack(at: int, instead: bytes, length: int) -> None:
    read_or_refuse("step_pack", PACK[:at] + instead + PACK[at + length :], "pack.json")


@given(
    key=st.sampled_from(sorted(json.loads(PACK))),
    value=VALUES,
    inner=st.sampled_from(["allowed_paths", "gates", "AC", "retry", "x_y"]),
)
def test_a_pack_with_one_field_replaced(key: str, value: Any, inner: str) -> None:  # noqa: ANN401
    raw = json.loads(PACK)
    for document in (raw | {key: value}, raw | {key: {inner: value}}, sound() | {key: [value]}):
        read_or_refuse("step_pack", text_of(document), "pack.json")
