"""The demo's project is real: its tests fail, its repairs mend them, its files are well formed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.protocol.step_pack import StepPack
from orchestrator.protocol.task import TaskQueue
from orchestrator.runtime.environment import scrubbed
from orchestrator.runtime.wrapper import Limits
from orchestrator.worker.request import DispatchAnswer, DispatchRequest
from orchestrator.worker.shim_adapter import ShimAdapter

sys.path.insert(0, str(Path(__file__).parents[3] / "examples" / "orchestrator"))

import demo_project
import demo_runner
from demo_library import MODULES

BY_PLAY = {task.play: task for task in reversed(demo_project.TASKS)}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    dest = tmp_path_factory.mktemp("demo") / "textkit"
    return demo_project.build(dest, worker=demo_project.SCRIPTED_WORKER, python=sys.executable)


@pytest.fixture
def project(built: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(built, tmp_path / "textkit"))


def failing(project: Path) -> set[str]:
    """Run all tests once. Returns the modules with a failure."""
    done = subprocess.run(
        [sys.executable, "-B", "-m", "unittest", "discover", "-v", "-s", "tests", "-t", "."],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )
    bad = [line for line in done.stderr.splitlines() if line.startswith(("FAIL: ", "ERROR: "))]
    return {line.split("tests.test_")[1].split(".")[0] for line in bad}


def dispatch(
    project: Path, round_dir: Path, play: str, thread: str | None = None
) -> DispatchAnswer:
    task = BY_PLAY[play]
    round_dir.mkdir()
    pack = demo_project.step_pack(task, python=sys.executable)
    return ShimAdapter(demo_project.SCRIPTED_WORKER).dispatch(
        DispatchRequest(
            attempt_id="A_1",
            run_id="run-1",
            task_id=task.key,
            step_id="S1",
            round_name="R0S0",
            payload=json.dumps(pack).encode() if thread is None else b"{}",
            cwd=str(project),
            round_dir=str(round_dir),
            env=scrubbed({"PATH": "/usr/bin:/bin"}),
            limits=Limits(max_runtime_sec=20),
            thread_id=thread,
        )
    )


@pytest.mark.slow
def test_every_module_has_a_failing_test_and_every_repair_mends_it(project: Path) -> None:
    assert failing(project) == set(MODULES)
    for name, module in MODULES.items():
        text = module.source
        for repair in filter(None, (module.half_repair, module.repair)):
            assert text.count(repair[0]) == 1
            text = text.replace(*repair)
        (project / f"textkit/{name}.py").write_text(text)
    assert failing(project) == set()


def test_queue_map_and_packs_are_what_the_protocol_says(built: Path) -> None:
    queue = TaskQueue.model_validate_json((built / "progress/task_queue.json").read_bytes())
    packs = json.loads((built / "step_pack_map.json").read_text())
    assert {task.task_key: task.step_pack for task in queue.tasks} == packs
    for key, path in packs.items():
        pack = StepPack.model_validate_json((built / path).read_bytes())
        assert pack.task_id == key
        assert "x_scripted" in pack.extensions


def test_the_plan_has_every_kind_of_worker() -> None:
    assert set(BY_PLAY) >= {
        "honest", "honest-after-rework", "claims-pass", "edits-outside", "weakens-test",
        "forges-evidence", "hangs", "goes-silent", "eats-memory", "dies", "garbage",
    }  # fmt: skip
    assert len(demo_project.expected_outcomes()) == len(demo_project.TASKS) == len(MODULES)


@pytest.mark.slow
def test_the_worker_that_needs_a_second_round_mends_its_work(project: Path, tmp_path: Path) -> None:
    first = dispatch(project, tmp_path / "R0S0", "honest-after-rework")
    assert first.result is not None
    assert first.result.result == "FAIL"
    assert "price" in failing(project)
    second = dispatch(project, tmp_path / "R1S0", "honest-after-rework", first.thread_id)
    assert second.result is not None
    assert second.result.result == "PASS"
    assert "price" not in failing(project)


@pytest.mark.slow
def test_the_liars_lie(project: Path, tmp_path: Path) -> None:
    before = failing(project)
    for play in ("claims-pass", "forges-evidence", "weakens-test"):
        answer = dispatch(project, tmp_path / play, play)
        assert answer.result is not None
        assert answer.result.result == "PASS"
        assert all(claim.exit_code == 0 for claim in answer.result.commands_executed)
    assert before - failing(project) == {"median"}  # the test that was weakened


def test_a_folder_that_is_not_empty_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(SystemExit, match="not empty"):
        demo_project.build(tmp_path, worker=("true",))
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_the_summary_shows_what_was_not_as_planned() -> None:
    cycles = [
        {"task": "fix-slug", "state": "completed", "reason": "PASS_ALL_CRITERIA", "rounds": [1]},
        {"task": "fix-roman", "state": "completed", "reason": "PASS_ALL_CRITERIA", "rounds": 2},
    ]
    rows = demo_runner.make_rows(cycles)
    assert [(row.task, row.expected) for row in rows[:2]] == [
        ("fix-slug", True),
        ("fix-roman", False),
    ]
    assert all(row.outcome == "never ran" for row in rows[2:])
    report = demo_runner.DemoReport(Path("/p"), rows, 1.0, [], verified=True)
    assert "<- not as planned" in demo_runner.render(report, colour=False)
    assert not report.is_as_planned
