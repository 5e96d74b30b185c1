"""What `replay` and `verify` tell, read from an opened project."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

from orchestrator.engine.replay import compare, fold, journeys, story
from orchestrator.errors import NothingToDo, TransitionError
from orchestrator.kernel.journey import Journey
from orchestrator.kernel.life import State
from orchestrator.session_log.store import event_of
from orchestrator.store.files import read_regular
from orchestrator.vocabulary import WORKFLOW_DIR
from orchestrator.wiring.project import Project
from workflow_logger.layout import PROJECT_MANIFEST


def replay_data(project: Project, which: str | None) -> dict[str, Any]:
    """Return the story of a run (or task, or attempt), and whether entries and store agree."""
    kind, name, entries = _chosen(project, which)
    differences, faults = _disagreement(project)
    return {
        "what": f"{kind} {name}",
        "story": [
            {"seq": step.seq, "at": step.at, "task": step.task_id, "kind": step.kind,
             "what": step.what}
            for step in story(entries)
        ],
        "entries": project.store.ledger.size(),
        "agrees": not differences and not faults,
        "differences": differences,
        "faults": faults,
    }  # fmt: skip


def replay_events(project: Project, which: str | None) -> Iterator[dict[str, Any]]:
    """Iterate over the same story as events for machines; of a run, what its session log holds."""
    kind, name, entries = _chosen(project, which)
    for entry in entries:
        yield event_of(entry, run_id=name if kind == "run" else "")


def _disagreement(project: Project) -> tuple[list[dict[str, str]], list[str]]:
    """Rebuild every task's state from the entries. Returns where the store differs, and faults."""
    try:
        rebuilt = fold(project.store.entries())
    except TransitionError as error:
        return [], [f"{error.where}: {error.what}"]
    stored = {key: State(state) for key, state in _states(project)}
    removed = _removed(project)
    differences = [
        {"task": item.task_id, "entries": item.entries_say, "store": item.store_says}
        for item in compare(rebuilt, stored)
        if not (item.task_id in removed and item.task_id not in stored)
    ]
    return [*differences, *_other_journeys(project)], []


def _other_journeys(project: Project) -> Iterator[dict[str, str]]:
    """Name the tasks whose used-up attempts are not what the entries say."""
    told = journeys(project.store.entries())
    fresh = asdict(Journey())
    for key, text in project.store.database.all("SELECT task_key, journey FROM task"):
        stored, expected = json.loads(text), told.get(key, fresh)
        for name in sorted({*stored, *expected}):
            if stored.get(name) != expected.get(name):
                yield {
                    "task": key,
                    "entries": f"{name} {expected.get(name)}",
                    "store": f"{name} {stored.get(name)}",
                }


def _states(project: Project) -> Iterator[tuple[str, str]]:
    yield from project.store.database.all("SELECT task_key, state FROM task")


def _removed(project: Project) -> set[str]:
    return {
        key
        for entry in project.store.entries()
        if entry["kind"] == "queue_edit"
        for key in entry["body"]["removed"]
    }


def _chosen(project: Project, which: str | None) -> tuple[str, str, list[dict[str, Any]]]:
    """Return what is meant (run, task or attempt), its name, and its entries."""
    if which is None:
        runs = project.store.runs(1)
        if not runs:
            raise NothingToDo(
                "no run has been made here", where="the store", mend="run-campaign makes one"
            )
        which = runs[0].run_id
    for kind, found in (
        ("run", list(project.store.entries(run_id=which))),
        ("task", list(project.store.entries(task_id=which))),
    ):
        if found:
            return kind, which, found
    of_attempt = [
        entry for entry in project.store.entries() if entry["body"].get("attempt_id") == which
    ]
    if of_attempt:
        return "attempt", which, of_attempt
    raise NothingToDo(
        f"nothing is recorded of {which!r}",
        where="the ledger",
        mend="status names tasks; without an argument the newest run is told",
    )


