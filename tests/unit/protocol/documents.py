"""A small sound pack, and how a refusal is read."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from orchestrator.errors import ContractError
from orchestrator.protocol.reading import read_step_pack

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "step_packs"
LINE = re.compile(r"[^\n]+?:[1-9][0-9]*:[1-9][0-9]*: [^\n]+?: [^\n]+")


def sound() -> dict[str, Any]:
    """A minimal StepPack with two gates."""
    return {
        "task_id": "T-1",
        "objective": "add a function",
        "allowed_paths": ["src/**"],
        "commands_to_run": ["pytest -q"],
        "acceptance_criteria": ["AC1: it works", "AC2: it is tested"],
        "gates": [
            {
                "gate_id": "G1",
                "owner": "worker",
                "type": "required_command_exit_0",
                "target_ac": ["AC1"],
                "command_index": 0,
            },
            {
                "gate_id": "G2",
                "owner": "controller",
                "type": "qa_scope_guard_review",
                "target_ac": ["AC2"],
            },
        ],
        "runtime_policy": {"timeout_sec": 60},
    }


def text_of(document: object) -> bytes:
    return json.dumps(document, indent=2).encode()


def problems(document: object, source: str = "pack.json") -> list[str]:
    """The lines with which a pack is refused; text and bytes are taken as they are."""
    data = document if isinstance(document, bytes) else text_of(document)
    data = document.encode() if isinstance(document, str) else data
    with pytest.raises(ContractError) as refused:
        read_step_pack(data, source)
    assert refused.value.exit_code == 2
    assert all(LINE.fullmatch(line) for line in refused.value.problems)
    return list(refused.value.problems)
