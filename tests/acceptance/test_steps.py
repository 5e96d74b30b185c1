"""Single steps from outside: dispatch, review, rework, checkpoints and their undoing."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from tests.acceptance.stage import WORKER, Stage, pack, write

pytestmark = pytest.mark.slow


def test_a_dry_run_prints_the_exact_command_and_writes_nothing(stage: Stage) -> None:
    name = "contracts/one.json"
    done = stage.call("dispatch-step", "--step-pack-file", name, "--run-id", "r1", "--dry-run")
    assert done.code == 0
    words = shlex.split(done.out)
    assert words[: len(WORKER) + 1] == [*WORKER, "create"]
    assert json.loads(words[len(WORKER) + 1]) == pack("one")
    flags = dict(zip(words[len(WORKER) + 2 :: 2], words[len(WORKER) + 3 :: 2], strict=True))
    assert flags == {
        "--backend": "scripted",
        "--run-id": "r1",
        "--task-id": "one",
        "--step-id": "S1",
    }
    assert not (stage.root / "progress").exists()
    assert not (stage.root / ".artifacts").exists()
    assert stage.text("src/one.txt") == "broken\n"


def test_a_dry_run_of_a_rework_resumes_the_session(stage: Stage) -> None:
    _refuse(stage)
    done = stage.call(
        "dispatch-rework", "--rework-pack-file", "rework.json", "--thread-id", "t1", "--dry-run",
        "--json",
    )  # fmt: skip
    argv = done.data["argv"]
    assert argv[len(WORKER)] == "resume"
    assert json.loads(argv[len(WORKER) + 1]) == json.loads(stage.text("rework.json"))
    assert argv[len(WORKER) + 2] == "t1"


def test_a_step_is_dispatched_and_logged_without_a_verdict(stage: Stage) -> None:
    done = stage.call("dispatch-step", "--step-pack-file", "contracts/one.json", "--json")
    assert done.code == 0, done.out
    assert done.data["verdict"] is None
    assert done.data["claim"]["result"] == "PASS"
    assert stage.text("src/one.txt") == "fixed\n"
    kinds = [entry["kind"] for entry in stage.entries()]
    assert kinds == ["run_started", "step_started", "attempt", "run_ended"]
    stage.assert_verifies()


def test_a_reviewed_step_is_accepted_with_its_result_written(stage: Stage) -> None:
    done = stage.call(
        "dispatch-step", "--step-pack-file", "contracts/one.json", "--review",
        "--write-result-file", "result.json", "--json",
    )  # fmt: skip
    assert done.code == 0, done.out
    assert done.data["verdict"]["colour"] == "accepted"
    assert json.loads(stage.text("result.json"))["result"] == "PASS"
    assert done.data["rework_pack"] is None


def _refuse(stage: Stage) -> str:
    """Dispatch a step that is refused; its ReworkPack is rework.json. Returns the session."""
    done = stage.call(
        "dispatch-step", "--step-pack-file", "contracts/rework.json", "--review",
        "--write-rework-file", "rework.json", "--json",
    )  # fmt: skip
    assert done.code == 1, done.out
    assert done.envelope["ok"] is False
    assert done.data["verdict"]["colour"] == "refused"
    return str(done.data["thread_id"])


def test_a_refused_step_goes_on_with_its_rework_pack_in_the_same_session(stage: Stage) -> None:
    thread = _refuse(stage)
    again = stage.call(
        "dispatch-rework", "--rework-pack-file", "rework.json", "--thread-id", thread,
        "--step-pack-file", "contracts/rework.json", "--json",
    )  # fmt: skip
    assert again.code == 0, again.out
    assert again.data["round"] == "R1S0"
    assert again.data["verdict"]["colour"] == "accepted"
    stage.assert_verifies()


def test_a_step_that_the_queue_owns_is_refused(stage: Stage) -> None:
    stage.queue("one")
    stage.call("prepare-next")
    done = stage.call("dispatch-step", "--step-pack-file", "contracts/one.json")
    assert done.code == 6
    assert "run-cycle --task-key one" in done.err


def test_a_rework_without_its_step_pack_has_no_bounds_and_is_refused(stage: Stage) -> None:
    _refuse(stage)
    done = stage.call("dispatch-rework", "--rework-pack-file", "rework.json", "--thread-id", "t")
    assert done.code == 2
    assert "--step-pack-file" in done.err


def test_more_than_one_step_at_once_is_refused_and_not_ignored(stage: Stage) -> None:
    done = stage.call(
        "dispatch-step", "--step-pack-file", "contracts/one.json", "--max-parallel-steps", "2"
    )
    assert done.code == 2
    assert "one at a time" in done.err


def test_a_worker_that_is_not_installed_exits_with_its_own_code(stage: Stage) -> None:
    done = stage.call(
        "dispatch-step", "--step-pack-file", "contracts/one.json", "--shim", "no-such-program"
    )
    assert done.code == 7
    assert "no-such-program" in done.err


def test_a_time_limit_that_ends_the_worker_has_its_own_code(stage: Stage) -> None:
    script = {**pack("one"), "x_scripted": {"play": "hangs"}}
    write(stage.root / "contracts/one.json", json.dumps(script))
    done = stage.call(
        "dispatch-step", "--step-pack-file", "contracts/one.json", "--max-runtime-sec", "1"
    )
    assert done.code == 124


def test_a_queue_edit_by_the_worker_of_a_single_step_is_held(stage: Stage) -> None:
    stage.queue("two")
    stage.call("prepare-next")
    script = {"play": "forges-control", "edits": []}
    write(stage.root / "contracts/one.json", json.dumps({**pack("one"), "x_scripted": script}))
    done = stage.call("dispatch-step", "--step-pack-file", "contracts/one.json")
    assert "an edit of the queue is held" in done.err
    assert list((stage.root / "progress").glob("task_queue.held-*.json"))
    assert stage.states() == {"two": "pending"}


def _result(stage: Stage, **changes: object) -> Path:
    """Write an honest StepResult for the present tree, by hand."""
    command = "grep -qx fixed src/one.txt"
    claim = {
        "task_id": "one",
        "step_id": "S1",
        "result": "PASS",
        "reason_code": "PASS_ALL_CRITERIA",
        "summary": "by hand",
        "files_changed": ["src/one.txt"],
        "commands_executed": [
            {"command": command, "exit_code": 0, "evidence_path": ".artifacts/agent_runs/a.txt"}
        ],
        "verification_results": [
            {
                "criteria": "AC1: src/one.txt says fixed",
                "met": True,
                "evidence_path": ".artifacts/agent_runs/a.txt",
            }
        ],
        "evidence_map": {"AC1": [".artifacts/agent_runs/a.txt"]},
        **changes,
    }
    write(stage.root / ".artifacts/agent_runs/a.txt", "seen\n")
    return write(stage.root / ".artifacts/result.json", json.dumps(claim))


def _review(stage: Stage, result: Path, *more: str) -> tuple[int, str]:
    done = stage.call(
        "review-step", "--step-pack-file", "contracts/one.json",
        "--step-result-file", str(result), *more,
    )  # fmt: skip
    return done.code, done.out


def test_a_result_that_the_tree_bears_out_is_accepted(stage: Stage) -> None:
    write(stage.root / "src/one.txt", "fixed\n")
    code, out = _review(stage, _result(stage), "--json")
    assert code == 0, out
    assert json.loads(out)["data"]["verdict"]["colour"] == "accepted"


def test_a_result_that_the_tree_gives_the_lie_is_refused(stage: Stage) -> None:
    code, out = _review(
        stage, _result(stage), "--output-format", "github", "--write-rework-file", "r.json"
    )
    assert code == 1
    assert "::error title=work.nothing_changed::" in out
    assert json.loads(stage.text("r.json"))["task_id"] == "one"


def test_a_review_against_a_tree_that_git_does_not_know_is_told(stage: Stage) -> None:
    done = stage.call(
        "review-step", "--step-pack-file", "contracts/one.json",
        "--step-result-file", str(_result(stage)), "--base-tree", "nowhere",
    )  # fmt: skip
    assert done.code == 3
    assert "nowhere" in done.err


def test_a_checkpoint_is_restored_and_the_restoring_undone(stage: Stage) -> None:
    made = stage.call("checkpoint-create", "--task-key", "one", "--json")
    first = made.data["checkpoint_id"]
    write(stage.root / "src/one.txt", "changed\n")
    write(stage.root / "new.txt", "new\n")
    changed = stage.tree()

    listed = stage.call("rollback", "--list", "--json")
    assert first in [row["checkpoint_id"] for row in listed.data["checkpoints"]]

    dry = stage.call("rollback", "--checkpoint-id", first, "--dry-run", "--json")
    assert {row["path"] for row in dry.data["actions"]} == {"src/one.txt", "new.txt"}
    assert stage.tree() == changed

    back = stage.call("rollback", "--checkpoint-id", first, "--yes", "--json")
    assert back.code == 0
    assert stage.text("src/one.txt") == "broken\n"
    assert "new.txt" not in stage.tree()

    undone = stage.call("rollback", "--checkpoint-id", back.data["undo_checkpoint_id"], "--yes")
    assert undone.code == 0
    assert stage.tree() == changed
    stage.assert_verifies()


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_a_rollback_that_nobody_confirmed_changes_nothing(stage: Stage, more: list[str]) -> None:
    made = stage.call("checkpoint-create", "--task-key", "one", "--json")
    write(stage.root / "src/one.txt", "changed\n")
    done = stage.call("rollback", "--checkpoint-id", made.data["checkpoint_id"], *more)
    assert done.code == 2
    assert "--yes" in done.err + done.out
    assert stage.text("src/one.txt") == "changed\n"


def test_a_step_log_in_another_root_holds_the_attempts_with_their_numbers(stage: Stage) -> None:
    root = stage.home.parent / "logs"
    more = ("--log-project-id", "p1", "--log-root-dir", str(root))
    name = "contracts/one.json"
    for _ in range(2):
        assert stage.call("dispatch-step", "--step-pack-file", name, *more).code == 0
    lines = (root / "p1/events.jsonl").read_text().splitlines()
    attempts = [entry for entry in map(json.loads, lines) if entry["kind"] == "attempt"]
    assert [(item["body"]["r"], item["body"]["s"]) for item in attempts] == [(0, 0), (0, 1)]


def test_the_projects_own_ledger_is_not_taken_for_a_second_log(stage: Stage) -> None:
    done = stage.call(
        "dispatch-step", "--step-pack-file", "contracts/one.json", "--log-project-id", "acceptance"
    )
    assert done.code == 6
    assert "own ledger" in done.err
    assert stage.text("src/one.txt") == "broken\n"


@pytest.mark.parametrize(
    ("more", "part"),
    [
        (["--log-project-id", "../escape"], "../escape"),
        (["--log-root-dir", "logs"], "--log-project-id"),
    ],
)
def test_a_log_that_cannot_be_is_refused_before_the_worker_runs(
    stage: Stage, more: list[str], part: str
) -> None:
    done = stage.call("dispatch-step", "--step-pack-file", "contracts/one.json", *more)
    assert done.code == 2
    assert part in done.err
    assert stage.text("src/one.txt") == "broken\n"
