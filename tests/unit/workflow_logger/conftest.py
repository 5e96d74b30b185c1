from __future__ import annotations

import importlib.util
import json
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from types import ModuleType

import pytest

from workflow_logger import WorkflowLogger
from workflow_logger.canonical import encode
from workflow_logger.checkpoint import SigningKey, origin_of, sign_checkpoint
from workflow_logger.entry import genesis
from workflow_logger.keys import load_private_key, load_public_key
from workflow_logger.merkle import Frontier
from workflow_logger.report import Report
from workflow_logger.verify import verify_project

REPOSITORY = Path(__file__).resolve().parents[3]


def ticking_clock() -> Callable[[], datetime]:
    """A second a call, from a fixed start."""
    moment = datetime(2026, 1, 31, 12, 0, 0, 123000, UTC)

    def tick() -> datetime:
        nonlocal moment
        moment += timedelta(seconds=1)
        return moment

    return tick


@pytest.fixture(scope="session")
def second_verifier() -> ModuleType:
    """scripts/verify_ledger.py, which shares no code with the package."""
    path = REPOSITORY / "scripts" / "verify_ledger.py"
    spec = importlib.util.spec_from_file_location("verify_ledger", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["verify_ledger"] = module
    spec.loader.exec_module(module)
    return module


@dataclass
class Playground:
    """A small ledger of two tasks, and what an attacker does to its files."""

    root: Path
    home: Path
    project_id: str
    logger: WorkflowLogger

    @property
    def project(self) -> Path:
        return self.root / self.project_id

    @property
    def events(self) -> Path:
        return self.project / "events.jsonl"

    @property
    def notes(self) -> Path:
        return self.project / "manifest" / "checkpoints.log"

    @property
    def anchor(self) -> Path:
        return self.home / "anchors" / f"{self.project_id}.note"

    @property
    def trusted(self) -> Path:
        return self.home / "trusted" / f"{self.project_id}.vkey"

    def task_file(self, task_id: str) -> Path:
        return self.project / "tasks" / task_id / "events.jsonl"

    def lines(self) -> list[bytes]:
        return self.events.read_bytes().splitlines(keepends=True)

    def rewrite(self, lines: list[bytes], *, with_tasks: bool = True) -> None:
        """Put `lines` in place, and the same entries in the tasks' files."""
        self.events.write_bytes(b"".join(lines))
        if not with_tasks:
            return
        by_task: dict[str, list[bytes]] = {}
        for line in lines:
            by_task.setdefault(_task_of(line), []).append(line)
        for folder in (self.project / "tasks").iterdir():
            (folder / "events.jsonl").write_bytes(b"".join(by_task.get(folder.name, [])))

    def forge(self, lines: list[bytes]) -> list[bytes]:
        """Make all hashes anew, as a clever attacker would."""
        project = genesis(self.project_id).last_hash
        tasks: dict[str, tuple[int, str]] = {}
        forged = []
        for seq, line in enumerate(lines):
            entry = json.loads(line)
            size, head = tasks.get(entry["task_id"], (0, genesis(self.project_id).last_hash))
            entry |= {"seq": seq, "task_seq": size, "prev_hash": project, "prev_event_hash": head}
            forged.append(seal(entry))
            project = json.loads(forged[-1])["event_hash"]
            tasks[entry["task_id"]] = (size + 1, project)
        return forged

    def sign(self, key: SigningKey | None = None) -> str:
        """Return a checkpoint over what is there now."""
        frontier = Frontier()
        for line in self.lines():
            frontier.append(line[:-1])
        own = key or load_private_key(self.home / "keys" / f"{self.project_id}.key")
        return sign_checkpoint(origin_of(self.project_id), frontier.size, frontier.root(), own)

    def foreign_key(self) -> SigningKey:
        return SigningKey(origin_of(self.project_id), b"\7" * 32)

    def verify(self, *, key: bool = True, anchor: bool = True) -> Report:
        public_key = load_public_key(self.trusted) if key else None
        return verify_project(
            self.root,
            self.project_id,
            public_key=public_key,
            anchor=self.anchor if anchor else None,
        )

    def rules(self, **options: bool) -> set[str]:
        return {finding.rule for finding in self.verify(**options).findings}


def _task_of(line: bytes) -> str:
    return re.findall(r'"task_id":"([^"]*)"', line.decode("utf-8", "replace"))[-1]


def seal(entry: dict[str, object]) -> bytes:
    """Return a line whose event_hash is true."""
    rest = {name: value for name, value in entry.items() if name != "event_hash"}
    return encode({**rest, "event_hash": sha256(encode(rest)).hexdigest()}) + b"\n"


def attempt(logger: WorkflowLogger, task_id: str, r: int, s: int, **changes: object) -> None:
    """Log an attempt with ordinary fields."""
    fields: dict[str, object] = {
        "acceptance_snapshot": ["AC-1: tests pass"],
        "code_change_summary": "Fix the parser.",
        "code_content": "def parse(): ...",
        "executed_files": ["src/parser.py"],
        "executed_commands": ["python -m unittest"],
        "test_results": "0 failed",
        "result": "PASS",
        "reason_code": "PASS_ALL_CRITERIA",
        "reason_detail": "All of it — even the naïve part.",
        "next_action": "Close.",
    }
    logger.log_attempt(task_id, r, s, **{**fields, **changes})  # type: ignore[arg-type]


def open_playground(base: Path) -> Playground:
    home, root = base / "home", base / "workflow"
    logger = WorkflowLogger(root, "demo", home=home, clock=ticking_clock())
    return Playground(root, home, "demo", logger)


@pytest.fixture
def empty(tmp_path: Path) -> Playground:
    """A project without entries."""
    playground = open_playground(tmp_path)
    playground.logger.init()
    return playground


@pytest.fixture(scope="session")
def written_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six entries of two tasks; every test gets its own copy, because fsync is slow."""
    base = tmp_path_factory.mktemp("ledger")
    logger = open_playground(base).logger
    attempt(logger, "T-1", 0, 0, result="FAIL")
    attempt(logger, "T-2", 0, 0)
    attempt(logger, "T-1", 0, 1, result="FAIL")
    attempt(logger, "T-1", 1, 0)
    logger.close_task("T-2", "accepted", "Done.")
    logger.close_task("T-1", "accepted", "Done after a revision.")
    return base


@pytest.fixture
def ledger(tmp_path: Path, written_once: Path) -> Playground:
    """Six entries of two tasks, the last two of them closes."""
    shutil.copytree(written_once, tmp_path, dirs_exist_ok=True)
    return open_playground(tmp_path)
