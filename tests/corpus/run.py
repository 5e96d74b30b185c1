"""Puts cases through the real engine: one repository, one project, one cycle a case."""

from __future__ import annotations

import contextlib
import hashlib
import json
import multiprocessing
import os
import shutil
import sqlite3
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.corpus import project as ground
from tests.corpus.book import Case, load

if TYPE_CHECKING:
    from orchestrator.engine.reports import CycleReport

_OURS = ("progress", "workflow", ".artifacts", ".orchestrator")
_GIT_FILES = ("HEAD", "config", "info", "hooks")


class Result(NamedTuple):
    """What came of one case."""

    name: str
    honest: bool
    family: str
    rule: str
    outcome: str  # see `judge`
    state: str
    reason: str
    found: tuple[str, ...]  # rules that stood against the attempt, heaviest first
    gates: tuple[tuple[str, str], ...]  # (type, colour) of the last round
    problems: tuple[str, ...]
    known_miss: str
    seconds: float
    about: str

    @property
    def fine(self) -> bool:
        """Whether the controller was right."""
        return self.outcome == "right"


def run_all(
    names: Iterable[str] | None = None,
    *,
    workers: int = 2,
    tell: Callable[[Result], None] | None = None,
) -> list[Result]:
    """Run the named cases, or all, in `workers` processes; results in the order of the book.

    `tell` is called with each result, in that order, as soon as it is there.
    """
    book = load()
    chosen = list(book if names is None else names)
    unknown = [name for name in chosen if name not in book]
    if unknown:
        raise KeyError(f"no case is called {', '.join(unknown)}")
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        return [_told(result, tell) for result in pool.map(run_named, chosen)]


def _told(result: Result, tell: Callable[[Result], None] | None) -> Result:
    if tell is not None:
        tell(result)
    return result


def run_named(name: str) -> Result:
    """Run one case in a temporary folder. Changes the environment of this process."""
    case = load()[name]
    place = Path(tempfile.mkdtemp(prefix="verdicts-"))
    started = time.perf_counter()
    try:
        return _run(case, place, started)
    finally:
        _remove(place)


def _run(case: Case, place: Path, started: float) -> Result:
    root = place / "project"
    for name in ("home", "state"):
        (place / name).mkdir()
    for name in [name for name in os.environ if name.startswith(("GIT_", "PYTEST_", "PYTHON"))]:
        del os.environ[name]
    os.environ.update(
        HOME=str(place / "home"),
        ORCHESTRATOR_HOME=str(place / "state"),
        GIT_CONFIG_NOSYSTEM="1",
    )
    ground.build(root, case)
    before = fingerprint(root)
    problems: list[str] = []
    report = None
    try:
        report = _cycle(root)
        problems += _wrong_afterwards(case, root, report, before)
    except Exception as error:  # noqa: BLE001  a door: whatever broke is the result
        problems.append(f"it stopped: {type(error).__name__}: {error}")
        told = type(error).__module__ == "orchestrator.errors" and case.rule == "stopped"
        outcome = "right" if told and not _seems_accepted(root) else "broken"
        return _result(case, outcome, report, (), problems, started)
    return _result(case, judge(case, report, problems), report, gates_of(root), problems, started)


def _wrong_afterwards(
    case: Case, root: Path, report: CycleReport, before: dict[str, str]
) -> list[str]:
    """Look at the tree and at the record, without believing the report."""
    found: list[str] = []
    if report.state.value != "completed":
        found += [f"not put back: {line}" for line in differences(before, fingerprint(root))]
    elif case.after is not None:
        found += case.after(root, lambda path: accepted_file(root, path))
    return found + verified(root)


def _cycle(root: Path) -> CycleReport:
    from orchestrator.wiring.assembly import open_engine
    from orchestrator.wiring.flags import RunFlags
    from orchestrator.wiring.project import Project

    project = Project.open(str(root), for_running=True)
    try:
        report = open_engine(project, RunFlags()).run_next_cycle()
        if report is None:
            raise LookupError("there was no task to run")
        return report
    finally:
        project.close()


def judge(case: Case, report: CycleReport, problems: Sequence[str]) -> str:
    """Name the outcome.

    right, false accept, false refusal, unknown (an honest attempt was put aside), other reason
    (refused, and not for what it is), not put back (the refused tree is still there).
    """
    accepted = report.state.value == "completed"
    if case.honest:
        return _judge_honest(report, accepted=accepted, problems=problems)
    if case.rule == "contained":  # refused is right as well
        return ("false accept" if accepted else "not put back") if problems else "right"
    if accepted:
        return "false accept"
    if case.rule not in against(report):  # also where it had to stop, and did not
        return "other reason"
    return "not put back" if problems else "right"