def verify_data(
    project: Project, *, public_key: str | None = None, anchor: str | None = None
) -> dict[str, Any]:
    """Check chain, checkpoints, files against the store, evidence, and the folded state."""
    from orchestrator.wiring.steplog import our_errors  # noqa: PLC0415  `status` needs no engine
    from workflow_logger import keys  # noqa: PLC0415  cryptography costs 60 ms
    from workflow_logger.verify import verify_project  # noqa: PLC0415

    key_path = Path(public_key) if public_key else project.home.trusted(project.project_id)
    anchor_path = Path(anchor) if anchor else project.home.anchor(project.project_id)
    if not (_record(project) / PROJECT_MANIFEST).exists():
        return _without_files(project, was_signed=anchor_path.exists())
    with our_errors():
        trusted = keys.load_public_key(key_path) if key_path.exists() or public_key else None
        report = verify_project(
            project.root / WORKFLOW_DIR,
            project.project_id,
            public_key=trusted,
            anchor=anchor_path if anchor_path.exists() or anchor else None,
        )
    plain = report.to_dict()
    findings = [_finding(row) for row in plain["findings"]]  # type: ignore[attr-defined]
    is_cut = any(row["rule"] == "chain.tail_dropped" for row in findings)
    findings += list(_against_store(project, is_cut=is_cut))
    count, wrong = _evidence(project)
    findings += wrong
    findings += _against_replay(project)
    return {
        "verified": all(row["severity"] != "error" for row in findings),
        "entries": project.store.ledger.size(),
        "anchored": report.anchored_entries,
        "evidence": count,
        "findings": findings,
        "report": plain,
    }


def _record(project: Project) -> Path:
    return project.root / WORKFLOW_DIR / project.project_id


def _without_files(project: Project, *, was_signed: bool) -> dict[str, Any]:
    """Say what it means that the record has no files: they were removed, or never written."""
    size, folder = project.store.ledger.size(), _record(project)
    if not was_signed and not size:
        raise NothingToDo(
            "nothing is recorded yet",
            where=str(folder),
            mend="python -m orchestrator run-campaign writes the record",
        )
    files = _behind(str(folder), size)
    if was_signed:
        files = _error("store.no_file", str(folder), f"the store has {size} entries, no file")
    count, wrong = _evidence(project)
    findings = [files, *wrong, *_against_replay(project)]
    return {
        "verified": all(row["severity"] != "error" for row in findings),
        "entries": size,
        "anchored": 0,
        "evidence": count,
        "findings": findings,
        "report": {},
    }


def _finding(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "severity": str(row.get("severity", row.get("level", "error"))),
        "rule": str(row.get("rule", "")),
        "where": str(row.get("where", "")),
        "what": str(row.get("what", "")),
        "mend": str(row.get("mend", "")),
    }


def _against_replay(project: Project) -> Iterator[dict[str, Any]]:
    """Compare the store with the state that the entries tell."""
    differences, faults = _disagreement(project)
    for row in differences:
        what = f"entries say {row['entries']}, store {row['store']}"
        yield _error("replay.state", row["task"], what)
    for line in faults:
        yield _error("replay.table", "ledger", line)


def _error(rule: str, where: str, what: str) -> dict[str, Any]:
    mend = "somebody edited files or the store; compare with a copy or the anchor"
    return {"severity": "error", "rule": rule, "where": where, "what": what, "mend": mend}


def _against_store(project: Project, *, is_cut: bool) -> Iterator[dict[str, Any]]:
    """Compare the project's file with the stored bytes, line by line.

    is_cut: lines that were signed are missing. Without that a shorter file is only behind: the
    store is written first, and a run that is under way or was killed leaves the rest for later.
    """
    path = _record(project) / "events.jsonl"
    size = project.store.ledger.size()
    if not path.exists():
        if size:
            yield _error("store.no_file", str(path), f"the store has {size} entries, no file")
        return
    with path.open("rb") as file:
        for number, stored in enumerate(project.store.ledger.lines()):
            line = file.readline()
            if not line and not is_cut:
                yield _behind(f"{path.name}:{number + 1}", size - number)
                return
            if line != stored:
                what = "missing" if not line else "other bytes than in the store"
                yield _error("store.line", f"{path.name}:{number + 1}", what)
                return
        if file.readline():
            yield _error("store.more", f"{path.name}:{size + 1}", "a line that the store lacks")


def _behind(where: str, missing: int) -> dict[str, Any]:
    return {
        "severity": "warning",
        "rule": "store.behind",
        "where": where,
        "what": f"{missing} entries of the store are not in the file yet",
        "mend": "the run that is under way, or the next one, writes them",
    }


def _evidence(project: Project) -> tuple[int, list[dict[str, Any]]]:
    """Check each named file of evidence by its digest."""
    count, wrong = 0, []
    for entry in project.store.entries():
        named = entry["body"].get("evidence")
        for item in named if isinstance(named, list) else ():
            count += 1
            problem = _evidence_problem(project.root / item["path"], item)
            if problem:
                wrong.append(_error("evidence.file", item["path"], problem))
    return count, wrong


def _evidence_problem(path: Path, item: dict[str, Any]) -> str | None:
    try:
        data = read_regular(path)
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    if sha256(data).hexdigest() != item["sha256"]:
        return "is not what the ledger names"
    return None
