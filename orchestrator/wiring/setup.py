"""What `init` makes and `doctor` looks at."""

from __future__ import annotations

import os
import platform
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from orchestrator.errors import NothingToDo, OrchestratorError
from orchestrator.vocabulary import PROGRESS_DIR, WORKFLOW_DIR
from orchestrator.wiring.places import CONFIG_FILE, STORE_FILE, find_root
from orchestrator.wiring.project import Project
from orchestrator.wiring.settings import load_settings

_QUEUE = b"""{
  "schema_version": 1,
  "kind": "task_queue",
  "tasks": []
}
"""
_SETTINGS = """\
# Settings of this project. Every key has a default; remove what you do not change.
schema_version: 1

worker:
  backend: shim                   # shim: speaks gxd-subagent-shim; command: pack on stdin
  agent: codex                    # which agent the shim drives
  shim: [gxd-subagent-shim]       # the shim's program and its first arguments
  # command: [my-agent, --json]   # for backend: command
  # environment: [OPENAI_API_KEY] # variables the worker may see besides the usual few

checks:
  on_base: true                   # also run passing checks on the base tree: have they any force?
  reruns: 1                       # a failing check runs again before its failure counts

limits:
  max_rework_rounds: 1
  max_identical_failures: 2
  backoff_sec: 5
"""
_IGNORED = ("/progress/*", "/workflow/*", "/.artifacts/", "/.orchestrator/")
_MIN_GIT = (2, 25)


def init_project(project_dir: str | None, progress_dir: str | None) -> dict[str, Any]:
    """Make what is missing; leave alone what is there."""
    root = find_root(project_dir)
    made: list[str] = []
    there: list[str] = []
    progress = Path(progress_dir).absolute() if progress_dir else root / PROGRESS_DIR
    for path, content in (
        (root / CONFIG_FILE, _SETTINGS.encode()),
        (progress / "task_queue.json", _QUEUE),
    ):
        if path.exists():
            there.append(_shown(path, root))
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        made.append(_shown(path, root))
    store_was_there = (progress / STORE_FILE).exists()
    project = Project.open(str(root), progress_dir=str(progress))
    try:
        had_key = project.home.key(project.project_id).exists()
        project.signing_key()
        (there if had_key else made).append(str(project.home.key(project.project_id)))
        (there if store_was_there else made).append(_shown(progress / STORE_FILE, root))
        (root / WORKFLOW_DIR).mkdir(exist_ok=True)
        data = {
            "root": str(root),
            "project_id": project.project_id,
            "made": made,
            "there": there,
            "warnings": list(_ignore_warnings(root)),
        }
    finally:
        project.close()
    return data


def _shown(path: Path, root: Path) -> str:
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)


def _ignore_warnings(root: Path) -> Iterator[str]:
    """The user's .gitignore is theirs: say what to add, do not write it."""
    if not (root / ".git").exists():
        yield "this is not a git repository: checkpoints copy files, which costs more"
        return
    try:
        lines = (root / ".gitignore").read_text("utf-8", "replace").splitlines()
    except OSError:
        lines = []
    present = {line.strip().strip("/").removesuffix("/*") for line in lines}
    missing = [line for line in _IGNORED if line.strip("/").removesuffix("/*") not in present]
    if missing:
        yield "git would show the controller's own files; add to .gitignore: " + " ".join(missing)


def diagnose(project_dir: str | None, progress_dir: str | None) -> dict[str, Any]:
    """Look at everything; never stop at the first fault."""
    root = find_root(project_dir)
    progress = Path(progress_dir).absolute() if progress_dir else root / PROGRESS_DIR
    checks = [
        _python(),
        _git(),
        _sqlite(),
        _platform(),
        _worktree(root, progress),
        *_settings(root),
        _store(root, progress),
        _disk(root),
    ]
    return {
        "root": str(root),
        "checks": checks,
        "healthy": all(row["result"] != "missing" for row in checks),
    }


def _row(check: str, result: str, what: str, mend: str = "") -> dict[str, str]:
    return {"check": check, "result": result, "what": what, "mend": mend}


def _python() -> dict[str, str]:
    return _row("python", "ok", f"{platform.python_version()} ({sys.executable})")


