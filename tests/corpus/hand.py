"""What a worker of the corpus works with, and the process that plays one case.

    python -S -E hand.py MODULE CASE < pack.json

Standard library only. The pack comes on stdin, the ids in ORCHESTRATOR_*; the answer goes to
stdout, as the backend `command` wants it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

Json = dict[str, Any]
HOLD_SEC = 600.0


class Hand:
    """The work tree, git, and the claim."""

    def __init__(self, pack: Json) -> None:
        self.resumed = os.environ.get("ORCHESTRATOR_ACTION") == "resume"
        self.task_id = os.environ["ORCHESTRATOR_TASK_ID"]
        self.run_id = os.environ["ORCHESTRATOR_RUN_ID"]
        self.step_id = os.environ["ORCHESTRATOR_STEP_ID"]
        self.round = os.environ["ORCHESTRATOR_ROUND"]
        self.evidence = (
            f".artifacts/agent_runs/{self.run_id}/steps/{self.step_id}/rounds/W{self.round}"
        )
        self.base = Path.cwd()
        self.pack = self._remembered(pack)

    def _remembered(self, pack: Json) -> Json:
        """A ReworkPack does not repeat the StepPack: keep it from round to round."""
        memory = f"{self.evidence}/../../pack.json"
        if self.resumed:
            known: Json = json.loads(self.read(memory))
            return known
        self.write(memory, json.dumps(pack))
        return pack

    # the tree

    def write(self, path: str, content: str | bytes, mode: int | None = None) -> None:
        target = Path(os.path.normpath(self.base / path))
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode() if isinstance(content, str) else content)
        if mode is not None:
            target.chmod(mode)

    def read(self, path: str) -> str:
        return Path(os.path.normpath(self.base / path)).read_bytes().decode()

    def replace(self, path: str, old: str, new: str) -> None:
        text = self.read(path)
        if old not in text:
            raise ValueError(f"{path} does not hold {old!r}")
        self.write(path, text.replace(old, new))

    def move(self, old: str, new: str) -> None:
        (self.base / new).parent.mkdir(parents=True, exist_ok=True)
        (self.base / old).rename(self.base / new)

    def remove(self, path: str) -> None:
        (self.base / path).unlink()

    def link(self, path: str, target: str) -> None:
        (self.base / path).parent.mkdir(parents=True, exist_ok=True)
        (self.base / path).symlink_to(target)

    def fix(self) -> None:
        """The honest repair that turns the default check green."""
        self.replace("app/calc.py", "return a - b", "return a + b")

    def pretend(self) -> None:
        """A change that repairs nothing."""
        self.replace("app/calc.py", "Numbers.", "Better numbers.")

    def git(self, *arguments: str) -> str:
        settings = ["-c", "user.name=W", "-c", "user.email=w@example.invalid"]
        settings += ["-c", "commit.gpgsign=false", "-c", "protocol.file.allow=always"]
        return subprocess.run(
            ["git", *settings, *arguments], check=True, stdout=subprocess.PIPE, text=True
        ).stdout

    # the claim

    def changed(self) -> list[str]:
        """What `git status` says, both ends of a rename."""
        out = self.git("-c", "status.renames=false", "status", "--porcelain", "-z", "-uall")
        return sorted(line[3:] for line in out.split("\0") if line)

    def claim(self, **more: object) -> Json:
        """The plain honest claim; `more` replaces keys."""
        return {
            "task_id": self.task_id,
            "step_id": self.step_id,
            "result": "PASS",
            "reason_code": "PASS_ALL_CRITERIA",
            "summary": "done",
            "files_changed": self.changed() if "files_changed" not in more else [],
            "commands_executed": [
                {"command": command, "exit_code": 0}
                for command in self.pack.get("commands_to_run", [])
            ],
            "verification_results": [{"criteria": text, "met": True} for text in self.criteria()],
            **more,
        }

    def full_claim(self, **more: object) -> Json:
        """The claim that a pack with an evidence review asks for, with its files."""
        records = []
        for index, command in enumerate(self.pack.get("commands_to_run", [])):
            path = f"{self.evidence}/outputs/cmd_{index}.txt"
            self.write(path, f"ran {command}\n")
            records.append({"command": command, "exit_code": 0, "evidence_path": path})
        own = f"{self.evidence}/report.md"
        self.write(own, "what I did\n")
        self.write(f"{self.evidence}/step_result.json", "{}\n")
        names = [text.partition(":")[0] for text in self.criteria()]
        full = {
            "run_id": self.run_id,
            "commands_executed": records,
            "verification_results": [
                {"criteria": text, "met": True, "evidence_path": own} for text in self.criteria()
            ],
            "evidence_map": {name: [own] for name in names},
            "scope_guard": {"self_check": {"all_changed_files_within_allowed": True}},
            **more,
        }
        return self.claim(**full)

    def criteria(self) -> list[str]:
        return [str(text) for text in self.pack.get("acceptance_criteria", [])]

    # endings

    def say(self, text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()

    def answer_as(self, text: str) -> None:
        """Print something else than a claim, and end."""
        self.say(text)
        os._exit(0)

    def hold(self, seconds: float = HOLD_SEC) -> None:
        """Stay, without a word."""
        import select

        select.select([], [], [], seconds)

    def leave_behind(self, work: Callable[[], None], *, after_sec: float) -> None:
        """Leave a process of its own session that does `work` once the worker has ended."""
        worker = os.getpid()
        child = os.fork()
        if child:
            os.waitpid(child, 0)
            return
        os.setsid()
        if os.fork():
            os._exit(0)
        null = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(null, stream)
        while _is_there(worker):
            self.hold(0.001)
        self.hold(after_sec)
        work()
        self.hold()
        os._exit(0)


def _is_there(process: int) -> bool:
    try:
        with Path(f"/proc/{process}/stat").open() as file:
            return " Z " not in file.read()
    except OSError:
        return False


def main(argv: list[str]) -> int:
    module, case = argv
    # not beside this file, and not installed: the name `tests` is the repository's
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    import importlib

    play = getattr(importlib.import_module(module), case)
    hand = Hand(json.loads(sys.stdin.read()))
    claim = play(hand)
    sys.stdout.write(json.dumps(hand.claim() if claim is None else claim) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
