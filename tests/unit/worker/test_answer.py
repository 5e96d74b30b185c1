"""Every form of an answer that is read, and every attack on the reading that is refused."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.worker.answer import Answer, Identity, parse_answer

IDENTITY = Identity("T-1", "S1", "run-1", "A_1")

RESULT: dict[str, object] = {
    "task_id": "T-1",
    "run_id": "run-1",
    "step_id": "S1",
    "attempt_id": "A_1",
    "result": "PASS",
    "reason_code": "PASS_ALL_CRITERIA",
    "files_changed": ["src/slug.py"],
    "commands_executed": [{"command": "true", "exit_code": 0}],
    "verification_results": [{"criteria": "AC1: works", "met": True}],
}

SECTIONED = """\
I did the work.

## 1. Step Identification
- Task ID: T-1
- **Run ID**: `run-1`
- Step ID: S1
- Result: PASS
- Reason code: PASS_ALL_CRITERIA

## 2. Summary of Work
Fixed the slug.

## 3. Files Changed
- `src/slug.py`
- tests/new.py

## 4. Commands Executed
- `python3 -m unittest tests.test_slug` exit code: 0, evidence: `.artifacts/agent_runs/run-1/a.txt`
- `false` exit 1

## 5. Verification Results
- AC1: works => met, evidence: `.artifacts/agent_runs/run-1/a.txt`
- AC2: is fast => not met

## 6. Logs / Artifacts
- AC1: `.artifacts/agent_runs/run-1/a.txt`

## 7. Risks & Limitations
- None

