"""One durable decision at a time: a note in the ledger, a move of a task, a claim."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

from benchmarks import project as projects
from benchmarks.floor import Floor
from benchmarks.rows import Row, Scale, row

_LEASE_MS = 60_000


def measure(folder: Path, scale: Scale) -> list[Row]:
    """Note, claim and move in turns, each beside one append with fsync."""
    from orchestrator.kernel.life import Event
    from orchestrator.kernel.records import Move
    from orchestrator.wiring.project import Project

    place = projects.build(folder / "store", tasks=scale.moves, packs=0)
    project = Project.open(str(place.root), for_running=True)
    floor = Floor(folder)
    times: dict[str, list[float]] = {name: [] for name in ("append", "claim", "move", "floor")}
    try:
        store = project.store
        project.queue.sync(project.now())
        for _ in range(scale.moves):
            now = project.now()
            start = time.perf_counter()
            store.note(moment=now, run_id="run", kind="benchmark", body={"what": "a note"})
            noted = time.perf_counter()
            task = store.claim_next(run_id="run", moment=now, lease_until_ms=now.ms + _LEASE_MS)
            claimed = time.perf_counter()
            if task is None:
                msg = "the queue has too few tasks"
                raise RuntimeError(msg)
            move = Move(
                task_key=task.key,
                event=Event.PREPARE,
                moment=now,
                run_id="run",
                token=task.lease_token,
                body={"checkpoint_id": "none"},
            )
            before = time.perf_counter()
            store.move(move)
            moved = time.perf_counter()
            times["append"].append((noted - start) * 1e3)
            times["claim"].append((claimed - noted) * 1e3)
            times["move"].append((moved - before) * 1e3)
            times["floor"].append(floor.fsync_ms())
    finally:
        floor.close()
        project.close()
    least = statistics.median(times.pop("floor"))
    return [row(f"store.{name}", samples, "ms", floor=least) for name, samples in times.items()]
