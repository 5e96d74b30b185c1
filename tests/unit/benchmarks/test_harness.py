"""The harness runs and gives well-formed rows; how long things take is no matter of tests."""

from __future__ import annotations

import json

import pytest

from benchmarks import __main__ as program
from benchmarks.rows import Row, Scale, row, table

TINY = Scale(cycles=5, queues=(8, 12), moves=3, entries=40, starts=1, tasks=8)
COUNTS = {"cycle.commits", "cycle.fsyncs", "cycle.git", "cycle.statements"}


@pytest.mark.slow
@pytest.mark.linux
def test_every_group_gives_well_formed_rows() -> None:
    rows = program.measure(list(program.GROUPS), TINY)
    assert {item.name.partition(".")[0] for item in rows} == set(program.GROUPS)
    assert len({item.name for item in rows}) == len(rows)
    for item in rows:
        assert 0 <= item.p50 <= item.p95
        assert item.n > 0
        assert (item.floor is None) == (item.ratio is None)
    assert {item.name for item in rows} >= COUNTS
    assert json.loads(json.dumps([item.as_dict() for item in rows]))[0]["name"] == "floor.spawn"


def test_a_row_has_the_median_and_the_ratio_to_the_floor() -> None:
    assert row("a", [3.0, 1.0, 2.0], "ms", floor=0.5) == Row("a", 2.0, 3.0, "ms", 3, 0.5, 4.0)


def test_a_row_without_samples_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="a: nothing was measured"):
        row("a", [], "ms")


def test_a_table_shows_each_row_in_a_line() -> None:
    lines = table([row("a.b", [1.0], "ms"), row("c", [2.5], "s", floor=1.25)]).splitlines()
    assert lines[0].split() == ["name", "p50", "p95", "unit", "n", "floor", "ratio"]
    assert lines[1].split() == ["a.b", "1", "1", "ms", "1"]
    assert lines[2].split() == ["c", "2.5", "2.5", "s", "1", "1.25", "2"]


def test_an_unknown_name_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        program.main(["cycles"])
    assert ended.value.code == 2
    assert "known: floor, cycle" in capsys.readouterr().err
