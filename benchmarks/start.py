"""Commands that a person waits for: `--help`, and `status` of a short and of a long queue."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks import project as projects
from benchmarks.rows import Row, Scale, row

_BARE = [sys.executable, "-c", "pass"]
_OURS = [sys.executable, "-m", "orchestrator"]


def measure(folder: Path, scale: Scale) -> list[Row]:
    """Start each command in turns with a bare interpreter; wall and processor time."""
    commands = {"start.floor": _BARE, "start.help": [*_OURS, "--help"]}
    for tasks in dict.fromkeys((10, scale.tasks)):
        root = _imported(folder / f"status-{tasks}", tasks)
        commands[f"start.status.{tasks}"] = [*_OURS, "status", "--project", str(root)]
    walls: dict[str, list[float]] = {name: [] for name in commands}
    cpus: dict[str, list[float]] = {name: [] for name in commands}
    for turn in range(scale.starts + 1):
        for name, argv in commands.items():
            wall, cpu = run_ms(argv)
            if turn:  # the first one compiles what was changed
                walls[name].append(wall)
                cpus[name].append(cpu)
    wall_floor = statistics.median(walls.pop("start.floor"))
    cpu_floor = statistics.median(cpus.pop("start.floor"))
    return [
        figure
        for name in walls
        for figure in (
            row(f"{name}.wall", walls[name], "ms", floor=wall_floor),
            row(f"{name}.cpu", cpus[name], "ms", floor=cpu_floor),
        )
    ]


def run_ms(argv: Sequence[str]) -> tuple[float, float]:
    """Run one command to its end: wall and processor time. Raises RuntimeError when it fails."""
    start = time.perf_counter()
    child = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    wall = time.perf_counter() - start
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        msg = f"{' '.join(argv)} ended with {child.returncode}"
        raise RuntimeError(msg)
    return wall * 1e3, (usage.ru_utime + usage.ru_stime) * 1e3


def _imported(root: Path, tasks: int) -> Path:
    """Build a project whose store holds so many tasks."""
    from orchestrator.wiring.project import Project

    place = projects.build(root, tasks=tasks, packs=0)
    project = Project.open(str(place.root), for_running=True)
    try:
        project.queue.sync(project.now())
    finally:
        project.close()
    return place.root
