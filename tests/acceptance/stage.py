"""A small real repository with a queue and scripted workers, and the program called from outside.

Each task `N` repairs `src/N.txt`; its check is a grep that fails before and passes after. The
repository is built once a process and copied for each test.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
WORKER = (sys.executable, "-S", "-E", str(ROOT / "examples/scripted_worker.py"))
PATIENCE_SEC = 120  # far above what anything here takes

PLAYS: dict[str, dict[str, Any]] = {
    "one": {"play": "honest"},
    "two": {"play": "honest"},
    "three": {"play": "honest"},
    "rework": {"play": "honest-after-rework", "first_edits": []},
    "liar": {"play": "claims-pass"},
    "outside": {
        "play": "edits-outside",
        "outside": [{"path": "README.md", "content": "improved\n"}],
    },
    "asks": {"play": "blocked"},
    "widens": {"play": "honest"},
}
IGNORED = ("progress/", "workflow/", ".artifacts/", ".orchestrator/")
# Waits at a pipe, then goes on; in a worker's place, or in a check's.
GATE = """\
printf x > "$1/started"
read -r _ < "$1/go"
"""
GATED_WORKER = GATE + 'shift\nexec "$@"\n'
GATED_CHECK = f'case $PWD in */scratch/*)\n{GATE};; esac\ngrep -qx fixed "$2"\n'


def pack(name: str, **changes: Any) -> dict[str, Any]:  # noqa: ANN401
    """Give the StepPack of a task."""
    path = f"src/{name}.txt"
    edits = [{"path": path, "content": "fixed\n"}]
    return {
        "task_kind": "step",
        "task_id": name,
        "step_id": "S1",
        "step_title": f"Repair {name}",
        "objective": f"{path} says fixed",
        "allowed_paths": [path],
        "commands_to_run": [f"grep -qx fixed {path}"],
        "acceptance_criteria": [f"AC1: {path} says fixed"],
        "runtime_policy": {
            "timeout_sec": 60,
            "no_output_timeout_sec": 60,
            "check_timeout_sec": 60,
            "retry": {"max_attempts": 1},
        },
        "x_scripted": {"edits": edits, **PLAYS.get(name, {"play": "honest"})},
        **changes,
    }


def task(name: str, **changes: Any) -> dict[str, Any]:  # noqa: ANN401
    """Give the task's entry in the queue."""
    return {
        "task_key": name,
        "title": f"Repair {name}",
        "step_pack": f"contracts/{name}.json",
        "max_attempts": 1,
        "target": f"src/{name}.txt",
        "execution_route": "tier2",
        "acceptance_criteria": [f"AC1: src/{name}.txt says fixed"],
        **changes,
    }


def build(dest: Path) -> Path:
    """Write the repository and commit it."""
    for name in PLAYS:
        write(dest / f"src/{name}.txt", "broken\n")
        write(dest / f"contracts/{name}.json", json.dumps(pack(name), indent=1))
    write(dest / "README.md", "a repository\n")
    write(dest / "checks/gated.sh", GATED_CHECK)
    write(dest / ".gitignore", "\n".join(IGNORED) + "\n")
    settings = {
        "project_id": "acceptance",
        "worker": {"backend": "shim", "agent": "scripted", "shim": list(WORKER)},
        "limits": {"max_rework_rounds": 1, "backoff_sec": 0},
    }
    write(dest / "orchestrator.yaml", json.dumps(settings, indent=1))
    git(dest, "init", "-q", "-b", "main")
    commit(dest)
    return dest


def commit(root: Path) -> None:
    """Commit everything, whatever the settings of this machine say."""
    git(root, "add", "-A")
    git(
        root, "-c", "user.name=T", "-c", "user.email=t@example.invalid",
        "-c", "commit.gpgsign=false", "commit", "-q", "-m", "state",
    )  # fmt: skip


def git(root: Path, *arguments: str) -> str:
    """Run git, and give what it says."""
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def write(path: Path, text: str) -> Path:
    """Write a file and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> dict[str, Any]:
        """Give the envelope's data."""
        return dict(self.envelope["data"])

    @property
    def envelope(self) -> dict[str, Any]:
        """Give the one JSON document on stdout; a second one is an error."""
        value = json.loads(self.out)
        assert isinstance(value, dict)
        return value


