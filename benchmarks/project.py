"""A small governed project to measure in: a git repository, a no-op worker, a queue of any length.

The repository holds about twenty small files. The worker is a shell script that answers at once
with a correct StepResult and changes nothing; each StepPack allows that and names one check. So
a cycle does all that governing needs (claim, checkpoint, real diff, our own run of the check,
review, ledger) and nothing that an agent would do.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHECK = "test -f README.md"
CRITERION = "AC1: the README is there"
FILES = 20
_ANSWER = (
    '{"task_id":"%s","step_id":"S1","result":"PASS","reason_code":"DONE",'
    '"summary":"nothing to do","files_changed":[],'
    f'"commands_executed":[{{"command":"{CHECK}","exit_code":0}}],'
    f'"verification_results":[{{"criteria":"{CRITERION}","met":true}}]}}'
)
_WORKER = f"""\
#!/bin/sh
# Answers its StepPack with a claim and touches nothing.
printf '{_ANSWER}' "$ORCHESTRATOR_TASK_ID"
"""


@dataclass(frozen=True, slots=True)
class Place:
    """Where one measured project lies."""

    root: Path
    tasks: int  # in its queue


@contextlib.contextmanager
def home() -> Iterator[Path]:
    """Give a folder that is gone afterwards, and keep keys and scratch inside it."""
    with tempfile.TemporaryDirectory(prefix="orchestrator-bench-") as name:
        folder = Path(name)
        before = os.environ.get("ORCHESTRATOR_HOME")
        os.environ["ORCHESTRATOR_HOME"] = str(folder / "home")
        try:
            yield folder
        finally:
            if before is None:
                del os.environ["ORCHESTRATOR_HOME"]
            else:
                os.environ["ORCHESTRATOR_HOME"] = before


def build(root: Path, *, tasks: int, packs: int) -> Place:
    """Write the repository, its settings, the queue file, and StepPacks for the first tasks."""
    _write(root / "README.md", "# A project to measure in\n")
    for number in range(FILES - 3):
        text = "".join(f"def value_{line}() -> int:\n    return {line}\n\n\n" for line in range(12))
        _write(root / f"package_{number % 4}" / f"module_{number}.py", text)
    _write(root / "worker.sh", _WORKER)
    _write(root / ".gitignore", ".artifacts/\n.orchestrator/\nprogress/\nworkflow/\n")
    settings = {
        "project_id": f"bench-{tasks}",
        "worker": {"backend": "command", "command": ["/bin/sh", str(root / "worker.sh")]},
    }
    _write(root / "orchestrator.yaml", json.dumps(settings) + "\n")
    for number in range(packs):
        key = task_key(number)
        _write(root / "progress" / "step_packs" / f"{key}.json", json.dumps(step_pack(key)))
    queue = {"schema_version": 1, "kind": "task_queue", "tasks": [task(n) for n in range(tasks)]}
    _write(root / "progress" / "task_queue.json", json.dumps(queue))
    _commit(root)
    return Place(root, tasks)


def task_key(number: int) -> str:
    """Name the task at that place in the queue."""
    return f"T-{number + 1:06d}"


def task(number: int) -> dict[str, Any]:
    """One row of the queue, as a person would write it."""
    key = task_key(number)
    return {
        "task_key": key,
        "title": f"Look at module {number}",
        "step_pack": f"progress/step_packs/{key}.json",
        "target": "README.md",
        "execution_route": "tier2",
        "acceptance_criteria": [CRITERION],
    }


def step_pack(key: str) -> dict[str, Any]:
    """The StepPack of one task: one criterion, one check, no change needed."""
    return {
        "task_kind": "step",
        "task_id": key,
        "step_id": "S1",
        "objective": "See that the README is there",
        "allowed_paths": ["package_0/**"],
        "commands_to_run": [CHECK],
        "acceptance_criteria": [CRITERION],
        "gates": [
            {
                "gate_id": "G1",
                "owner": "controller",
                "type": "required_command_exit_0",
                "target_ac": ["AC1"],
                "command_index": 0,
                "pass_condition": "the command exits with 0",
            }
        ],
        "runtime_policy": {"timeout_sec": 60, "no_output_timeout_sec": 60},
        "allow_no_change": True,
    }


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _commit(root: Path) -> None:
    settings = ["-c", "user.name=Bench", "-c", "user.email=bench@example.invalid"]
    settings += ["-c", "commit.gpgsign=false", "-c", "core.hooksPath=/dev/null"]
    for command in (("init", "-q"), ("add", "-A"), ("commit", "-q", "-m", "to measure in")):
        subprocess.run(["git", *settings, *command], cwd=root, check=True, capture_output=True)
