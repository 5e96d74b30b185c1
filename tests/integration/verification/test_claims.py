"""What a worker names as evidence, looked at in real folders."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from orchestrator.protocol.evidence import ClaimedFile
from orchestrator.protocol.step_pack import EvidenceRequired
from orchestrator.protocol.step_result import StepResult
from orchestrator.verification.claims import (
    EvidencePlace,
    count_patterns,
    look_at_claims,
    named_paths,
)

RUN = ".artifacts/agent_runs/R1/steps/S1/rounds/R0S0"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "tree" / RUN / "outputs").mkdir(parents=True)
    return tmp_path / "tree"


def place(root: Path, started_ns: int = 0) -> EvidencePlace:
    return EvidencePlace((str(root),), started_ns)


def look(root: Path, path: str, started_ns: int = 0) -> ClaimedFile:
    (seen,) = look_at_claims([path], place(root, started_ns))
    return seen


def test_a_file_that_is_there_is_named_by_size_and_digest(root: Path) -> None:
    (root / RUN / "outputs/a.txt").write_bytes(b"abc")
    seen = look(root, f"./{RUN}/outputs/a.txt")
    assert (seen.prefix_ok, seen.exists, seen.produced_in_attempt) == (True, True, True)
    assert (seen.size_bytes, seen.sha256) == (3, hashlib.sha256(b"abc").hexdigest())


@pytest.mark.parametrize(
    "path",
    ["/etc/passwd", "out.txt", "../.artifacts/agent_runs/x", ".artifacts/agent_runs/../../x",
     ".artifacts/other/x", ".artifacts/agent_runs", ".artifacts/agent_runs/a/../b"],
)  # fmt: skip
def test_a_path_outside_the_evidence_folder_is_never_looked_at(root: Path, path: str) -> None:
    seen = look(root, path)
    assert (seen.prefix_ok, seen.exists, seen.sha256) == (False, False, None)


def test_a_link_is_no_evidence_wherever_it_leads(root: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s")
    (root / RUN / "link").symlink_to(tmp_path / "secret")
    (root / RUN / "folder").symlink_to(tmp_path)
    (root / RUN / "real").write_text("r")
    (root / RUN / "inner").symlink_to("real")
    for path in ("link", "folder/secret", "inner"):
        assert not look(root, f"{RUN}/{path}").exists


def test_a_folder_a_pipe_and_a_missing_file_are_no_evidence(root: Path) -> None:
    os.mkfifo(root / RUN / "pipe")
    for path in ("outputs", "pipe", "missing", "outputs/\0", "x" * 300):
        assert not look(root, f"{RUN}/{path}").exists


def test_evidence_of_an_earlier_attempt_is_stale_also_when_its_times_are_forged(
    root: Path,
) -> None:
    file = root / RUN / "outputs/a.txt"
    file.write_text("old")
    later = file.stat().st_ctime_ns + 10**9
    os.utime(file, ns=(later * 2, later * 2))
    assert not look(root, f"{RUN}/outputs/a.txt", later + 10**10).produced_in_attempt
    assert look(root, f"{RUN}/outputs/a.txt", file.stat().st_ctime_ns).produced_in_attempt


def required(pattern: str) -> list[EvidenceRequired]:
    return [EvidenceRequired(id="E1", path_pattern=pattern)]


RESULT = StepResult.model_validate(
    {
        "task_id": "T",
        "result": "PASS",
        "commands_executed": [
            {"command": "a", "exit_code": 0, "evidence_path": f"{RUN}/x"},
            {"command": "b", "exit_code": 0},
        ],
        "evidence_map": {"AC1": [f"{RUN}/y", f"{RUN}/x"]},
    }
)


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [("step_result.json::commands_executed[*]", 2), ("step_result.json::commands_executed[1]", 1),
     ("step_result.json::commands_executed[5]", 0), ("step_result.json::evidence_map[*][*]", 2),
     ("step_result.json::commands_executed[*].evidence_path", 1), ("step_result.json::risks[*]", 0),
     ("step_result.json::no_such[*]", 0), ("step_result.json::][", 0), ("other.json::a", 0),
     (f"{RUN}/outputs/*.txt", 2), (".artifacts/agent_runs/R1/steps/S1/rounds/R*/outputs/a.txt", 1),
     (".artifacts/agent_runs/<run>/**/a.txt", 1), (".artifacts/agent_runs/{run_id}/**/b.txt", 1),
     ("/etc/*", 0), ("../**", 0), (f"{RUN}/none*", 0), (f"{RUN}/outputs", 0)],
)  # fmt: skip
def test_a_pattern_counts_what_this_attempt_left(root: Path, pattern: str, matches: int) -> None:
    for name in ("a.txt", "b.txt"):
        (root / RUN / "outputs" / name).write_text(name)
    (counted,) = count_patterns(required(pattern), place(root), result=RESULT)
    assert (counted.id, counted.pattern, counted.matches) == ("E1", pattern, matches)


def test_files_of_an_earlier_attempt_do_not_satisfy_a_pattern(root: Path) -> None:
    file = root / RUN / "outputs/a.txt"
    file.write_text("old")
    late = place(root, file.stat().st_ctime_ns + 10**9)
    assert count_patterns(required(f"{RUN}/outputs/*"), late, result=None)[0].matches == 0


def test_without_an_answer_a_selector_matches_nothing(root: Path) -> None:
    asked = required("step_result.json::commands_executed[*]")
    assert count_patterns(asked, place(root), result=None)[0].matches == 0


def test_every_path_that_an_answer_names_is_looked_at_once() -> None:
    assert named_paths(RESULT) == (f"{RUN}/x", f"{RUN}/y")
