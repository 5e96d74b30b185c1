"""The queue file: both forms, read task by task, refused with the line of the broken task."""

from __future__ import annotations

import json
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import ContractError
from orchestrator.protocol.queue_text import iter_tasks, read_task_queue
from orchestrator.protocol.reading import read_model
from orchestrator.protocol.task import TaskQueue
from tests.unit.protocol.documents import LINE


def refused(text: str, source: str = "queue.json") -> list[str]:
    with pytest.raises(ContractError) as error:
        read_task_queue(text.encode(), source)
    assert all(LINE.fullmatch(line) for line in error.value.problems)
    return list(error.value.problems)


def test_the_object_form_is_read() -> None:
    text = '{"schema_version": 1, "kind": "task_queue", "tasks": [{"task_key": "a"}], "x_o": 1}'
    queue = read_task_queue(text.encode(), "queue.json")
    assert [task.task_key for task in queue.tasks] == ["a"]
    assert queue.extensions == {"x_o": 1}


def test_a_bare_array_with_the_names_of_seed_004_is_read() -> None:
    text = '[{"task_id": "a", "task_title": "t", "priority": "High"}, {"task_key": "b"}]'
    first, second = read_task_queue(text.encode(), "queue.json").tasks
    assert (first.task_key, first.title, first.priority) == ("a", "t", 1)
    assert second.priority == 2


def test_a_queue_in_yaml_is_read() -> None:
    text = "tasks:\n- task_key: no\n  priority: low\n- task_key: on\n  depends_on: [no]\n"
    assert read_task_queue(text.encode(), "queue.yaml").tasks[1].depends_on == ("no",)


@pytest.mark.parametrize("text", ["[]", "{}", ' {"tasks" : [ ] } '])
def test_an_empty_queue_is_a_queue(text: str) -> None:
    assert read_task_queue(text.encode(), "queue.json").tasks == ()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            '{"tasks": [\n{"task_key": "a"},\n{"task_key": "a"}]}',
            "queue.json:3:1: tasks.1: the task_key 'a' is there twice (the first is at 2:1)",
        ),
        (
            '[{"task_key": "a", "depends_on": ["b", "a"]}]',
            "queue.json:1:40: 0.depends_on.1: the task depends on itself",
        ),
        (
            '[{"task_key": "a", "priorty": 1}]',
            "queue.json:1:20: 0.priorty: unknown key 'priorty', did you mean 'priority'? "
            "(keys starting with x_ are free)",
        ),
        ('[{"task_id": "a/b"}]', "queue.json:1:14: 0.task_id: expected letters, digits,"),
        ('[{"task_id": "a", "task_key": "b"}]', "queue.json:1:3: 0.task_id: means the same as"),
        ('{"task": []}', "queue.json:1:2: task: unknown key 'task', did you mean 'tasks'?"),
        ('{"tasks": {}}', "queue.json:1:11: tasks: expected a list, got an object"),
        ('{"tasks": [], "tasks": []}', "queue.json:1:15: tasks: the key is there twice"),
        (
            '{"schema_version": 2, "tasks": []}',
            "queue.json:1:20: schema_version: expected 1, got 2",
        ),
        ('{"tasks": [],}', "queue.json:1:13: tasks: a comma with nothing after it"),
        ('{"x_a": NaN, "tasks": []}', "queue.json:1:9: x_a: NaN is not a number"),
        ('{"x_a" 1, "tasks": []}', "queue.json:1:8: x_a: expected ':' after the key"),
        ('{"x_a": }, "tasks": []}', "queue.json:1:9: x_a: expected a value, found '}'"),
        ('[{"task_key": "a"},]', "queue.json:1:19: 0: a comma with nothing after it"),
        ('[{"task_key": "a"} {}]', "queue.json:1:20: 0: expected ',' or ']' after this task"),
        ('[{"task_key": "a"}', "queue.json:1:19: 0: the file ends inside the tasks"),
        ('[{"task_key": "a"}] 1', "queue.json:1:21: (top level): the document ended before this"),
        ("[1]", "queue.json:1:2: 0: expected an object with keys, got 1 (an integer)"),
        ("1", "queue.json:1:1: (top level): expected an object with keys, got 1"),
        ("", "queue.json:1:1: (top level): the file is empty"),
        ("[" * 100_000, "nested deeper than 64 levels"),
    ],
)
def test_a_broken_queue_is_refused_with_its_line(text: str, line: str) -> None:
    assert any(line in told for told in refused(text)), refused(text)


def test_problems_before_between_and_after_the_tasks_come_together() -> None:
    text = '{"kid": 1, "tasks": [{"task_key": 1}, {"task_key": "b"}, {"x": 1}], "x_a": 1e999}'
    assert [line.split(": ")[1] for line in refused(text)] == [
        "kid",
        "tasks.0.task_key",
        "tasks.2.task_key",
        "tasks.2.x",
        "x_a",
    ]


def test_no_task_comes_after_the_first_problem() -> None:
    text = '[{"task_key": "a"}, {"task_key": 1}, {"task_key": "c"}]'
    tasks = iter_tasks(text.encode(), "queue.json")
    assert next(tasks).task_key == "a"
    with pytest.raises(ContractError):
        next(tasks)


def test_a_flood_of_broken_tasks_is_cut() -> None:
    told = refused(json.dumps([{"task_key": 1}] * 3_000))
    assert len(told) == 1_001


@pytest.mark.slow
def test_a_long_queue_costs_little_more_than_its_text() -> None:
    count = 20_000
    tasks = [
        {"task_key": f"T-{i}", "title": "a title of some length", "priority": 1}
        for i in range(count)
    ]
    data = json.dumps({"tasks": tasks}, indent=1).encode()
    del tasks
    sum(1 for _ in iter_tasks(data[:0] + b'[{"task_key": "warm"}]', "queue.json"))
    tracemalloc.start()
    try:
        assert sum(1 for _ in iter_tasks(data, "queue.json")) == count
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    keys = count * 150  # the keys seen, and where
    assert peak < len(data) * 1.5 + keys


TASK = st.fixed_dictionaries(
    {"task_key": st.sampled_from("abcdefgh")},
    optional={
        "depends_on": st.lists(st.sampled_from("abcdefgh"), max_size=3),
        "priority": st.integers(-1, 10),
    },
)


@pytest.mark.slow
@given(tasks=st.lists(TASK, max_size=5), indent=st.sampled_from([None, 1]))
def test_task_by_task_and_as_a_whole_the_answer_is_the_same(
    tasks: list[dict[str, object]], indent: int | None
) -> None:
    data = json.dumps({"tasks": tasks, "x_a": 1}, indent=indent).encode()
    try:
        whole = read_model(data, TaskQueue, source="queue.json")
    except ContractError as error:
        told = len(error.problems)
    else:
        assert read_task_queue(data, "queue.json") == whole
        return
    assert len(refused(data.decode())) == told
