"""An honest attempt, to be bent by the tests: pack, claim and observations of ours."""

from __future__ import annotations

from typing import Any

from orchestrator.protocol.changes import Change
from orchestrator.protocol.evidence import (
    ClaimedFile,
    CommandRun,
    Evidence,
    Observations,
    PatternCount,
    TestCount,
    WorkerRun,
)
from orchestrator.protocol.step_pack import StepPack
from orchestrator.protocol.step_result import StepResult
from orchestrator.protocol.verdict import Severity, Verdict
from orchestrator.qa.reviewer import StepQAReviewer

AC1 = "AC1: the parser reads empty input"
AC2 = "AC2: no path outside src/ changes"
COMMAND = "python -m pytest -q"
PREFIX = ".artifacts/agent_runs/R1/steps/S1/rounds/R0S0"


def pack(**changes: object) -> StepPack:
    data: dict[str, Any] = {
        "task_id": "T-1",
        "run_id": "RUN-1",
        "objective": "read empty input",
        "allowed_paths": ["src/**"],
        "forbidden_paths": [".artifacts/**"],
        "commands_to_run": [COMMAND],
        "acceptance_criteria": [AC1, AC2],
        "gates": [
            gate("G1", "required_command_exit_0", ["AC1"], command_index=0),
            gate("G2", "qa_scope_guard_review", ["AC2"], owner="controller"),
        ],
    }
    return StepPack.model_validate(data | changes)


def gate(name: str, kind: str, criteria: list[str], **more: object) -> dict[str, Any]:
    return {"gate_id": name, "owner": "worker", "type": kind, "target_ac": criteria, **more}


def seed_pack(**changes: object) -> StepPack:
    """A pack that asks for evidence, as those of seed 004 do."""
    data: dict[str, Any] = {
        "gates": [
            gate("G1", "required_command_exit_0", ["AC1"], command_index=0),
            gate("G7", "qa_scope_guard_review", ["AC2"], owner="controller"),
            gate("G8", "qa_evidence_review", ["AC1"], owner="controller"),
        ],
        "evidence_required": [
            {
                "id": "E1_commands",
                "path_pattern": "step_result.json::commands_executed[*]",
                "required_for": ["AC1"],
            }
        ],
    }
    return pack(**(data | changes))


def result(**changes: object) -> StepResult:
    data: dict[str, Any] = {
        "task_id": "T-1",
        "run_id": "RUN-1",
        "result": "PASS",
        "files_changed": ["src/parser.py"],
        "commands_executed": [{"command": COMMAND, "exit_code": 0}],
        "verification_results": [
            {"criteria": AC1, "met": True},
            {"criteria": AC2, "met": True},
        ],
    }
    return StepResult.model_validate(data | changes)


def seed_result(**changes: object) -> StepResult:
    path = f"{PREFIX}/outputs/own.txt"
    data: dict[str, Any] = {
        "commands_executed": [{"command": COMMAND, "exit_code": 0, "evidence_path": path}],
        "evidence_map": {"AC1": [path], "AC2": [path]},
    }
    return result(**(data | changes))


def changed(path: str = "src/parser.py", kind: str = "modified", **more: object) -> Change:
    modes = {
        "added": (None, "100644"),
        "deleted": ("100644", None),
        "mode": ("100644", "100755"),
    }.get(kind, ("100644", "100644"))
    return Change.model_validate(
        {"path": path, "kind": kind, "old_mode": modes[0], "new_mode": modes[1]} | more
    )


def link(path: str, target: str | None) -> Change:
    return changed(path, "added", new_mode="120000", link_target=target)


def run(**changes: object) -> CommandRun:
    data: dict[str, Any] = {
        "index": 0,
        "command": COMMAND,
        "argv": COMMAND.split(),
        "tree": "tree-1",
        "ending": "exited",
        "exit_code": 0,
        "wall_ms": 40,
        "stdout": evidence("cmd_0.stdout.txt"),
        "stderr": evidence("cmd_0.stderr.txt", 0),
        "tests": ran(3),
    }
    return CommandRun.model_validate(data | changes)


def base_run(**changes: object) -> CommandRun:
    return run(**({"tree": "tree-0", "exit_code": 1, "tests": ran(3, failed=1)} | changes))


def evidence(name: str, size: int = 20) -> Evidence:
    return Evidence(path=f"{PREFIX}/outputs/{name}", sha256="0" * 64, size_bytes=size)


def ran(executed: int, failed: int = 0, skipped: int = 0) -> TestCount:
    return TestCount(
        runner="pytest",
        executed=executed,
        passed=executed - failed,
        failed=failed,
        skipped=skipped,
    )


def worker(**changes: object) -> WorkerRun:
    return WorkerRun.model_validate(
        {"backend": "scripted", "ending": "exited", "exit_code": 0, "wall_ms": 1200} | changes
    )


def claimed(path: str = f"{PREFIX}/outputs/own.txt", **changes: object) -> ClaimedFile:
    return ClaimedFile.model_validate(
        {
            "path": path,
            "prefix_ok": True,
            "exists": True,
            "size_bytes": 20,
            "sha256": "1" * 64,
            "produced_in_attempt": True,
        }
        | changes
    )


def facts(**changes: object) -> Observations:
    data: dict[str, Any] = {
        "attempt_id": "R0S0",
        "base_tree": "tree-0",
        "tree": "tree-1",
        "changes": [changed()],
        "worker": worker(),
        "commands": [run()],
        "base_commands": [base_run()],
    }
    return Observations.model_validate(data | changes)


def seed_facts(**changes: object) -> Observations:
    counts = [PatternCount(id="E1_commands", pattern="x", matches=1)]
    return facts(**({"claimed_files": [claimed()], "patterns": counts} | changes))


def review(
    the_pack: StepPack | None = None,
    the_result: StepResult | None = None,
    the_facts: Observations | None = None,
    *,
    answered: bool = True,
) -> Verdict:
    return StepQAReviewer().review(
        the_pack or pack(),
        (the_result or result()) if answered else None,
        the_facts or facts(),
        contract_digest="c" * 64,
    )


def rules(verdict: Verdict, severity: Severity | None = None) -> set[str]:
    return {item.rule for item in verdict.findings if severity is None or item.severity is severity}


def refusals(verdict: Verdict) -> set[str]:
    return rules(verdict, Severity.REFUSAL)


def unknowns(verdict: Verdict) -> set[str]:
    return rules(verdict, Severity.UNKNOWN)


def warnings(verdict: Verdict) -> set[str]:
    return rules(verdict, Severity.WARNING)
