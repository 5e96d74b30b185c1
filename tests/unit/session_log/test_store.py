"""A run's events, in the form that machines may rely on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.session_log.store import KEYS, SessionLog, event_of, render_event
from tests.unit.engine.world import WRONG, World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    made.queue("T-1")
    made.play(WRONG)
    made.engine().run_campaign(run_id="night")
    yield made
    made.close()


def test_every_event_has_every_key_in_the_same_order(world: World) -> None:
    events = list(world.sessions.events("night"))
    assert events
    assert all(tuple(event) == KEYS for event in events)
    assert {event["run_id"] for event in events} == {"night"}


def test_an_attempt_has_its_number_its_reason_and_the_facts(world: World) -> None:
    attempts = [event for event in world.sessions.events("night") if event["kind"] == "attempt"]
    assert [event["attempt"] for event in attempts] == ["R0S0", "R1S0"]
    assert [event["event"] for event in attempts] == ["order_rework", "fail"]
    assert attempts[0]["reason"] == "COMMAND_FAILED"
    assert attempts[0]["detail"]["evidence"]


def test_events_come_in_the_order_of_the_ledger(world: World) -> None:
    seqs = [event["seq"] for event in world.sessions.events("night")]
    assert seqs == sorted(seqs)
    assert len(set(seqs)) == len(seqs)


def test_a_run_that_nobody_made_has_no_events(world: World) -> None:
    assert list(world.sessions.events("nowhere")) == []


def test_a_file_holds_one_object_a_line_and_writing_again_changes_nothing(
    world: World, tmp_path: Path
) -> None:
    log = SessionLog(world.store.ledger, tmp_path / "sessions")
    first = log.write("night").read_bytes()
    assert [json.loads(line) for line in first.splitlines()] == list(log.events("night"))
    assert log.write("night", tmp_path / "copy.jsonl").read_bytes() == first


def test_a_line_break_in_a_text_does_not_break_the_line() -> None:
    entry = {"at": "t", "seq": 1, "task_id": "", "kind": "note", "body": {"text": "a\nb\u2028"}}
    assert render_event(event_of(entry)).count(b"\n") == 1
