from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest

from orchestrator.scoreboard.counters import Counters, count_states
from orchestrator.scoreboard.trends import Snapshot
from orchestrator.scoreboard.view import render_json, scoreboard, trends

AT = datetime(2026, 11, 20, 12, 0, tzinfo=timezone(timedelta(hours=2)))


def test_the_scoreboard_tells_counters_and_the_last_selected_task() -> None:
    content = scoreboard(
        count_states(["pending", "completed"]),
        updated_at=AT,
        project="demo",
        last_selected={"task_key": "T-1", "title": "Parse"},
    )
    assert content["schema_version"] == 1
    assert content["kind"] == "scoreboard"
    assert content["updated_at"] == "2026-11-20T10:00:00Z"
    assert content["last_selected"] == {"task_key": "T-1", "title": "Parse"}
    assert content["counters"]["total"] == 2
    assert scoreboard(Counters(), updated_at=AT)["last_selected"] is None


def test_the_trends_tell_by_which_rule_they_were_thinned() -> None:
    content = trends([Snapshot(n, "t", Counters()) for n in range(3)], updated_at=AT)
    assert (content["kind"], content["taken"]) == ("trends", 3)
    assert content["thinning"]["stride_of_older"] == 1
    assert [s["number"] for s in content["snapshots"]] == [0, 1, 2]
    assert trends([], updated_at=AT)["taken"] == 0


def test_equal_content_gives_equal_bytes_whatever_the_order_of_its_keys() -> None:
    assert render_json({"b": 1, "a": "é"}) == render_json({"a": "é", "b": 1})
    assert render_json({"a": "é"}) == '{\n  "a": "é"\n}\n'
    assert json.loads(render_json({"a": "\ud800"}).encode()) == {"a": "?"}


def test_a_number_that_json_does_not_have_is_refused() -> None:
    with pytest.raises(ValueError, match="JSON"):
        render_json({"a": float("nan")})


def test_a_naive_moment_is_refused() -> None:
    with pytest.raises(ValueError, match="aware"):
        scoreboard(Counters(), updated_at=AT.astimezone(UTC).replace(tzinfo=None))