def _git() -> dict[str, str]:
    try:
        done = subprocess.run(
            ["git", "--version"], capture_output=True, text=True, check=True, timeout=10
        )
    except (OSError, subprocess.SubprocessError):
        return _row("git", "missing", "git does not run", "install git 2.25 or newer")
    text = done.stdout.strip().removeprefix("git version ")
    numbers = tuple(int(part) for part in text.split(".")[:2] if part.isdigit())
    if numbers < _MIN_GIT:
        return _row("git", "missing", text, "install git 2.25 or newer")
    return _row("git", "ok", text)


def _sqlite() -> dict[str, str]:
    return _row("sqlite", "ok", sqlite3.sqlite_version)


def _platform() -> dict[str, str]:
    if platform.system() == "Linux":
        what = "Linux; workers run under limits, without kernel confinement (tier: advisory)"
        return _row("confinement", "warning", what, "run untrusted agents in a container for now")
    return _row(
        "confinement",
        "warning",
        f"{sys.platform}: process trees are followed by polling only (tier: advisory)",
        "use Linux for unattended runs",
    )


def _worktree(root: Path, progress: Path) -> dict[str, str]:
    from orchestrator.workspace.open import open_workspace  # noqa: PLC0415  only here

    try:
        project = Project.open(str(root), progress_dir=str(progress), create=False)
    except OrchestratorError:
        return _row("work tree", "ok", "not opened yet; init makes the project")
    try:
        workspace = open_workspace(root, project.scratch)
        workspace.close()
    except OrchestratorError as error:
        return _row("work tree", "missing", error.what, error.mend)
    finally:
        project.close()
    return _row("work tree", "ok", f"{workspace.kind} in {root}")


def _settings(root: Path) -> Iterator[dict[str, str]]:
    try:
        settings = load_settings(root)
    except OrchestratorError as error:
        problems = "; ".join(getattr(error, "problems", ())) or error.what
        yield _row("settings", "missing", problems, error.mend)
        return
    yield _row("settings", "ok", CONFIG_FILE if (root / CONFIG_FILE).exists() else "defaults")
    worker = settings.worker
    argv = worker.command if worker.backend == "command" else worker.shim
    program = argv[0] if argv else ""
    if program and shutil.which(program):
        yield _row("worker", "ok", f"{worker.backend}: {shutil.which(program)}")
    else:
        mend = f"install it, or name the program in {CONFIG_FILE}: worker"
        yield _row("worker", "missing", f"{worker.backend}: {program or 'nothing'} not found", mend)


def _store(root: Path, progress: Path) -> dict[str, str]:
    path = progress / STORE_FILE
    if not path.exists():
        return _row("store", "warning", "none yet", "python -m orchestrator init")
    try:
        project = Project.open(str(root), progress_dir=str(progress), create=False)
    except OrchestratorError as error:
        return _row("store", "missing", error.what, error.mend)
    try:
        row = project.store.database.one("PRAGMA quick_check")
        entries = project.store.ledger.size()
    except OrchestratorError as error:
        return _row("store", "missing", error.what, error.mend)
    finally:
        project.close()
    if row is None or row[0] != "ok":
        return _row("store", "missing", f"damaged: {row}", "restore it from a copy")
    return _row("store", "ok", f"{path.name}, {entries} ledger entries")


def _disk(root: Path) -> dict[str, str]:
    free_mb = shutil.disk_usage(root).free // (1024 * 1024)
    writable = os.access(root, os.W_OK)
    if not writable:
        return _row("disk", "missing", "the project cannot be written", "make it writable")
    if free_mb < 500:  # noqa: PLR2004  what a campaign of a day may need
        return _row("disk", "warning", f"{free_mb} MB free", "free some space")
    return _row("disk", "ok", f"{free_mb} MB free")


def take_queue(project_dir: str | None, progress_dir: str | None, file: str) -> dict[str, Any]:
    """Import a queue file in the name of the person who asks for it. Takes no lock."""
    project = Project.open(project_dir, progress_dir=progress_dir, create=False)
    try:
        path = Path(file)
        if not path.exists() and (project.queue.path.parent / file).exists():
            path = project.queue.path.parent / file
        if not path.exists():
            raise NothingToDo(
                "there is no such file", where=file, mend="name the held file that was told"
            )
        edit = project.queue.take(path, project.now())
    finally:
        project.close()
    return {
        "added": list(edit.added),
        "changed": list(edit.changed),
        "removed": list(edit.removed),
        "moved": list(edit.moved),
        "notes": list(edit.notes),
    }