def _judge_honest(report: CycleReport, *, accepted: bool, problems: Sequence[str]) -> str:
    if accepted:
        return "false refusal" if problems else "right"
    return "unknown" if report.state.value == "quarantined" else "false refusal"


def against(report: CycleReport | None) -> tuple[str, ...]:
    """Rules that stood against the last round, in their order."""
    if report is None or not report.rounds:
        return ()
    found = report.rounds[-1].findings
    return tuple(dict.fromkeys(item.rule for item in found if item.severity.value != "warning"))


def _result(
    case: Case,
    outcome: str,
    report: CycleReport | None,
    gates: tuple[tuple[str, str], ...],
    problems: Sequence[str],
    started: float,
) -> Result:
    return Result(
        name=case.name,
        honest=case.honest,
        family=case.family,
        rule=case.rule,
        outcome=outcome,
        state=report.state.value if report else "none",
        reason=report.reason if report else "",
        found=against(report),
        gates=gates,
        problems=tuple(problems[:5]),
        known_miss=case.known_miss,
        seconds=round(time.perf_counter() - started, 3),
        about=case.about,
    )


# ---- looking for ourselves


def fingerprint(root: Path) -> dict[str, str]:
    """Every path of the tree with its kind, mode and content; and what of git a person sees."""
    seen: dict[str, str] = {}
    for path in _walk(root, skip={root / name for name in (*_OURS, ".git")}):
        seen[str(path.relative_to(root))] = _look(path)
    for name in _GIT_FILES:
        for path in _walk(root / ".git" / name, skip=set()):
            seen[str(path.relative_to(root))] = _look(path)
    if (root / ".git").is_dir():
        refs = ground.git(root, "for-each-ref", "--format=%(refname) %(objectname)", "refs/heads")
        seen["branches"] = refs
    return seen


def _walk(path: Path, *, skip: set[Path]) -> Iterator[Path]:
    if path in skip or path.name == "__pycache__":
        return
    if path.is_dir() and not path.is_symlink():
        for below in sorted(path.iterdir()):
            yield from _walk(below, skip=skip)
    elif os.path.lexists(path):
        yield path


def _look(path: Path) -> str:
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        return f"link to {path.readlink()}"
    if not stat.S_ISREG(mode):
        return f"special {stat.S_IFMT(mode):o}"
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return f"{'executable' if mode & 0o100 else 'file'} {digest}"


def differences(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """Paths that differ, with what is there now."""
    return [
        f"{path!r} is {after.get(path, 'gone')[:20].strip()}"
        for path in sorted(before.keys() | after.keys())
        if before.get(path) != after.get(path)
    ]


def _seems_accepted(root: Path) -> bool:
    """Whether git or an undoubted record says that something was accepted."""
    kept = root / ".git/refs/orchestrator/accepted"
    if kept.exists() and any(path.is_file() for path in kept.rglob("*")):
        return True
    if not (root / "progress/state.db").exists() or verified(root):
        return False  # there is no record, or its verification says that it was touched
    with contextlib.closing(sqlite3.connect(root / "progress/state.db")) as store:
        return ("completed",) in store.execute("SELECT state FROM task").fetchall()


def accepted_file(root: Path, path: str) -> bytes | None:
    """The content of a path in the accepted tree; None where it holds no such path."""
    names = ground.git(root, "for-each-ref", "--format=%(refname)", "refs/orchestrator/accepted")
    for name in names.split():
        shown = subprocess.run(
            ["git", "cat-file", "blob", f"{name}:{path}"],
            cwd=root,
            capture_output=True,
            check=False,
        )
        if shown.returncode == 0:
            return shown.stdout
    return None


def gates_of(root: Path) -> tuple[tuple[str, str], ...]:
    """(type, colour) of each gate in the last review that was written."""
    reviews = sorted(root.glob(".artifacts/agent_runs/*/steps/*/rounds/R*S*/review.json"))
    if not reviews:
        return ()
    record: dict[str, Any] = json.loads(reviews[-1].read_bytes())
    return tuple((gate["type"], gate["colour"]) for gate in record["verdict"]["gates"])


def verified(root: Path) -> list[str]:
    """What the verification of the record finds wrong."""
    from orchestrator.wiring.look import verify_data
    from orchestrator.wiring.project import Project

    with contextlib.closing(Project.open(str(root), create=False)) as project:
        data = verify_data(project)
    return [
        f"the record does not verify: {row['rule']} {row['where']}: {row['what']}"
        for row in data["findings"]
        if row["severity"] == "error"
    ]


def _remove(place: Path) -> None:
    for folder in [place, *place.rglob("*")]:
        if folder.is_dir() and not folder.is_symlink():
            with contextlib.suppress(OSError):
                folder.chmod(0o700)
    shutil.rmtree(place, ignore_errors=True)