## 8. Reproduction Guide
Run the tests.
"""


def read(text: str | bytes, *, thread_id: str | None = None) -> Answer:
    data = text.encode() if isinstance(text, str) else text
    answer = parse_answer(data, IDENTITY, thread_id=thread_id)
    assert (answer.result is None) != (answer.error is None)
    return answer


def refused(text: str | bytes, reason: str) -> Answer:
    answer = read(text)
    assert answer.result is None
    assert answer.error is not None
    assert reason in answer.error
    return answer


def one_line(**changes: object) -> str:
    return json.dumps({**RESULT, **changes})


def block(**changes: object) -> str:
    return f"```json\n{json.dumps({**RESULT, **changes}, indent=2)}\n```\n"


# What is read


def test_a_bare_object_is_read() -> None:
    answer = read(one_line(thread_id="th-1"))
    assert answer.result is not None
    assert answer.result.files_changed == ("src/slug.py",)
    assert (answer.form, answer.thread_id) == ("result", "th-1")


def test_the_other_names_of_seed_004_are_read() -> None:
    claim = {key: value for key, value in RESULT.items() if key not in {"result", "files_changed"}}
    answer = read(json.dumps({**claim, "verdict": "FAIL", "changed_files": ["a"]}))
    assert answer.result is not None
    assert (answer.result.result, answer.result.files_changed) == ("FAIL", ("a",))


def test_a_wrapper_is_read_with_its_thread() -> None:
    answer = read(json.dumps({"step_result": RESULT, "thread_id": "th-2", "model": "m"}))
    assert answer.result is not None
    assert (answer.form, answer.thread_id) == ("wrapper", "th-2")


@pytest.mark.parametrize("inner", [one_line(), "Done.\n\n" + block(), SECTIONED])
def test_the_compact_form_of_the_shim_is_read(inner: str) -> None:
    answer = read(json.dumps({"thread_id": "th-3", "model": None, "output_text": inner}))
    assert answer.result is not None
    assert (answer.form, answer.thread_id) == ("compact", "th-3")


def test_the_result_of_claude_is_read() -> None:
    said = {"type": "result", "subtype": "success", "is_error": False, "session_id": "s-1"}
    answer = read(json.dumps({**said, "result": block()}))
    assert answer.result is not None
    assert (answer.form, answer.thread_id) == ("claude", "s-1")
    structured = read(json.dumps({**said, "result": "done", "structured_output": RESULT}))
    assert structured.result is not None


def test_the_stream_of_claude_is_read_by_its_last_line() -> None:
    lines = [
        {"type": "system", "subtype": "init", "session_id": "s-1"},
        {"type": "result", "subtype": "success", "is_error": False, "result": one_line()},
    ]
    assert read("\n".join(json.dumps(line) for line in lines)).result is not None


def codex(*items: str, end: str = "turn.completed") -> str:
    events: list[dict[str, object]] = [{"type": "thread.started", "thread_id": "th-4"}]
    events += [
        {"type": "item.completed", "item": {"id": f"item_{n}", "type": "agent_message", "text": t}}
        for n, t in enumerate(items)
    ]
    return "\n".join(json.dumps(event) for event in [*events, {"type": end}])


def test_the_events_of_codex_are_read() -> None:
    answer = read(codex("I will begin.", block()))
    assert answer.result is not None
    assert (answer.form, answer.thread_id) == ("codex", "th-4")


def transcript(*items: str) -> str:
    head = json.dumps({"type": "thread.started", "thread_id": "th-5"})
    return "\n".join([head, *(f"item_{n}:{text}\n..." for n, text in enumerate(items))])


@pytest.mark.parametrize("inner", [one_line(), block(), SECTIONED])
def test_the_transcript_of_the_shim_is_read(inner: str) -> None:
    answer = read(transcript("I will begin.", inner))
    assert answer.error is None
    assert (answer.form, answer.thread_id) == ("transcript", "th-5")


def test_one_json_block_in_prose_is_read() -> None:
    other = '```json\n{"name": "a config that the work shows"}\n```\n'
    answer = read(f"Done.\n\n{other}\n{block()}\nBye.\n")
    assert answer.result is not None
    assert answer.form == "text"


def test_the_eight_sections_are_read() -> None:
    answer = read(SECTIONED)
    assert answer.error is None
    result = answer.result
    assert result is not None
    assert result.summary == "Fixed the slug."
    assert result.files_changed == ("src/slug.py", "tests/new.py")
    assert [(c.exit_code, c.evidence_path) for c in result.commands_executed] == [
        (0, ".artifacts/agent_runs/run-1/a.txt"),
        (1, ""),
    ]
    assert [(c.criteria, c.met) for c in result.verification_results] == [
        ("AC1: works", True),
        ("AC2: is fast", False),
    ]
    assert result.evidence_map == {"AC1": (".artifacts/agent_runs/run-1/a.txt",)}
    assert result.risks == ()


def test_sections_may_be_a_numbered_list_or_bold_lines() -> None:
    numbered = "\n".join(
        line.removeprefix("## ") if line.startswith("## ") else f"   {line}".rstrip()
        for line in SECTIONED.splitlines()[2:]
    )
    bold = "\n".join(
        f"**{line.removeprefix('## ')}**" if line.startswith("## ") else line
        for line in SECTIONED.splitlines()
    )
    expected = read(SECTIONED).result
    assert read(numbered).result == expected
    assert read(bold).result == expected


def test_colours_and_windows_line_ends_do_not_matter() -> None:
    coloured = SECTIONED.replace("Done", "\x1b[1;32mDone\x1b[0m").replace("\n", "\r\n")
    assert read(coloured).error is None
    assert read("\ufeff" + one_line()).error is None


def test_the_thread_that_was_resumed_is_kept() -> None:
    assert read("garbage", thread_id="th-9").thread_id == "th-9"
    assert read(one_line(), thread_id="th-9").thread_id == "th-9"


def test_the_thread_is_known_even_without_a_result() -> None:
    assert read(codex("I gave up.")).thread_id == "th-4"


# Two results


def test_two_objects_are_refused() -> None:
    refused(one_line() + "\n" + one_line(result="FAIL"), "two results")
    refused(one_line() + one_line(), "two results")


def test_two_json_blocks_are_refused() -> None:
    refused(block() + "\n" + block(result="FAIL"), "two results")


def test_two_equal_json_blocks_are_refused_too() -> None:
    refused(block() + "\n" + block(), "two results")


def test_a_result_in_an_earlier_message_and_another_in_the_last_are_refused() -> None:
    refused(codex(block(), block(result="FAIL")), "two results")
    refused(transcript(block(), one_line(result="FAIL")), "two results")


def test_sections_and_a_json_block_are_refused() -> None:
    refused(SECTIONED + "\n" + block(), "two results")


def test_a_repeated_section_is_refused() -> None:
    refused(SECTIONED + "\n## 8. Reproduction Guide\nagain\n", "stands twice")


def test_a_wrapper_with_a_result_and_a_text_is_refused() -> None:
    refused(json.dumps({"step_result": RESULT, "output_text": one_line()}), "two results")


def test_two_result_events_are_refused() -> None:
    said = {"type": "result", "subtype": "success", "is_error": False, "result": one_line()}
    refused(json.dumps(said) + "\n" + json.dumps(said), "two results")


# Fakes


def test_a_result_in_a_quotation_is_not_the_answer() -> None:
    quoted = "".join(f"> {line}\n" for line in block().splitlines())
    refused(f"The file says:\n\n{quoted}", "no StepResult")
    assert read(f"{quoted}\n{block(result='FAIL')}").result is not None


def test_a_result_in_a_list_is_not_the_answer() -> None:
    indented = "".join(f"  {line}\n" for line in block().splitlines())
    refused(f"- the log:\n\n{indented}", "no StepResult")


def test_a_result_inside_another_fence_is_not_the_answer() -> None:
    refused(f"````markdown\n{block()}````\n", "no StepResult")


def test_a_result_in_a_comment_is_not_the_answer() -> None:
    refused(f"<!--\n{block()}-->\n", "no StepResult")


def test_a_result_in_indented_code_is_not_the_answer() -> None:
    indented = "".join(f"    {line}\n" for line in block().splitlines())
    refused(f"Log:\n\n{indented}", "no StepResult")


def test_a_result_in_a_fence_without_json_is_not_the_answer() -> None:
    refused(block().replace("```json", "```"), "no StepResult")


def test_section_titles_in_a_code_block_are_no_sections() -> None:
    refused(f"````\n{SECTIONED}````\n", "no StepResult")
    fenced = SECTIONED.replace("## 6. Logs / Artifacts", "```\n## 6. Logs / Artifacts\n```")
    refused(fenced, "section missing: Logs / Artifacts")


def test_items_quoted_inside_a_section_do_not_count() -> None:
    quoted = SECTIONED.replace("- AC2: is fast => not met", "\n> - AC2: is fast => met")
    answer = read(quoted)
    assert answer.result is not None
    assert [claim.criteria for claim in answer.result.verification_results] == ["AC1: works"]


def test_an_answer_to_another_task_is_refused() -> None:
    refused(one_line(task_id="T-2"), "task_id 'T-2', expected 'T-1'")
    refused(one_line(step_id="S2"), "step_id 'S2', expected 'S1'")
    refused(one_line(run_id="run-0"), "run_id 'run-0', expected 'run-1'")
    refused(one_line(attempt_id="A_0"), "attempt_id 'A_0', expected 'A_1'")
    refused(SECTIONED.replace("Task ID: T-1", "Task ID: T-2"), "task_id 'T-2'")


def test_an_answer_without_run_and_attempt_is_accepted() -> None:
    claim = {key: RESULT[key] for key in ("task_id", "step_id", "result")}
    assert read(json.dumps(claim)).error is None


def test_an_agent_that_reports_an_error_has_no_answer() -> None:
    said = {"type": "result", "subtype": "success", "is_error": True, "result": one_line()}
    refused(json.dumps(said), "reports an error")
    refused(json.dumps({**said, "is_error": False, "subtype": "error_max_turns"}), "max_turns")


@pytest.mark.parametrize("end", ["turn.failed", "turn.started", "error"])
def test_an_unfinished_turn_has_no_answer(end: str) -> None:
    refused(codex(block(), end=end), "did not complete")


# Malformed


@pytest.mark.parametrize("name", ["Summary of Work", "Commands Executed", "Reproduction Guide"])
def test_a_missing_section_is_named(name: str) -> None:
    refused(SECTIONED.replace(name, "Something else"), f"section missing: {name}")


def test_sections_out_of_order_are_refused() -> None:
    swapped = SECTIONED.replace("2. Summary of Work", "X").replace("3. Files Changed", "Y")
    swapped = swapped.replace("## X", "## Files Changed").replace("## Y", "## Summary of Work")
    refused(swapped, "section out of order: 'Files Changed'")


def test_an_empty_section_is_refused() -> None:
    refused(SECTIONED.replace("Fixed the slug.\n", ""), "section empty: Summary of Work")


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("- Result: PASS\n", "", "Step Identification: result missing"),
        ("- Result: PASS", "- Result: PASS\n- Verdict: FAIL", "result is given twice"),
        ("- Result: PASS", "- Result: GREAT", "result: Input should be"),
        ("`false` exit 1", "`false` failed", "needs one exit code"),
        ("`false` exit 1", "`false` exit 1, then exit 0", "needs one exit code"),
        ("- `false` exit 1", "- false exit 1", "no command between backquotes"),
        ("=> not met", "=> probably", "needs '=> met'"),
        ("- tests/new.py", "- tests/new.py (new)", "between backquotes"),
        ("- tests/new.py", "\nand some more", "is not a list item"),
    ],
)
def test_a_malformed_section_is_refused_by_name(old: str, new: str, reason: str) -> None:
    assert old in SECTIONED
    refused(SECTIONED.replace(old, new), reason)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "stdout is empty"),
        (" \n\n", "stdout is empty"),
        ("hello", "no StepResult"),
        ("[1, 2]", "no StepResult"),
        ("null", "no StepResult"),
        ('{"task_id": "T-1"}', "result: Field required"),
        (one_line(result="ACCEPTED"), "result: Input should be"),
        (one_line(result=True), "result: Input should be"),
        (one_line(verdict="FAIL"), "hold different values"),
        (one_line(files_changed="src/slug.py"), "files_changed"),
        (one_line(commands_executed=[{"command": "true", "exit_code": "0"}]), "exit_code"),
        (one_line(commands_executed=[{"command": "true", "exit_code": False}]), "exit_code"),
        (one_line(accepted_by_controller=True), "accepted_by_controller"),
        (one_line(task_id="../T-1"), "task_id"),
        (json.dumps({"step_result": [RESULT]}), "not an object"),
    ],
)
def test_what_is_no_step_result_is_refused(text: str, reason: str) -> None:
    refused(text, reason)


def test_duplicate_keys_are_refused() -> None:
    refused(one_line()[:-1] + ', "result": "FAIL"}', "'result' stands twice")
    refused("```json\n" + one_line()[:-1] + ', "result": "FAIL"}\n```', "'result' stands twice")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_numbers_that_json_has_not_are_refused(number: str) -> None:
    refused(one_line()[:-1] + f', "x_cost": {number}}}', f"no number {number}")


def test_deep_nesting_is_refused() -> None:
    deep = "[" * 100_000 + "]" * 100_000
    refused(one_line()[:-1] + f', "x_deep": {deep}}}', "nested deeper")
    refused(one_line(x_deep=json.loads("[" * 70 + "]" * 70)), "nested deeper")


def test_bytes_that_are_not_utf_8_are_refused() -> None:
    refused(b"\xff\xfe" + one_line().encode(), "not UTF-8: byte 0")


def test_a_huge_answer_is_refused() -> None:
    refused(b" " * (16 * 1024 * 1024) + b"{}", "at most")
    refused(one_line(summary="x" * 1024 * 1024), "at most")
    refused("Files changed " * 1024 * 256, "at most")


@pytest.mark.parametrize("code", ["\x1b]0;title\x07", "\x1b[2J", "\x1b[1A", "\x00", "\x08", "\x9b"])
def test_control_characters_are_refused(code: str) -> None:
    refused(f"{code}{one_line()}", "control character")
    refused(one_line(summary=f"done{code}"), "control character")


def test_a_lone_surrogate_is_refused() -> None:
    refused(one_line(summary="\ud800"), "control character U+D800")


@pytest.mark.parametrize("thread", ["--backend=claude", "-x", "a b", "x" * 300, 7, "$(id)"])
def test_a_thread_id_that_is_no_identifier_is_refused(thread: object) -> None:
    refused(json.dumps({"step_result": RESULT, "thread_id": thread}), "thread id")


def test_a_thread_id_inside_that_differs_from_the_one_outside_is_refused() -> None:
    claim = {**RESULT, "thread_id": "th-7"}
    refused(json.dumps({"step_result": claim, "thread_id": "th-8"}), "two thread ids")


@given(st.binary(max_size=400))
def test_no_bytes_raise(data: bytes) -> None:
    answer = parse_answer(data, IDENTITY)
    assert answer.result is None


@given(st.lists(st.sampled_from([*SECTIONED.splitlines(), block(), one_line(), "> ", "- "])))
def test_no_shuffled_answer_raises(parts: list[str]) -> None:
    answer = parse_answer("\n".join(parts).encode(), IDENTITY)
    assert (answer.result is None) != (answer.error is None)
