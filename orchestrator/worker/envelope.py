"""What the program between us and the model wraps around the model's answer. Pure.

The first form that fits is taken:

    result      one JSON object that is the StepResult itself
    wrapper     {"step_result": {...}, "thread_id": ...}   our compact form; other keys ignored
    compact     {"output_text": "...", "thread_id": ..., "model": ...}
                gxd-subagent-shim with SUBAGENT_STDOUT_MODE=compact
    claude      {"type": "result", "is_error": false, "result": "...", "session_id": ...}, alone
                or as the last of a stream of JSON lines; `structured_output`, where it is an
                object, is the answer
    codex       JSON lines from {"type": "thread.started", "thread_id": ...} to
                {"type": "turn.completed"}; the agent_message items are the answer
    transcript  how gxd-subagent-shim prints codex events: the thread.started line, then
                `item_3:text of the message`, with dots for what it leaves out
    text        anything else: the answer as the model wrote it

An agent that reports an error, or whose stream stops before its end, has no answer: such a stream
with exit code 0 is the usual false success.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from orchestrator.worker.plain import AnswerError, clean, count_objects, parse_json

_ITEM = re.compile(r"^item(?:_\d+)?:")
_DOTS = re.compile(r"^\.+$")
_THREAD = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,199}$")


@dataclass(frozen=True, slots=True)
class Envelope:
    """The unwrapped answer: either the result object or the texts in which it stands.

    `own` is the exact text of the object where stdout is nothing else.
    """

    form: str
    result: dict[str, Any] | None = None
    own: str | None = None
    texts: tuple[str, ...] = ()
    thread_id: str | None = None


def unwrap(text: str) -> Envelope:
    """Take the wrapping off. Raises AnswerError for a failed agent or two wrapped answers."""
    if not text.strip():
        raise AnswerError("stdout is empty")
    stripped = text.strip()
    if not stripped.startswith("{"):
        return Envelope("text", texts=(text,))
    try:
        value = parse_json(stripped)
    except AnswerError:
        return _unwrap_lines(stripped)
    return _unwrap_object(value, stripped)


def thread_of(value: object) -> str | None:
    """Check a thread id: it becomes an argument, so a leading dash or a space is refused."""
    if value is None or value == "":
        return None
    if not isinstance(value, str) or not _THREAD.match(value):
        raise AnswerError(f"thread id {str(value)[:40]!r} is not a plain identifier")
    return value


def _unwrap_object(value: dict[str, Any], own: str) -> Envelope:
    if "step_result" in value:
        if not isinstance(value["step_result"], dict):
            raise AnswerError("'step_result' is not an object")
        if value.get("output_text"):
            raise AnswerError("two results: 'step_result' and 'output_text' in one wrapper")
        return Envelope(
            "wrapper",
            result=value["step_result"],
            thread_id=thread_of(value.get("thread_id")),
        )
    if value.get("type") == "result" and "is_error" in value:
        return _unwrap_claude(value)
    if isinstance(value.get("output_text"), str):
        return Envelope(
            "compact",
            texts=(clean(value["output_text"]),),
            thread_id=thread_of(value.get("thread_id")),
        )
    return Envelope("result", result=value, own=own)


def _unwrap_claude(value: dict[str, Any]) -> Envelope:
    if value["is_error"] is not False or value.get("subtype") != "success":
        raise AnswerError(f"the agent reports an error: {str(value.get('subtype'))[:60]}")
    thread = thread_of(value.get("session_id"))
    if isinstance(value.get("structured_output"), dict):
        return Envelope("claude", result=value["structured_output"], thread_id=thread)
    if not isinstance(value.get("result"), str):
        raise AnswerError("the agent's result holds no text")
    return Envelope("claude", texts=(clean(value["result"]),), thread_id=thread)


def _unwrap_lines(text: str) -> Envelope:
    lines = [line for line in text.split("\n") if line.strip()]
    first = _event(lines[0])
    if first is None:
        if count := count_objects(text):
            raise AnswerError(f"two results: stdout holds {count} JSON objects, not one")
        return Envelope("text", texts=(text,))
    events = [_event(line) for line in lines]
    if all(event is not None for event in events):
        return _unwrap_events([event for event in events if event is not None])
    if first["type"] == "thread.started":
        return _unwrap_transcript(first, text.split("\n"))
    return Envelope("text", texts=(text,))


def _event(line: str) -> dict[str, Any] | None:
    if not line.lstrip().startswith("{"):
        return None
    try:
        value = parse_json(line.strip())
    except AnswerError:
        return None
    return value if isinstance(value, dict) and isinstance(value.get("type"), str) else None


def _unwrap_events(events: list[dict[str, Any]]) -> Envelope:
    last = events[-1]
    if last["type"] == "result" and "is_error" in last:
        if sum(event["type"] == "result" for event in events) > 1:
            raise AnswerError("two results: the stream holds more than one 'result' event")
        return _unwrap_claude(last)
    if events[0]["type"] != "thread.started":
        raise AnswerError(f"unknown event stream: it starts with {events[0]['type'][:40]!r}")
    if last["type"] != "turn.completed":
        raise AnswerError(f"the agent's turn did not complete: it ends with {last['type'][:40]!r}")
    items = [event.get("item") for event in events if event["type"] == "item.completed"]
    texts = tuple(
        clean(item["text"])
        for item in items
        if isinstance(item, dict)
        and item.get("type") == "agent_message"
        and isinstance(item.get("text"), str)
    )
    return Envelope("codex", texts=texts, thread_id=thread_of(events[0].get("thread_id")))


def _unwrap_transcript(first: dict[str, Any], lines: list[str]) -> Envelope:
    texts: list[list[str]] = []
    for line in lines[1:]:
        if _ITEM.match(line):
            texts.append([line.partition(":")[2]])
        elif _DOTS.match(line):
            texts.append([])
        elif texts:
            texts[-1].append(line)
        elif line.strip():
            raise AnswerError("the transcript holds a line outside every item")
    joined = ("\n".join(part) for part in texts)
    return Envelope(
        "transcript",
        texts=tuple(text for text in joined if text.strip()),
        thread_id=thread_of(first.get("thread_id")),
    )
