"""Real children, and an oracle of their survival that shares nothing with the code under test.

Every child gets a token as its last argument, and a fork keeps its parent's command line: so
/proc/PID/cmdline finds what is left, whatever session or environment it made for itself.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from orchestrator.runtime.limits import Limits
from orchestrator.runtime.outcome import Outcome
from orchestrator.runtime.wrapper import run

PRELUDE = """
import os, signal, sys, time
def deaf():
    for s in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(s, signal.SIG_IGN)
def forever():
    while True:
        signal.pause()
"""


@dataclass
class Stage:
    """Where scripted children play."""

    folder: Path
    token: str = field(default_factory=lambda: f"token-{uuid.uuid4().hex}")

    def argv(self, code: str) -> list[str]:
        return [sys.executable, "-I", "-S", "-c", PRELUDE + code, self.token]

    def play(self, code: str, name: str = "one", **options: Any) -> Outcome:  # noqa: ANN401
        return self.run(self.argv(code), name, **options)

    def run(self, argv: list[str], name: str = "one", **options: Any) -> Outcome:  # noqa: ANN401
        options.setdefault("limits", Limits(max_runtime_sec=20))
        options.setdefault("env", {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"})
        options.setdefault("marker", self.token)
        options.setdefault("cwd", str(self.folder))
        return run(
            argv,
            stdout_path=str(self.folder / f"{name}.out"),
            stderr_path=str(self.folder / f"{name}.err"),
            **options,
        )

    def survivors(self) -> list[int]:
        return pids_with(self.token)

    def text(self, name: str = "one", stream: str = "out") -> str:
        return (self.folder / f"{name}.{stream}").read_text()


def pids_with(token: str) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if token.encode() in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    one = Stage(tmp_path)
    yield one
    left = one.survivors()
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert left == [], "a process of the run outlived it"


def children_of_ours() -> set[int]:
    """Every child of this process, the dead that nobody has reaped among them."""
    found: set[int] = set()
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(FileNotFoundError):  # a thread that has just ended
            found.update(map(int, (task / "children").read_text().split()))
    return found


def described(pids: set[int]) -> list[str]:
    """Say what processes are: number, state and command."""
    told = []
    for pid in sorted(pids):
        with contextlib.suppress(OSError):
            stat = Path(f"/proc/{pid}/stat").read_text()
            command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ")[:200]
            told.append(f"{stat[:60]} {command!r}")
    return told


@pytest.fixture
def no_children() -> Iterator[None]:
    """The test leaves no child of ours behind, neither living nor dead.

    Tests of other folders that ran in this process may have left one (a resource tracker, the
    orphan of a program that they killed): it was there before, and is not this test's.
    """
    before = children_of_ours()
    yield
    left = children_of_ours() - before
    assert not left, described(left)