class Stage:
    """One project of a test."""

    def __init__(self, root: Path, home: Path) -> None:
        self.root = root
        self.home = home
        self.env = {
            **{name: os.environ[name] for name in ("HOME", "LANG", "TMPDIR") if name in os.environ},
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "ORCHESTRATOR_HOME": str(home),
        }

    def queue(self, *tasks: str | dict[str, Any]) -> Path:
        """Write the queue: names, or whole tasks."""
        rows = [task(item) if isinstance(item, str) else item for item in tasks]
        text = json.dumps({"schema_version": 1, "kind": "task_queue", "tasks": rows}, indent=1)
        return write(self.queue_path, text)

    @property
    def queue_path(self) -> Path:
        """Give the queue file's path."""
        return self.root / "progress/task_queue.json"

    def settings(self, **changes: Any) -> None:  # noqa: ANN401
        """Change parts of orchestrator.yaml, and commit it."""
        path = self.root / "orchestrator.yaml"
        value = json.loads(path.read_text())
        for name, part in changes.items():
            value[name] = {**value[name], **part} if isinstance(part, dict) else part
        write(path, json.dumps(value, indent=1))
        commit(self.root)

    def argv(self, *arguments: str) -> list[str]:
        """Give the command line of a call."""
        return [sys.executable, "-m", "orchestrator", *arguments]

    def call(self, *arguments: str, cwd: Path | None = None, **env: str) -> Done:
        """Run a command in the project's folder to its end."""
        done = subprocess.run(
            self.argv(*arguments),
            cwd=cwd or self.root,
            env={**self.env, **env},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SEC,
            check=False,
        )
        assert "Traceback" not in done.stderr + done.stdout, done.stderr
        return Done(done.returncode, done.stdout, done.stderr)

    @contextmanager
    def started(self, *arguments: str) -> Iterator[Running]:
        """Start a command in a process group of its own; nothing of it outlives the block."""
        process = subprocess.Popen(
            self.argv(*arguments),
            cwd=self.root,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            process_group=0,
        )
        try:
            yield Running(process)
        finally:
            if process.poll() is None:
                process.kill()
            process.communicate(timeout=PATIENCE_SEC)

    def text(self, name: str) -> str:
        """Read a file of the project."""
        return (self.root / name).read_text()

    def states(self) -> dict[str, str]:
        """Give each task's state, as the view of the queue says it."""
        rows = json.loads(self.queue_path.read_text())["tasks"]
        return {row["task_key"]: row["status"] for row in rows}

    def entries(self) -> list[dict[str, Any]]:
        """Read the ledger's file."""
        path = self.root / "workflow/acceptance/events.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()]

    def tree(self) -> dict[str, str]:
        """Give path -> content of all that git sees."""
        names = git(self.root, "ls-files", "-co", "--exclude-standard", "-z").split("\0")
        return {
            name: (self.root / name).read_text()
            for name in names
            if name and (self.root / name).exists()
        }

    def assert_verifies(self) -> None:
        """Fail unless `verify` is content."""
        done = self.call("verify")
        assert done.code == 0, done.out


@dataclass
class Running:
    """A command that runs."""

    process: subprocess.Popen[str]

    def signal(self, number: int) -> None:
        """Send a signal to the program alone."""
        self.process.send_signal(number)

    def end(self) -> Done:
        """Wait for its end."""
        out, err = self.process.communicate(timeout=PATIENCE_SEC)
        assert "Traceback" not in err + out, err
        return Done(self.process.returncode, out, err)

    def wait_for_line(self, part: str) -> str:
        """Read stderr up to a line with these words. Gives the line."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if part in line:
                return line
        raise AssertionError(f"it ended without saying {part!r}")


class Gate:
    """A pair of pipes at which a child says that it is there, and waits to be let on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self._ends = {}
        for name in ("started", "go"):
            os.mkfifo(folder / name)
            self._ends[name] = os.open(folder / name, os.O_RDWR | os.O_NONBLOCK)

    def wait(self) -> None:
        """Return when a child has come to the gate."""
        ready, _, _ = select.select([self._ends["started"]], [], [], PATIENCE_SEC)
        assert ready, "nobody came to the gate"
        os.read(self._ends["started"], 1)

    def open(self, times: int = 1) -> None:
        """Let so many through."""
        os.write(self._ends["go"], b"\n" * times)

    def close(self) -> None:
        """Take the pipes away; who still waits is let on."""
        self.open(64)
        for end in self._ends.values():
            os.close(end)

    def worker(self) -> list[str]:
        """Give the shim's command line: the scripted worker, behind the gate."""
        script = write(self.folder / "worker.sh", GATED_WORKER)
        return ["/bin/sh", str(script), str(self.folder), *WORKER]


def marked_processes() -> list[int]:
    """Give every process with ORCHESTRATOR_ATTEMPT in its environment."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                if b"ORCHESTRATOR_ATTEMPT=" in (folder / "environ").read_bytes():
                    found.append(int(folder.name))
            except OSError:
                continue
    return found


def copied(template: Path, place: Path) -> Stage:
    """Copy the repository to a place of its own."""
    shutil.copytree(template, place / "repo", symlinks=True)
    return Stage(place / "repo", place / "home")


def deadline() -> float:
    """Give the moment after which waiting is given up."""
    return time.monotonic() + PATIENCE_SEC
