"""Stdout of a worker to one StepResult, or the reason why not. Pure.

Accepted, after the wrapping is off (see `envelope`):

1. the whole answer is one JSON object;
2. the answer is Markdown with exactly one top-level fenced `json` block that holds a StepResult;
3. the answer is Markdown with the eight sections of seed 004 (see `sections`).

Two results are none: the program never picks one. The result has to be about the step that was
asked for. What it says stays a claim; this module only settles what was said.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from orchestrator.protocol.step_result import StepResult
from orchestrator.worker.envelope import Envelope, thread_of, unwrap
from orchestrator.worker.plain import (
    MAX_RESULT_BYTES,
    AnswerError,
    count_objects,
    parse_json,
    parse_text,
    require_clean_strings,
)

MAX_TEXT_CHARS = 256 * 1024  # of one answer in Markdown
_MANY = 10


@dataclass(frozen=True, slots=True)
class Identity:
    """Which step the answer has to be about; None is not compared."""

    task_id: str
    step_id: str
    run_id: str | None = None
    attempt_id: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """Exactly one of `result` and `error` is set.

    `thread_id` is known even where the result is not, so that a rework can reach the session.
    `form` names how the answer was wrapped.
    """

    result: StepResult | None
    error: str | None
    thread_id: str | None
    form: str


def parse_answer(stdout: bytes, identity: Identity, *, thread_id: str | None = None) -> Answer:
    """Read one StepResult.

    Args:
        stdout: all of it; a truncated capture has no answer and must not be handed in.
        identity: of the step that was dispatched.
        thread_id: of the session that was resumed; kept where the answer names none.

    Never raises for what a worker wrote: the fault is `Answer.error`.
    """
    thread, form = thread_id, "none"
    try:
        envelope = unwrap(parse_text(stdout))
        form = envelope.form
        thread = envelope.thread_id or thread
        result = _validated(_find(envelope))
        thread = _one_thread(thread_of(result.thread_id), envelope.thread_id) or thread
        _require_identity(result, identity)
    except AnswerError as error:
        return Answer(None, str(error), thread, form)
    return Answer(result, None, thread, form)


def _find(envelope: Envelope) -> dict[str, Any]:
    """Give the one object that is the result."""
    if envelope.result is not None:
        return envelope.result
    found: list[dict[str, Any]] = []
    for text in envelope.texts:
        found += _results_in(text)
        if len(found) > _MANY:
            break
    if len(found) > 1:
        raise AnswerError(f"two results: the answer holds {len(found)}, it must hold one")
    if not found:
        raise AnswerError(
            "no StepResult: neither one JSON object, nor one json block, nor the eight sections"
        )
    return found[0]


def _results_in(text: str) -> list[dict[str, Any]]:
    """Give the results that stand in one text: an object, or what its Markdown holds."""
    stripped = text.strip()
    if stripped.startswith("{") and '"task_id"' in stripped:
        try:
            return [parse_json(stripped)]
        except AnswerError:
            if count := count_objects(stripped):
                raise AnswerError(f"two results: {count} JSON objects, not one") from None
            if stripped.endswith("}"):
                raise
    return _results_in_markdown(text)


def _results_in_markdown(text: str) -> list[dict[str, Any]]:
    # Only answers in Markdown pay for a Markdown parser.
    from orchestrator.worker import sections  # noqa: PLC0415

    if not sections.might_answer(text):
        return []
    if len(text) > MAX_TEXT_CHARS:
        raise AnswerError(f"text answer of {len(text)} characters, at most {MAX_TEXT_CHARS}")
    tokens = sections.parse_markdown(text)
    found = sections.find_result_blocks(tokens)
    starts = sections.find_sections(tokens)
    if not starts:
        return found
    if not found:
        return [sections.parse_sections(text, starts)]
    if sections.is_complete(starts):
        raise AnswerError("two results: a json block and the eight sections")
    return found


def _validated(value: dict[str, Any]) -> StepResult:
    require_clean_strings(value)
    text = json.dumps(value, ensure_ascii=False)
    if len(text) > MAX_RESULT_BYTES:
        raise AnswerError(f"StepResult of {len(text)} characters, at most {MAX_RESULT_BYTES}")
    try:
        return StepResult.model_validate_json(text)
    except ValidationError as error:
        problems = [
            f"{'.'.join(str(part) for part in problem['loc']) or 'StepResult'}: {problem['msg']}"
            for problem in error.errors(include_url=False, include_context=False)
        ]
        raise AnswerError("not a StepResult: " + "; ".join(problems[:10])) from error


def _one_thread(inner: str | None, outer: str | None) -> str | None:
    if inner and outer and inner != outer:
        raise AnswerError(f"two thread ids: {outer!r} around the result, {inner!r} in it")
    return inner or outer


def _require_identity(result: StepResult, identity: Identity) -> None:
    """Refuse an answer to another question."""
    for name in ("task_id", "step_id", "run_id", "attempt_id"):
        expected, found = getattr(identity, name), getattr(result, name)
        if expected is None or (found is None and name in {"run_id", "attempt_id"}):
            continue
        if found != expected:
            raise AnswerError(f"the answer is about {name} {found!r}, expected {expected!r}")
