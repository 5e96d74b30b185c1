"""Resident memory of a controller with a long queue, measured in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from benchmarks import project as projects
from benchmarks.rows import Row, Scale, row

_CYCLES = 5


def measure(folder: Path, scale: Scale) -> list[Row]:
    """Import a queue and run a few cycles in a child; MB of 10^6 bytes."""
    place = projects.build(folder / "memory", tasks=scale.tasks, packs=_CYCLES)
    command = [sys.executable, "-m", "benchmarks.memory"]
    ours = _ask([*command, str(place.root)])
    bare = _ask(command)
    return [
        row(f"memory.resident.{scale.tasks}", [ours["VmRSS"]], "MB", floor=bare["VmRSS"]),
        row(f"memory.peak.{scale.tasks}", [ours["VmHWM"]], "MB", floor=bare["VmHWM"]),
    ]


def _ask(command: list[str]) -> dict[str, float]:
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def _run_in(root: str) -> None:
    """Do what a campaign does: import, a few cycles, all views."""
    from orchestrator.wiring.assembly import open_engine
    from orchestrator.wiring.flags import RunFlags
    from orchestrator.wiring.project import Project

    project = Project.open(root, for_running=True)
    try:
        open_engine(project, RunFlags()).run_campaign(max_cycles=_CYCLES)
        print(json.dumps(_now()))
    finally:
        project.close()


def _now() -> dict[str, float]:
    """Read this process's own figures, in MB."""
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    pairs = (line.split() for line in lines if line.startswith(("VmRSS:", "VmHWM:")))
    return {name.rstrip(":"): int(kib) * 1024 / 1e6 for name, kib, *_ in pairs}


if __name__ == "__main__":
    if len(sys.argv) > 1:
        _run_in(sys.argv[1])
    else:
        print(json.dumps(_now()))
