"""A campaign from outside: what it tells, its limits, and the queue file under somebody's hands."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.session_log.store import KEYS
from tests.acceptance.stage import ROOT, Gate, Stage, commit, copied, pack, task, write

pytestmark = pytest.mark.slow

NAMES = ("one", "rework", "liar", "outside", "asks", "lost")


@pytest.fixture(scope="module")
def finished(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """One campaign over every kind of ending; for tests that only look."""
    stage = copied(template, tmp_path_factory.mktemp("finished"))
    lost = {**task("one"), "task_key": "lost", "step_pack": "contracts/lost.json"}
    stage.queue(*NAMES[:-1], lost)
    done = stage.call("run-campaign", "--json", "--run-id", "night")
    assert done.code == 1, done.err
    assert done.envelope["ok"] is False
    return stage


@pytest.fixture
def spoilt(finished: Stage, tmp_path: Path) -> Stage:
    """A copy of it, to be tampered with."""
    shutil.copytree(finished.root, tmp_path / "repo", symlinks=True)
    shutil.copytree(finished.home, tmp_path / "home")
    return Stage(tmp_path / "repo", tmp_path / "home")


def test_each_task_ends_as_its_worker_deserves(finished: Stage) -> None:
    assert finished.states() == {
        "one": "completed",
        "rework": "completed",
        "liar": "failed",
        "outside": "failed",
        "asks": "awaiting_approval",
        "lost": "blocked",
    }
    assert finished.text("README.md") == "a repository\n"


def test_status_tells_counts_and_reasons_and_is_a_predicate(finished: Stage) -> None:
    done = finished.call("status", "--json")
    assert done.code == 0
    assert done.data["tasks"]["completed"] == 2
    assert {row["task"]: row["why"] for row in done.data["refused"]} == {
        "liar": "NO_CHANGE",
        "outside": "SCOPE_VIOLATION",
    }
    assert done.data["pending_effects"] == 0
    quiet = finished.call("status", "-q")
    assert (quiet.code, quiet.out, quiet.err) == (1, "", "")


def test_the_progress_folder_holds_the_views(finished: Stage) -> None:
    folder = finished.root / "progress"
    for name in ("scoreboard.json", "trends.json"):
        json.loads((folder / name).read_text())
    assert "liar" in (folder / "summary.md").read_text()


def test_replay_tells_a_run_a_task_and_an_attempt(finished: Stage) -> None:
    run = finished.call("replay", "--json")
    assert run.data["what"] == "run night"
    assert run.data["agrees"] is True
    told = finished.call("replay", "rework", "--json")
    assert [row["kind"] for row in told.data["story"]].count("attempt") == 2
    attempt = next(e["body"]["attempt_id"] for e in finished.entries() if e["kind"] == "attempt")
    one = finished.call("replay", attempt, "--json")
    assert {row["task"] for row in one.data["story"]} == {"one"}
    assert finished.call("replay", "nowhere").code == 5


def test_replay_gives_the_events_that_the_session_log_holds(finished: Stage) -> None:
    done = finished.call("replay", "night", "--output", "jsonl")
    lines = [json.loads(line) for line in done.out.splitlines()]
    assert all(tuple(event) == KEYS for event in lines)
    log = (finished.root / "progress/sessions/night.jsonl").read_text().splitlines()
    assert lines == [json.loads(line) for line in log]
    accepted = next(event for event in lines if event["event"] == "accept")
    assert (accepted["task_id"], accepted["from"], accepted["to"]) == (
        "one",
        "in_review",
        "completed",
    )
    assert accepted["attempt"] == "R0S0"


def test_an_untouched_project_verifies(finished: Stage) -> None:
    done = finished.call("verify", "--json")
    assert done.code == 0, done.out
    assert done.envelope["ok"] is True
    assert done.data["evidence"] > 0


def _edit_events(stage: Stage) -> None:
    path = stage.root / "workflow/acceptance/events.jsonl"
    path.write_text(path.read_text().replace('"SCOPE_VIOLATION"', '"PASS_ALL_CRITERIA"'))


def _drop_the_tail(stage: Stage) -> None:
    path = stage.root / "workflow/acceptance/events.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-3]))


def _remove_the_ledger(stage: Stage) -> None:
    (stage.root / "workflow/acceptance/events.jsonl").unlink()


def _remove_the_record(stage: Stage) -> None:
    shutil.rmtree(stage.root / "workflow")


def _edit_evidence(stage: Stage) -> None:
    path = next((stage.root / ".artifacts").rglob("review.json"))
    path.write_text(path.read_text().replace("refused", "accepted") + " ")


def _remove_evidence(stage: Stage) -> None:
    next((stage.root / ".artifacts").rglob("review.json")).unlink()


def _edit_state(stage: Stage) -> None:
    with sqlite3.connect(stage.root / "progress/state.db") as db:
        db.execute("UPDATE task SET state = 'completed' WHERE task_key = 'liar'")
    db.close()


def _remove_task(stage: Stage) -> None:
    with sqlite3.connect(stage.root / "progress/state.db") as db:
        db.execute("DELETE FROM task WHERE task_key = 'liar'")
    db.close()


def _edit_stored_line(stage: Stage) -> None:
    with sqlite3.connect(stage.root / "progress/state.db") as db:
        db.execute("UPDATE ledger SET line = replace(line, 'NO_CHANGE', 'NO_CHANCE')")
    db.close()


def _forget_attempts(stage: Stage) -> None:
    change = "UPDATE task SET journey = replace(journey, '\"dispatches\": 2', '\"dispatches\": 0')"
    with sqlite3.connect(stage.root / "progress/state.db") as db:
        db.execute(change)
    db.close()


@pytest.mark.parametrize(
    ("tamper", "rule"),
    [
        (_edit_events, "store.line"),
        (_drop_the_tail, "store.line"),
        (_remove_the_ledger, "store.no_file"),
        (_remove_the_record, "store.no_file"),
        (_edit_evidence, "evidence.file"),
        (_remove_evidence, "evidence.file"),
        (_edit_state, "replay.state"),
        (_forget_attempts, "replay.state"),
        (_remove_task, "replay.state"),
        (_edit_stored_line, "store.line"),
    ],
)
def test_tampering_is_noticed_and_named(spoilt: Stage, tamper: object, rule: str) -> None:
    assert callable(tamper)
    tamper(spoilt)
    done = spoilt.call("verify", "--json")
    assert done.code == 1, done.out
    assert done.envelope["ok"] is False
    assert rule in {row["rule"] for row in done.data["findings"]}


def test_a_record_that_nobody_wrote_yet_is_not_called_broken(stage: Stage) -> None:
    stage.call("init")
    done = stage.call("verify", "--json")
    assert done.code == 5
    assert "nothing is recorded yet" in done.out


def test_an_edited_state_is_noticed_by_replay(spoilt: Stage) -> None:
    _edit_state(spoilt)
    done = spoilt.call("replay")
    assert done.code == 1
    assert "DIFFERS: liar: entries say failed, the store says completed" in done.out


def test_a_key_that_is_not_there_is_told(finished: Stage) -> None:
    done = finished.call("verify", "--public-key", "nowhere.vkey")
    assert done.code == 2
    assert "nowhere.vkey" in done.err


def test_a_run_id_is_used_once(spoilt: Stage) -> None:
    done = spoilt.call("run-campaign", "--run-id", "night")
    assert done.code == 6
    assert "night" in done.err


def test_a_drained_queue_is_an_empty_campaign_and_nothing_for_a_cycle(stage: Stage) -> None:
    stage.queue()
    campaign = stage.call("run-campaign", "--json")
    assert campaign.code == 0
    assert campaign.data["cycles_run"] == 0
    assert stage.call("run-cycle").code == 5
    assert stage.call("prepare-next").code == 5


def test_prepare_next_names_the_task_and_claims_nothing(stage: Stage) -> None:
    stage.queue("one", "two")
    for _ in range(2):
        done = stage.call("prepare-next", "--json")
        assert done.data["task"] == "one"
    assert done.data["allowed_paths"] == ["src/one.txt"]
    assert stage.states() == {"one": "pending", "two": "pending"}


def test_prepare_next_tells_the_line_of_a_broken_queue(stage: Stage) -> None:
    stage.queue("one").write_text('{"tasks": [{"task_key": "one",}]}')
    done = stage.call("prepare-next")
    assert done.code == 5
    assert "task_queue.json:1:" in done.err


def test_a_cycle_runs_one_task_with_the_pack_that_is_named(stage: Stage) -> None:
    stage.queue("one", {**task("two"), "step_pack": "contracts/nowhere.json"})
    done = stage.call(
        "run-cycle", "--task-key", "two", "--step-pack-file", "contracts/two.json",
        "--run-id", "r1", "--auto-checkpoint", "--rollback-on-fail", "--json",
    )  # fmt: skip
    assert done.code == 0, done.out
    assert (done.data["task"], done.data["state"]) == ("two", "completed")
    assert stage.states() == {"one": "pending", "two": "completed"}


def test_a_refused_cycle_keeps_the_tree_where_that_is_asked(stage: Stage) -> None:
    stage.queue("outside")
    done = stage.call("run-cycle", "--no-rollback-on-fail", "--max-rework-rounds", "0", "--json")
    assert done.code == 1
    assert done.data["rolled_back"] is False
    assert len(done.data["rounds"]) == 1
    assert stage.text("README.md") == "improved\n"


def test_a_worker_that_asks_makes_the_cycle_wait_for_a_person(stage: Stage) -> None:
    stage.queue("asks")
    assert stage.call("run-cycle").code == 4


def test_a_campaign_takes_maps_limits_and_places_from_its_flags(
    stage: Stage, tmp_path: Path
) -> None:
    queue = stage.queue({**task("one"), "step_pack": None}, "two", "three").rename(
        stage.root / "progress/mine.json"
    )
    write(tmp_path / "packs.json", json.dumps({"one": "contracts/one.json"}))
    write(tmp_path / "backends.json", json.dumps({"two": "shim"}))
    done = stage.call(
        "run-campaign", "--queue-path", str(queue), "--progress-dir", str(tmp_path / "progress"),
        "--step-pack-map-file", str(tmp_path / "packs.json"),
        "--worker-backend-map-file", str(tmp_path / "backends.json"),
        "--max-cycles", "2", "--max-stagnant-cycles", "3", "--max-identical-failures", "4",
        "--max-rework-rounds", "0", "--max-runtime-sec", "50", "--max-silence-sec", "50",
        "--max-memory-mb", "512", "--worker-backend", "scripted", "--plain", "--json",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert done.data["stop"] == "max_cycles"
    assert [row["task"] for row in done.data["cycles"]] == ["one", "two"]
    assert (tmp_path / "progress/state.db").exists()
    assert not (stage.root / "progress/state.db").exists()


def test_failures_of_one_kind_stop_the_campaign(stage: Stage) -> None:
    write(stage.root / "contracts/two.json", json.dumps(pack("two", x_scripted={"play": "dies"})))
    write(stage.root / "contracts/one.json", json.dumps(pack("one", x_scripted={"play": "dies"})))
    commit(stage.root)
    stage.queue("one", "two", "three")
    done = stage.call("run-campaign", "--max-identical-failures", "2", "--json")
    assert (done.code, done.data["stop"]) == (1, "identical_failures")
    assert stage.states()["three"] == "pending"


def test_a_worker_that_is_not_there_ends_the_campaign_and_charges_nobody(stage: Stage) -> None:
    stage.queue("one")
    done = stage.call("run-campaign", "--shim", "no-such-program", "--json")
    assert done.code == 7
    assert done.envelope["errors"][0]["code"] == "WorkerError"
    assert done.data["stop"] == "worker_unavailable"
    assert stage.states() == {"one": "pending"}
    (row,) = json.loads(stage.queue_path.read_text())["tasks"]
    assert row.get("attempts", 0) == 0
    assert stage.call("run-campaign").code == 0


def test_a_task_that_a_person_adds_while_the_campaign_runs_is_done_in_it(
    stage: Stage, gate: Gate
) -> None:
    stage.settings(worker={"shim": gate.worker()})
    stage.queue("one")
    with stage.started("run-campaign", "--json") as campaign:
        gate.wait()
        rows = json.loads(stage.queue_path.read_text())["tasks"]
        stage.queue(*rows, "two")
        gate.open(4)
        done = campaign.end()
    assert done.code == 0, done.err
    assert [row["task"] for row in done.data["cycles"]] == ["one", "two"]


def test_a_broken_edit_is_refused_with_its_line_while_the_campaign_goes_on(
    stage: Stage, gate: Gate
) -> None:
    stage.settings(worker={"shim": gate.worker()})
    stage.queue("one", "two")
    with stage.started("run-campaign", "--json") as campaign:
        gate.wait()
        stage.queue_path.write_text('{\n  "schema_version": 1,\n  "tasks": [,]\n}\n')
        gate.open(4)
        done = campaign.end()
    assert done.code == 1
    assert [row["state"] for row in done.data["cycles"]] == ["completed", "completed"]
    assert "task_queue.json:3:" in done.err
    # Their words stay; the view lies beside them until they are mended.
    assert "[,]" in stage.queue_path.read_text()
    assert (stage.root / "progress/task_queue.view.json").exists()


def test_an_edit_by_which_a_worker_widens_its_own_task_is_held_until_a_person_takes_it(
    stage: Stage,
) -> None:
    rows = [task("widens", max_attempts=9), task("two")]
    queue = {"schema_version": 1, "kind": "task_queue", "tasks": rows}
    edits = [
        {"path": "src/widens.txt", "content": "fixed\n"},
        {"path": "progress/task_queue.json", "content": json.dumps(queue)},
    ]
    script = {"play": "honest", "edits": edits}
    write(stage.root / "contracts/widens.json", json.dumps(pack("widens", x_scripted=script)))
    commit(stage.root)
    stage.queue({**rows[0], "max_attempts": 1})
    done = stage.call("run-campaign")
    assert "an edit of the queue is held" in done.err
    assert done.code == 1
    held = min((stage.root / "progress").glob("task_queue.held-*.json"))
    assert json.loads(held.read_text()) == queue
    taken = stage.call("queue-take", held.name, "--json")
    assert taken.code == 0, taken.out
    assert taken.data["added"] == ["two"]
    assert stage.call("run-campaign").code == 0
    assert stage.states()["two"] == "completed"
    stage.assert_verifies()


def test_a_queue_that_is_broken_from_the_start_is_told_in_the_result(tmp_path: Path):
    project = tmp_path / "project"
    (project / "progress").mkdir(parents=True)
    (project / "progress/task_queue.json").write_text('{"tasks": [{"task_key": "A", "titel": 1}]}')
    done = subprocess.run(
        [sys.executable, "-m", "orchestrator", "run-campaign", "--json"],
        cwd=project,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "ORCHESTRATOR_HOME": str(tmp_path / "home"),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    told = json.loads(done.stdout)
    assert done.returncode == 2
    assert (
        "task_queue.json:1:30: tasks.0.titel: unknown key 'titel'"
        in (told["data"]["edits_refused"][0])
    )


def test_a_record_that_was_wiped_with_its_store_is_not_begun_anew_in_silence(stage: Stage):
    (stage.root / "orchestrator.yaml").write_text(
        (stage.root / "orchestrator.yaml").read_text().replace('"project_id"', '"x_project_id"')
    )
    stage.queue("one")
    shutil.rmtree(stage.root / "progress", ignore_errors=True)
    shutil.rmtree(stage.root / "workflow", ignore_errors=True)
    stage.queue("one")
    assert stage.call("run-campaign").code == 0
    shutil.rmtree(stage.root / "progress")
    shutil.rmtree(stage.root / "workflow")
    stage.queue("one")
    again = stage.call("run-campaign")
    assert again.code == 3
    assert "were signed" in again.err
