"""Ends that nobody planned: kill -9, Ctrl-C, SIGTERM, a second controller."""

from __future__ import annotations

import json
import os
import random
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.stage import Gate, Stage, commit, marked_processes, pack, write

pytestmark = [pytest.mark.slow, pytest.mark.linux]


@pytest.fixture(autouse=True)
def _no_orphan_is_left(stage: Stage, gate: Gate) -> Iterator[None]:
    yield
    assert orphans_of(stage) == []


def gated_worker(stage: Stage, gate: Gate) -> None:
    stage.settings(worker={"shim": gate.worker()})


def gated_check(stage: Stage, gate: Gate, *names: str) -> None:
    """Put the gate into the checks that the controller runs itself."""
    for name in names:
        command = f"sh checks/gated.sh {gate.folder} src/{name}.txt"
        text = json.dumps(pack(name, commands_to_run=[command]))
        write(stage.root / f"contracts/{name}.json", text)
    commit(stage.root)


def orphans_of(stage: Stage) -> list[int]:
    """Give the marked processes that work in this project."""
    found = []
    for number in marked_processes():
        try:
            place = str(Path(f"/proc/{number}/cwd").readlink())
        except OSError:
            continue
        if place.startswith((str(stage.root), str(stage.home))):
            found.append(number)
    return found


def assert_nothing_lost(stage: Stage, *names: str) -> None:
    """Every task is completed once, and ledger, tree and store agree."""
    assert stage.states() == dict.fromkeys(names, "completed")
    closed = [entry["task_id"] for entry in stage.entries() if entry["kind"] == "close"]
    assert sorted(closed) == sorted(names)
    assert all(stage.text(f"src/{name}.txt") == "fixed\n" for name in names)
    stage.assert_verifies()
    assert stage.call("replay").code == 0
    assert orphans_of(stage) == []


def test_a_kill_while_the_worker_runs_loses_nothing(stage: Stage, gate: Gate) -> None:
    gated_worker(stage, gate)
    stage.queue("one", "two")
    with stage.started("run-campaign") as campaign:
        gate.wait()
        campaign.signal(signal.SIGKILL)
    assert orphans_of(stage), "the worker should have outlived its controller"
    assert "died" in stage.call("status").out

    with stage.started("run-campaign", "--json") as campaign:
        gate.wait()  # the new worker; the old one waits still, or is gone
        gate.open(8)
        again = campaign.end()
    assert "a run had died" in again.err
    recovered = again.data["recovered"]
    assert recovered["interrupted"] == ["one"]
    assert recovered["processes_killed"] >= 1
    assert_nothing_lost(stage, "one", "two")
    interrupted = [e for e in stage.entries() if e["body"].get("result") == "interrupted"]
    assert [(e["body"]["r"], e["body"]["s"]) for e in interrupted] == [(0, 0)]


def test_a_kill_while_the_checks_run_loses_nothing(stage: Stage, gate: Gate) -> None:
    gated_check(stage, gate, "one", "two")
    stage.queue("one", "two")
    with stage.started("run-campaign") as campaign:
        gate.wait()
        campaign.signal(signal.SIGKILL)
    assert stage.text("src/one.txt") == "fixed\n"  # the worker had done its work

    gate.open(16)
    again = stage.call("run-campaign", "--json")
    assert again.data["recovered"]["interrupted"] == ["one"]
    assert_nothing_lost(stage, "one", "two")


def test_work_that_a_kill_left_half_done_is_rolled_back_before_anything_new(
    stage: Stage, gate: Gate
) -> None:
    gated_check(stage, gate, "one")
    stage.queue("one")
    before = stage.tree()
    with stage.started("run-campaign") as campaign:
        gate.wait()
        campaign.signal(signal.SIGKILL)
    assert stage.tree() != before
    # The next run repairs, and takes nothing: this key is not in the queue.
    assert stage.call("run-cycle", "--task-key", "nobody").code == 5
    assert stage.tree() == before
    assert stage.states() == {"one": "pending"}
    stage.assert_verifies()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_kill_at_any_instant_loses_nothing(stage: Stage, seed: int) -> None:
    names = ("one", "two", "rework")
    stage.queue(*names)
    instants = ("claimed", "accepted", "rework claimed", "refused")
    chosen = random.Random(seed)
    for _ in range(2):
        with stage.started("run-campaign") as campaign:
            part = chosen.choice(instants)
            try:
                campaign.wait_for_line(part)
            except AssertionError:
                break  # it was through before that
            threading.Event().wait(chosen.random() / 5)
            campaign.signal(signal.SIGKILL)
    done = stage.call("run-campaign")
    assert done.code == 0, done.err
    assert_nothing_lost(stage, *names)


def test_a_kill_does_not_make_the_record_look_tampered_with(stage: Stage, gate: Gate) -> None:
    stage.queue("one", "two")
    assert stage.call("run-cycle").code == 0
    gated_worker(stage, gate)
    with stage.started("run-campaign") as campaign:
        gate.wait()
        meanwhile = stage.call("verify", "--json")
        campaign.signal(signal.SIGKILL)
    for done in (meanwhile, stage.call("verify", "--json")):
        assert done.code == 0, done.out
        assert {row["rule"] for row in done.data["findings"]} <= {"store.behind"}
    gate.open(8)
    assert stage.call("run-campaign").code == 0
    stage.assert_verifies()


def test_a_second_repair_finds_nothing_to_do(stage: Stage, gate: Gate) -> None:
    gated_worker(stage, gate)
    stage.queue("one")
    with stage.started("run-campaign") as campaign:
        gate.wait()
        campaign.signal(signal.SIGKILL)
    gate.open(8)
    assert stage.call("run-campaign").code == 0
    again = stage.call("run-campaign", "--json")
    assert again.data["recovered"] == {
        "dead_runs": [],
        "interrupted": [],
        "processes_killed": 0,
        "effects_done": 0,
    }
    assert "died" not in again.err


