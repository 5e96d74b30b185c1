"""Everything that is wrong is told at once, in our words, at its line and column."""

from __future__ import annotations

import json

import pytest

from orchestrator.errors import ContractError, ProtocolError
from orchestrator.protocol.reading import (
    digest_of,
    read_intake_task,
    read_rework_pack,
    read_step_pack,
    read_step_result,
)
from tests.unit.protocol.documents import problems, sound, text_of


def test_a_sound_pack_is_read() -> None:
    pack = read_step_pack(text_of(sound()), "pack.json")
    assert pack.gates[0].command_index == 0
    assert pack.acceptance_criteria == pack.AC


def test_a_byte_order_mark_is_skipped_and_part_of_the_digest() -> None:
    data = text_of(sound())
    assert read_step_pack(b"\xef\xbb\xbf" + data, "pack.json") == read_step_pack(data, "pack.json")
    assert digest_of(b"\xef\xbb\xbf" + data) != digest_of(data)


def test_a_wrong_type_is_told_with_both_what_was_expected_and_what_stands_there() -> None:
    pack = sound() | {"runtime_policy": {"timeout_sec": "3600"}}
    assert problems(pack) == [
        'pack.json:34:20: runtime_policy.timeout_sec: expected an integer, got "3600" (a string)'
    ]


def test_an_unknown_key_is_told_with_the_key_that_was_meant() -> None:
    pack = {"alowed_paths": [], **sound()}
    assert problems(pack) == [
        "pack.json:2:3: alowed_paths: unknown key 'alowed_paths', did you mean 'allowed_paths'? "
        "(keys starting with x_ are free)"
    ]


def test_an_unknown_key_deep_inside_is_compared_with_the_keys_of_its_own_object() -> None:
    pack = sound()
    pack["gates"][1]["ownr"] = "worker"
    (line,) = problems(pack)
    assert "gates.1.ownr: unknown key 'ownr', did you mean 'owner'?" in line


def test_a_key_that_nothing_resembles_is_told_with_the_keys_there_are() -> None:
    pack = sound() | {"runtime_policy": {"wibble": 1}}
    (line,) = problems(pack)
    assert "known here: autonomy_level, boundary_level," in line


def test_keys_that_start_with_x_are_free_everywhere_and_written_back() -> None:
    pack = sound() | {"x_team": {"any": [1, None]}}
    pack["gates"][0]["x_note"] = "mine"
    read = read_step_pack(text_of(pack), "pack.json")
    assert read.extensions == {"x_team": {"any": [1, None]}}
    assert json.loads(read.model_dump_json())["gates"][0]["x_note"] == "mine"


def test_extensions_itself_is_no_key_of_the_format() -> None:
    (line,) = problems(sound() | {"extensions": {"x_a": 1}})
    assert "unknown key 'extensions'" in line


def test_all_findings_come_at_once_in_the_order_of_the_file() -> None:
    pack = sound()
    pack["gates"][0] |= {"owner": "wrker", "command_index": 3}
    pack["gates"][1]["gate_id"] = "G1"
    pack |= {"step_id": "../up", "runtime_policy": {"retry": {"max_attempts": 0}}}
    pack |= {"scope": {"allowed_paths": ["lib/**"]}, "objektive": "x"}
    del pack["task_id"]
    told = problems(pack)
    assert [line.split(": ")[1] for line in told] == [
        "task_id",
        "gates.0.owner",
        "gates.0.command_index",
        "gates.1.gate_id",
        "runtime_policy.retry.max_attempts",
        "step_id",
        "scope.allowed_paths",
        "objektive",
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"objective": ""}, "must not be empty"),
        ({"objective": None}, "expected a string, got null"),
        ({"allowed_paths": "src"}, 'expected a list, got "src" (a string)'),
        ({"allowed_paths": {"a": 1}}, "expected a list, got an object"),
        ({"red_first": 1}, "expected true or false, got 1 (an integer)"),
        ({"runtime_policy": []}, "expected an object with keys, got a list"),
        ({"runtime_policy": {"timeout_sec": 1.0}}, "expected an integer, got 1.0 (a number)"),
        ({"runtime_policy": {"timeout_sec": True}}, "expected an integer, got true (a boolean)"),
        ({"runtime_policy": {"timeout_sec": 0}}, "must be at least 1, got 0 (an integer)"),
        ({"runtime_policy": {"retry": {"max_attempts": 101}}}, "must be at most 100, got 101"),
        ({"step_pack_version": "2.0"}, "expected '1.0', got \"2.0\" (a string)"),
        ({"task_id": "a/b"}, "expected letters, digits, '.', '_' and '-'"),
        ({"task_kind": "stpe"}, "expected 'step', got \"stpe\" (a string); did you mean 'step'?"),
    ],
)
def test_each_wrong_value_is_told_in_plain_words(change: dict[str, object], message: str) -> None:
    (line,) = problems(sound() | change)
    assert message in line


def test_a_version_that_is_true_is_not_the_version_one() -> None:
    with pytest.raises(ContractError):
        read_step_pack(text_of(sound() | {"step_pack_version": True}), "pack.json")


def test_a_value_that_would_break_the_line_is_shown_in_one_line() -> None:
    (line,) = problems(sound() | {"task_id": "a\nb\x1b[31m" + "c" * 200})
    assert "\x1b" not in line
    assert len(line) < 250


def test_a_flood_of_problems_is_cut_and_the_rest_is_counted() -> None:
    told = problems({f"k{i}": i for i in range(1_500)})
    assert len(told) == 1_001
    assert told[-1].endswith("(more): 503 more problems from here on")


def test_what_a_worker_sends_is_a_broken_wire_format_and_not_a_persons_fault() -> None:
    with pytest.raises(ProtocolError) as refused:
        read_step_result(b'{"task_id": "T-1", "result": "DONE"}', "answer.json")
    assert refused.value.problems == (
        "answer.json:1:30: result: expected 'PASS', 'FAIL', 'REWORK' or 'BLOCKED', "
        'got "DONE" (a string)',
    )


def test_both_names_of_seed_004_are_read_and_one_is_written() -> None:
    data = b'{"task_id": "T-1", "verdict": "PASS", "changed_files": ["a"]}'
    result = read_step_result(data, "answer.json")
    assert (result.result, result.files_changed) == ("PASS", ("a",))
    assert "verdict" not in result.model_dump()


def test_two_names_with_different_values_are_refused_at_the_second() -> None:
    data = b'{"task_id": "T-1", "result": "PASS", "verdict": "FAIL"}'
    with pytest.raises(ProtocolError) as refused:
        read_step_result(data, "answer.json")
    (line,) = refused.value.problems
    assert line.startswith("answer.json:1:38: verdict: means the same as 'result'")
    assert line.endswith("(result is at 1:20)")


def test_a_wrong_value_under_the_other_name_is_told_under_that_name() -> None:
    data = b'{"task_id": "T-1", "verdict": "PASSED", "changed_files": [1]}'
    with pytest.raises(ProtocolError) as refused:
        read_step_result(data, "answer.json")
    assert [line.split(": ")[1] for line in refused.value.problems] == [
        "verdict",
        "changed_files.0",
    ]


def test_a_rework_pack_and_an_intake_task_are_read_too() -> None:
    rework = read_rework_pack(b'{"task_id": "T-1", "step_id": "S1"}', "rework.json")
    assert rework.rework_policy.no_new_scope
    assert read_intake_task(b"task_title: no\nsteps: [on]\n", "task.yaml").steps == ("on",)
