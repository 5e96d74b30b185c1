"""The repository that every case works on: small, real, with one failing test."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.corpus.book import Case

Json = dict[str, Any]
TASK = "T1"
PACK_PATH = "contracts/step_packs/T1.json"
CHECK = "python3 -m unittest tests.test_calc"
CRITERIA = ["AC1: add adds", "AC2: only app/ changes"]

CALC = '''"""Numbers."""


def add(a, b):
    return a - b


def double(a):
    return a * 2
'''
TEST_CALC = """import unittest

from app import calc


class CalcTest(unittest.TestCase):
    def test_add(self):
        self.assertEqual(calc.add(2, 3), 5)

    def test_double(self):
        self.assertEqual(calc.double(4), 8)
"""
FILES: Mapping[str, str] = {
    ".gitignore": "__pycache__/\n.artifacts/\n.orchestrator/\nprogress/\nworkflow/\n.env\nbuild/\n"
    "node_modules/\n.venv/\n*.log\n*.local.py\n",
    "README.md": "# app\n",
    "app/__init__.py": "",
    "app/calc.py": CALC,
    "app/text.py": '"""Text."""\n\n\ndef shout(text):\n    return text.upper()\n',
    "app/names.py": "NAMES = ['a', 'b']\n",
    "app/data/table.csv": "a,b\n1,2\n",
    "app/old/first.py": "FIRST = 1\n",
    "app/old/second.py": "SECOND = 2\n",
    "docs/guide.md": "# Guide\n\nText.\n",
    "tests/__init__.py": "",
    "tests/test_calc.py": TEST_CALC,
    "tests/test_text.py": (
        "import unittest\n\nfrom app import text\n\n\nclass TextTest(unittest.TestCase):\n"
        "    def test_shout(self):\n        self.assertEqual(text.shout('a'), 'A')\n"
    ),
    "tools/check.sh": "#!/bin/sh\nset -e\npython3 -m unittest tests.test_calc\n",
    "Makefile": "check:\n\tpython3 -m unittest tests.test_calc\n",
    "pyproject.toml": '[project]\nname = "app"\nversion = "1.0"\ndependencies = ["click"]\n',
    "requirements.txt": "click\n",
    "uv.lock": "version = 1\n",
}


def step_pack(case: Case) -> Json:
    """The StepPack of a case."""
    pack: Json = {
        "task_kind": "step",
        "task_id": TASK,
        "step_id": "S1",
        "objective": "make add add",
        "allowed_paths": ["app/**"],
        "forbidden_paths": [".github/**"],
        "commands_to_run": [CHECK],
        "acceptance_criteria": CRITERIA,
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
        "runtime_policy": {
            "timeout_sec": 20,
            "no_output_timeout_sec": 20,
            "check_timeout_sec": 20,
            "retry": {"max_attempts": 1},
        },
    }
    for key, value in case.pack.items():
        pack[key] = {**pack[key], **value} if key == "runtime_policy" else value
    if not pack["commands_to_run"]:
        pack["gates"] = [gate for gate in pack["gates"] if "command_index" not in gate]
    return case.shape(pack) if case.shape is not None else pack


def evidence_pack(pack: Json) -> Json:
    """Ask for the worker's evidence too."""
    return {
        **pack,
        "gates": [
            *pack["gates"],
            {"gate_id": "G9", "owner": "controller", "type": "qa_evidence_review",
             "target_ac": ["AC2"]},
        ],
        "evidence_required": [
            {"id": "E1", "path_pattern": "step_result.json::commands_executed[*]",
             "required_for": ["AC1"]},
            {"id": "E2", "required_for": ["AC2"],
             "path_pattern": ".artifacts/agent_runs/*/steps/S1/rounds/*/report.md"},
        ],
    }  # fmt: skip


def three_copies(pack: Json) -> Json:
    """Write scope, criteria, gates and evidence three times over, as seed 004 does."""
    full = evidence_pack(pack)
    scope = {"allowed_paths": full["allowed_paths"], "forbidden_paths": full["forbidden_paths"]}
    policy = {"mode": "no-new-dependencies", "allow_new_dependencies": False}
    return {
        **full,
        "step_title": "Repair add",
        "step_description": "The test of add fails.",
        "phase": "Phase 1",
        "step_pack_version": "1.0",
        "controller_role": "Controller and judge",
        "dependency_policy": policy,
        "scope": {**scope, "dependency_policy": policy},
        "scope_guard": scope,
        "AC": full["acceptance_criteria"],
        "acceptance": {
            "AC": full["acceptance_criteria"],
            "gates": full["gates"],
            "evidence_required": full["evidence_required"],
        },
        "expected_outputs": ["app/calc.py"],
        "allowed_actions": ["edit files inside allowed_paths"],
        "evidence_requirement": "below .artifacts/agent_runs/",
        "context": {"controller_branch": "main", "source_instructions": ["CONTROLLER.md"]},
    }


def build(root: Path, case: Case) -> None:
    """Write and commit the repository of a case, and its queue."""
    root.mkdir(parents=True)
    for path, content in {**FILES, **case.files}.items():
        if content is not None:
            put(root / path, content)
    put(root / PACK_PATH, json.dumps(step_pack(case), ensure_ascii=False, indent=1))
    hand = Path(__file__).with_name("hand.py")
    settings = {
        "project_id": "corpus",
        "worker": {
            "backend": "command",
            "command": [sys.executable, "-S", "-E", str(hand), case.play.__module__, case.name],
        },
        "limits": {"max_rework_rounds": 0, "backoff_sec": 0},
        **case.settings,
    }
    put(root / "orchestrator.yaml", json.dumps(settings))
    git(root, "init", "-q", "-b", "main", "--template=")
    if case.setup is not None:
        case.setup(root)
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "base")
    queue = {
        "schema_version": 1,
        "kind": "task_queue",
        "tasks": [
            {
                "task_key": TASK,
                "title": "make add add",
                "step_pack": PACK_PATH,
                "target": "app/calc.py",
                "execution_route": "tier2",
                "acceptance_criteria": CRITERIA,
                "max_attempts": 1,
            }
        ],
    }
    put(root / "progress/task_queue.json", json.dumps(queue, indent=1) + "\n")


def put(path: Path, content: str | bytes) -> None:
    """Write a file and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def git(root: Path, *arguments: str) -> str:
    """Run git as the person who owns the repository."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(root.parent),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "P",
        "GIT_AUTHOR_EMAIL": "p@example.invalid",
        "GIT_COMMITTER_NAME": "P",
        "GIT_COMMITTER_EMAIL": "p@example.invalid",
        "GIT_ALLOW_PROTOCOL": "file",
    }
    return subprocess.run(
        ["git", *arguments], cwd=root, env=environment, check=True, stdout=subprocess.PIPE,
        text=True, errors="surrogateescape",
    ).stdout  # fmt: skip