def test_a_queue_edit_of_a_worker_that_outlived_its_controller_is_held(
    stage: Stage, gate: Gate
) -> None:
    gated_worker(stage, gate)
    stage.queue("one")
    with stage.started("run-campaign") as campaign:
        gate.wait()
        campaign.signal(signal.SIGKILL)
    stage.queue({**json.loads(stage.queue_path.read_text())["tasks"][0], "max_attempts": 99})
    with stage.started("run-campaign") as campaign:
        gate.wait()
        gate.open(8)
        again = campaign.end()
    assert "an edit of the queue is held" in again.err
    assert list((stage.root / "progress").glob("task_queue.held-*.json"))
    assert "99" not in stage.queue_path.read_text()


def test_a_killed_single_step_leaves_no_worker_and_its_attempt_is_closed(
    stage: Stage, gate: Gate
) -> None:
    gated_worker(stage, gate)
    with stage.started("dispatch-step", "--step-pack-file", "contracts/one.json") as step:
        gate.wait()
        step.signal(signal.SIGKILL)
    assert orphans_of(stage)
    with stage.started("dispatch-step", "--step-pack-file", "contracts/one.json", "--json") as step:
        gate.wait()
        gate.open(8)
        again = step.end()
    assert again.code == 0, again.err
    assert again.data["round"] == "R0S1"
    results = [e["body"]["result"] for e in stage.entries() if e["kind"] == "attempt"]
    assert results == ["interrupted", "claimed PASS"]
    assert orphans_of(stage) == []
    stage.assert_verifies()


def test_a_second_controller_is_turned_away_and_changes_nothing(stage: Stage, gate: Gate) -> None:
    gated_worker(stage, gate)
    stage.queue("one")
    with stage.started("run-campaign") as campaign:
        gate.wait()
        for command in (
            ("run-campaign",),
            ("run-cycle",),
            ("dispatch-step", "--step-pack-file", "contracts/two.json"),
            ("checkpoint-create", "--task-key", "one"),
        ):
            second = stage.call(*command, "--json")
            assert second.code == 75, second.out
            assert second.envelope["errors"][0]["code"] == "LeaseHeld"
        assert "runs" in stage.call("status").out
        gate.open(4)
        assert campaign.end().code == 0
    assert_nothing_lost(stage, "one")


def test_the_first_ctrl_c_lets_the_task_finish_and_stops(stage: Stage, gate: Gate) -> None:
    gated_worker(stage, gate)
    stage.queue("one", "two")
    with stage.started("run-campaign", "--json") as campaign:
        gate.wait()
        os.killpg(campaign.process.pid, signal.SIGINT)  # as a terminal does
        assert "finishing the present task" in campaign.wait_for_line("finishing")
        gate.open(4)
        done = campaign.end()
    assert done.code == 130
    assert done.envelope["ok"] is False
    assert done.data["stop"] == "interrupted"
    assert stage.states() == {"one": "completed", "two": "pending"}
    stage.assert_verifies()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_second_signal_ends_the_worker_and_rolls_back_uncharged(
    stage: Stage, gate: Gate, number: signal.Signals, code: int
) -> None:
    gated_check(stage, gate, "one")  # the worker's changes are there already
    stage.queue("one")
    before = stage.tree()
    with stage.started("run-campaign") as campaign:
        gate.wait()
        campaign.signal(number)
        campaign.wait_for_line("finishing")
        campaign.signal(number)
        done = campaign.end()
    assert done.code == code
    assert stage.tree() == before
    assert stage.states() == {"one": "pending"}
    (row,) = json.loads(stage.queue_path.read_text())["tasks"]
    assert row.get("attempts", 0) == 0
    stage.assert_verifies()


def test_the_second_ctrl_c_ends_a_worker_that_waits(stage: Stage, gate: Gate) -> None:
    gated_worker(stage, gate)
    stage.queue("one")
    with stage.started("run-cycle", "--json") as cycle:
        gate.wait()
        cycle.signal(signal.SIGINT)
        cycle.wait_for_line("finishing")
        cycle.signal(signal.SIGINT)
        done = cycle.end()
    assert done.code == 130
    assert done.data["reason"] == "INTERRUPTED"
    assert orphans_of(stage) == []
    assert stage.states() == {"one": "pending"}


def test_sigterm_lets_the_task_finish_and_has_its_own_code(stage: Stage, gate: Gate) -> None:
    gated_worker(stage, gate)
    stage.queue("one", "two")
    with stage.started("run-campaign") as campaign:
        gate.wait()
        campaign.signal(signal.SIGTERM)
        campaign.wait_for_line("finishing")
        gate.open(4)
        assert campaign.end().code == 143
    assert stage.states() == {"one": "completed", "two": "pending"}


def test_each_run_leaves_its_events_also_one_that_died(stage: Stage, gate: Gate) -> None:
    gated_worker(stage, gate)
    stage.queue("one")
    with stage.started("run-campaign", "--run-id", "first") as campaign:
        gate.wait()
        campaign.signal(signal.SIGKILL)
    gate.open(8)
    stage.call("run-campaign", "--run-id", "second")
    files = {path.name: _events(path) for path in (stage.root / "progress/sessions").iterdir()}
    assert sorted(files) == ["first.jsonl", "second.jsonl"]
    assert files["first.jsonl"][-1] == "dispatch"
    assert {"recovery", "interrupt", "accept", "run_ended"} <= set(files["second.jsonl"])


def _events(path: Path) -> list[str]:
    return [json.loads(line)["event"] for line in path.read_text().splitlines()]
