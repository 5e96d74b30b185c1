"""The evidence that a worker names: what is really there, and whether this attempt made it.

Nothing here believes anything: a path counts only as a regular file below
`.artifacts/agent_runs/`, reached without a symbolic link, and changed since the attempt began.
The time of the last status change is used, because a worker can set the other times.
"""

# Plain paths: this is on the hot path.
# ruff: noqa: PTH118, PTH207
from __future__ import annotations

import glob
import hashlib
import os
import re
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from orchestrator.protocol.evidence import ClaimedFile, PatternCount
from orchestrator.protocol.step_pack import EvidenceRequired
from orchestrator.protocol.step_result import StepResult
from orchestrator.qa.names import is_trick, plain
from orchestrator.vocabulary import ARTIFACTS_ROOT

HASH_LIMIT: Final = 64 * 1024 * 1024  # bytes; a larger file is named by its size alone
_SLACK_NS: Final = 20_000_000  # file systems keep time in steps of up to 10 ms
_SELECTOR: Final = re.compile(r"\.?([A-Za-z_][\w-]*)|\[(\*|\d+)\]")
_STAND_IN: Final = re.compile(r"<[^<>/]+>|\{[a-z_]+\}")


@dataclass(frozen=True, slots=True)
class EvidencePlace:
    """Where to look: the folders that claimed paths are relative to, and since when.

    `roots` are tried in order (the worker's tree first, then the project root); `started_ns` is
    the wall clock at the attempt's start, in nanoseconds.
    """

    roots: tuple[str, ...]
    started_ns: int


def named_paths(result: StepResult) -> tuple[str, ...]:
    """Give every evidence path that an answer names, once, in order."""
    paths = [claim.evidence_path for claim in result.commands_executed]
    paths += [claim.evidence_path for claim in result.verification_results]
    for name in sorted(result.evidence_map):
        paths += result.evidence_map[name]
    return tuple(dict.fromkeys(path for path in paths if path))


def look_at_claims(paths: Iterable[str], place: EvidencePlace) -> tuple[ClaimedFile, ...]:
    """Look at each claimed path."""
    return tuple(_look(path, place) for path in paths)


def count_patterns(
    required: Sequence[EvidenceRequired],
    place: EvidencePlace,
    *,
    result: StepResult | None,
) -> tuple[PatternCount, ...]:
    """Count what each `evidence_required` pattern matches in this attempt.

    A pattern is a glob of files, or `file::selector` into the worker's answer, for example
    `step_result.json::commands_executed[*]`. Files of earlier attempts do not count. `<run>` and
    `{run_id}` in a pattern stand for any one name.
    """
    return tuple(
        PatternCount(
            id=item.id,
            pattern=item.path_pattern,
            matches=_matches(item.path_pattern, place, result),
        )
        for item in required
    )


def _look(path: str, place: EvidencePlace) -> ClaimedFile:
    text = plain(path)
    if not text.startswith(ARTIFACTS_ROOT + "/") or is_trick(text):
        return ClaimedFile(path=path, prefix_ok=False, exists=False)
    for root in place.roots:
        found = _regular(root, text)
        if found is not None:
            return ClaimedFile(
                path=path,
                prefix_ok=True,
                exists=True,
                size_bytes=found.st_size,
                sha256=_sha256(os.path.join(root, text), found),
                produced_in_attempt=_is_new(found, place),
            )
    return ClaimedFile(path=path, prefix_ok=True, exists=False)


def _regular(root: str, path: str) -> os.stat_result | None:
    """Give the status of a regular file that is reached without a symbolic link."""
    current = root
    found = None
    try:
        for segment in path.split("/"):
            current = os.path.join(current, segment)
            found = os.lstat(current)
            if stat.S_ISLNK(found.st_mode):
                return None
    except (OSError, ValueError):
        return None
    return found if found is not None and stat.S_ISREG(found.st_mode) else None


def _is_new(found: os.stat_result, place: EvidencePlace) -> bool:
    return found.st_ctime_ns >= place.started_ns - _SLACK_NS


def _sha256(path: str, found: os.stat_result) -> str | None:
    if found.st_size > HASH_LIMIT:
        return None
    try:
        # NOFOLLOW and NONBLOCK: it may have been replaced since we looked
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    with os.fdopen(handle, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _matches(pattern: str, place: EvidencePlace, result: StepResult | None) -> int:
    file, marks, selector = pattern.partition("::")
    if marks:
        if plain(file).rpartition("/")[2] != "step_result.json" or result is None:
            return 0
        return sum(1 for _ in _selected(result.model_dump(mode="json"), selector))
    text = _STAND_IN.sub("*", plain(pattern))
    if text.startswith("/") or ".." in text.split("/"):
        return 0
    found = set()
    for root in place.roots:
        for path in glob.iglob(text, root_dir=root, recursive=True, include_hidden=True):
            status = _regular(root, path)
            if status is not None and _is_new(status, place):
                found.add(path)
    return len(found)


def _selected(document: Any, selector: str) -> Iterator[Any]:  # noqa: ANN401  JSON
    """Give the nodes that `a.b[*].c` selects; a selector that cannot be read selects nothing."""
    nodes = [document]
    place = 0
    while place < len(selector):
        step = _SELECTOR.match(selector, place)
        if step is None:
            return
        place = step.end()
        nodes = [child for node in nodes for child in _children(node, step)]
    yield from (node for node in nodes if node is not None and node != "")


def _children(node: Any, step: re.Match[str]) -> list[Any]:  # noqa: ANN401  JSON
    key, index = step.groups()
    if key is not None:
        return [node[key]] if isinstance(node, dict) and key in node else []
    if index == "*":
        if isinstance(node, dict):
            return list(node.values())
        return list(node) if isinstance(node, list) else []
    number = int(index)
    return [node[number]] if isinstance(node, list) and number < len(node) else []
