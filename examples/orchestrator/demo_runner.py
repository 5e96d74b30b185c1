#!/usr/bin/env python3
"""The main job on a small real repository, with one honest and many dishonest workers.

    demo_runner.py [--dest DIR] [--json] [--quiet]

Builds `textkit` (see `demo_project`), lets `python -m orchestrator run-campaign` work through its
queue, and shows what was accepted, reworked, refused, rolled back, and why. Then it looks for
itself: git has to show exactly the accepted repairs, and `verify` has to pass.

Exit code 0 when everything came out as `demo_project.TASKS` says, 1 otherwise. Without --dest the
project is made in a temporary folder and stays there, so that it can be looked at.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from demo_project import SCRIPTED_WORKER, TASKS, DemoTask, build

ROOT = Path(__file__).resolve().parents[2]
STEP_SEC = 120  # far above what any step takes; nothing here may hang for ever


@dataclass(frozen=True)
class Row:
    """One line of the summary."""

    task: str
    play: str
    outcome: str  # completed, failed, quarantined, pending, ...
    reason: str
    rounds: int
    rolled_back: bool
    expected: bool  # as the plan says

    @property
    def word(self) -> str:
        """Say the outcome in a word."""
        if self.outcome == "completed":
            return "reworked, accepted" if self.rounds > 1 else "accepted"
        return {"failed": "refused", "quarantined": "unknown, put aside"}.get(
            self.outcome, self.outcome
        )


@dataclass
class DemoReport:
    """What came of the demo."""

    project: Path
    rows: list[Row]
    seconds: float
    changed: list[str]
    verified: bool
    problems: list[str] = field(default_factory=list)

    @property
    def is_as_planned(self) -> bool:
        """Whether every task ended as planned, the tree is right and the record verifies."""
        return self.verified and not self.problems and all(row.expected for row in self.rows)


def run_demo(dest: Path, *, quiet: bool = False) -> DemoReport:
    """Build the project in `dest`/textkit, run the campaign, look at what is there."""
    started = time.monotonic()
    project = build(dest / "textkit", worker=SCRIPTED_WORKER)
    caller = _Caller(project, dest / "home", quiet=quiet)
    caller.call("init")
    ended = caller.call("run-campaign", "--plain")
    verified = caller.call("verify")
    changed = _changed(project)
    report = DemoReport(
        project=project,
        rows=make_rows(ended.get("data", {}).get("cycles", ())),
        seconds=time.monotonic() - started,
        changed=changed,
        verified=bool(verified.get("ok")),
    )
    planned = sorted(f"textkit/{task.module}.py" for task in TASKS if not task.rolled_back)
    if changed != planned:
        report.problems.append(f"git shows {changed}, expected {planned}")
    if not report.verified:
        report.problems.append(f"verify: {json.dumps(verified)[:400]}")
    if not report.rows:
        report.problems.append(f"run-campaign: {json.dumps(ended)[:400]}")
    return report


class _Caller:
    """Calls the program as a person would, with keys of its own and this interpreter first."""

    def __init__(self, project: Path, home: Path, *, quiet: bool) -> None:
        self._project = project
        self._common = ("--project", str(project), "--json")
        self._quiet = quiet
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        self._environment = {
            **os.environ,
            "PATH": path,
            "PYTHONPATH": str(ROOT),
            "ORCHESTRATOR_HOME": str(home),
        }

    def call(self, command: str, *flags: str) -> dict[str, Any]:
        """Run one command. Returns its envelope; progress goes to our stderr."""
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "orchestrator",
                command,
                *flags,
                "--project",
                str(self._project),
                "--json",
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL if self._quiet else None,
            env=self._environment,
            cwd=self._project,
            timeout=STEP_SEC,
            check=False,
        )
        try:
            envelope = json.loads(done.stdout)
        except ValueError:
            return {"ok": False, "exit_code": done.returncode, "stdout": repr(done.stdout[:200])}
        return envelope if isinstance(envelope, dict) else {"ok": False}


def make_rows(cycles: Iterable[dict[str, Any]]) -> list[Row]:
    """Put the last cycle of each task beside the plan, in the order in which they ran.

    Args:
        cycles: of the envelope's data, each with task, state, reason, rounds (a list or a
            number) and rolled_back.
    """
    last: dict[str, dict[str, Any]] = {}
    for cycle in cycles:
        last.pop(cycle["task"], None)
        last[cycle["task"]] = cycle
    plan = {task.key: task for task in TASKS}
    rows = [_row(plan[key], cycle) for key, cycle in last.items() if key in plan]
    return rows + [_row(task, {}) for key, task in plan.items() if last and key not in last]


def _row(task: DemoTask, cycle: dict[str, Any]) -> Row:
    rounds = cycle.get("rounds", 0)
    outcome, reason = cycle.get("state", "never ran"), cycle.get("reason", "")
    return Row(
        task=task.key,
        play=task.play,
        outcome=outcome,
        reason=reason,
        rounds=rounds if isinstance(rounds, int) else len(rounds),
        rolled_back=bool(cycle.get("rolled_back")),
        expected=(outcome, reason) == (task.state, task.reason),
    )


def _changed(project: Path) -> list[str]:
    """Ask git itself which paths differ from the first commit."""
    git = ("git", "-C", str(project))
    first = _lines(*git, "rev-list", "--max-parents=0", "HEAD")[0]
    differ = _lines(*git, "diff", "--name-only", first)
    return sorted({*differ, *_lines(*git, "ls-files", "--others", "--exclude-standard")})


def _lines(*command: str) -> list[str]:
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    return done.stdout.splitlines()


def render(report: DemoReport, *, colour: bool) -> str:
    """Write the summary for a person."""
    header = ("task", "the worker", "outcome", "because", "rounds", "tree")
    table = [header] + [
        (
            row.task,
            row.play,
            row.word,
            row.reason,
            str(row.rounds or "-"),
            "rolled back" if row.rolled_back else "kept" if row.outcome == "completed" else "-",
        )
        for row in report.rows
    ]
    widths = [max(len(line[column]) for line in table) for column in range(len(header))]
    lines = [
        _paint("  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)), row, colour)
        for line, row in zip(table, [None, *report.rows], strict=True)
    ]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join([*lines, "", *_story(report)])


def _paint(text: str, row: Row | None, colour: bool) -> str:  # noqa: FBT001
    text = text.rstrip()
    if row is not None and not row.expected:
        text += "   <- not as planned"
    if not colour:
        return text
    code = "1" if row is None else "32" if row.outcome == "completed" else "33"
    if row is not None and row.outcome == "failed":
        code = "31"
    return f"\x1b[{code}m{text}\x1b[0m"


def _story(report: DemoReport) -> list[str]:
    accepted = [row for row in report.rows if row.outcome == "completed"]
    refused = [row for row in report.rows if row.outcome == "failed"]
    unknown = [row for row in report.rows if row.outcome == "quarantined"]
    lines = [
        (
            f"{len(report.rows)} tasks in {report.seconds:.1f} s: {len(accepted)} accepted "
            f"({sum(row.rounds > 1 for row in accepted)} after rework), {len(refused)} refused and "
            f"rolled back, {len(unknown)} put aside because a check could not run."
        ),
        f"Changed in the repository, says git: {', '.join(report.changed) or 'nothing'}.",
        f"The record {'verifies' if report.verified else 'DOES NOT VERIFY'}.",
        *(f"Problem: {problem}" for problem in report.problems),
        "",
        f"Look for yourself: cd {report.project}",
        "  python -m orchestrator status     what is done, refused, put aside, and why",
        "  python -m orchestrator verify     check the record again",
    ]
    return lines if report.rows else lines[3:]


def as_json(report: DemoReport) -> str:
    """Write the summary for a program."""
    value = {
        "ok": report.is_as_planned,
        "project": str(report.project),
        "seconds": round(report.seconds, 2),
        "verified": report.verified,
        "changed": report.changed,
        "problems": report.problems,
        "rows": [vars(row) for row in report.rows],
    }
    return json.dumps(value, indent=2)


def main(argv: list[str]) -> int:
    """Run the demo and show it."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--dest", type=Path, help="an empty folder  [default: a temporary one]")
    parser.add_argument("--json", action="store_true", help="the summary as JSON")
    parser.add_argument("--quiet", action="store_true", help="no progress on stderr")
    flags = parser.parse_args(argv)
    dest = flags.dest or Path(tempfile.mkdtemp(prefix="orchestrator-demo-"))
    report = run_demo(dest.resolve(), quiet=flags.quiet or flags.json)
    colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    print(as_json(report) if flags.json else render(report, colour=colour))
    return 0 if report.is_as_planned else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
