"""Full governed cycles in real campaigns, with queues of several lengths.

A cycle is taken from one claim to the next: everything between, views and the look at the queue
file included. `wall` is its time; `own` is that less the time in which child processes ran (the
worker, git, the check); `cpu` is the processor time of the controller alone, which a loaded
machine distorts least. The queues take turns, so that load hits them alike.
"""

from __future__ import annotations

import contextlib
import json
import statistics
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import project as projects
from benchmarks.counting import counted
from benchmarks.floor import Floor
from benchmarks.rows import Row, Scale, row

if TYPE_CHECKING:
    from orchestrator.engine.controller import ControllerEngine
    from orchestrator.wiring.project import Project

_BLOCK = 6  # cycles between two turns


@dataclass(frozen=True, slots=True)
class _Mark:
    wall: float
    cpu: float
    children: float
    counts: Counter[str]


class _Clock:
    """A listener that reads the clocks at each claim."""

    def __init__(self) -> None:
        self.engine: ControllerEngine | None = None
        self.counts: Counter[str] = Counter()
        self.marks: list[_Mark] = []

    def tell(self, event: str, /, **_facts: object) -> None:
        if event != "claimed" or self.engine is None:
            return
        worker, workplace = self.engine.parts.worker, self.engine.parts.workplace
        children = worker.child_seconds + workplace.child_seconds  # type: ignore[attr-defined]
        counts = Counter(self.counts)
        counts["git"] = int(workplace.workspace.spawned)  # type: ignore[attr-defined]
        self.marks.append(_Mark(time.perf_counter(), time.process_time(), children, counts))


@dataclass(slots=True)
class Lane:
    """One project with its queue, and what was measured in it; times in ms."""

    place: projects.Place
    project: Project
    engine: ControllerEngine
    clock: _Clock
    next_task: int
    import_ms: float = 0.0
    wall: list[float] = field(default_factory=list)
    own: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def run(self, cycles: int) -> None:
        """Run one campaign of so many cycles. Raises RuntimeError unless all are accepted."""
        self._top_up(cycles)
        self.clock.marks.clear()
        report = self.engine.run_campaign(max_cycles=cycles)
        bad = [done for done in report.cycles if done.state != "completed"]
        if bad or report.count != cycles:
            msg = f"a no-op cycle was not accepted: {bad[0] if bad else report.stop}"
            raise RuntimeError(msg)
        marks = self.clock.marks
        for before, after in pairwise(marks):
            wall = after.wall - before.wall
            self.wall.append(wall * 1e3)
            self.own.append((wall - after.children + before.children) * 1e3)
            self.cpu.append((after.cpu - before.cpu) * 1e3)

    def _top_up(self, cycles: int) -> None:
        """Add tasks to a short queue, as a person would, so that it keeps its length."""
        pending = self.project.store.counters().get("state.pending", 0)
        if pending > 10 * cycles:
            return
        wanted = max(self.place.tasks, cycles + 1) - pending
        path = self.project.queue.path
        queue = json.loads(path.read_bytes())
        numbers = range(self.next_task, self.next_task + wanted)
        queue["tasks"] += [projects.task(number) for number in numbers]
        self.next_task += wanted
        path.write_text(json.dumps(queue), encoding="utf-8")


@contextlib.contextmanager
def lane(folder: Path, *, tasks: int, cycles: int) -> Iterator[Lane]:
    """Build a project with so many tasks, import its queue, and be ready for so many cycles."""
    from orchestrator.wiring.assembly import open_engine
    from orchestrator.wiring.flags import RunFlags
    from orchestrator.wiring.project import Project

    place = projects.build(folder / f"queue-{tasks}", tasks=tasks, packs=cycles)
    clock = _Clock()
    project = Project.open(str(place.root), for_running=True, listener=clock)
    try:
        start = time.perf_counter()
        project.queue.sync(project.now())
        import_ms = (time.perf_counter() - start) * 1e3
        clock.engine = engine = open_engine(project, RunFlags())
        yield Lane(place, project, engine, clock, tasks, import_ms)
    finally:
        project.close()


def measure(folder: Path, scale: Scale) -> list[Row]:
    """Run cycles in every length of queue, in turns; give times, counts and flatness."""
    turns = -(-scale.cycles // (_BLOCK - 1))  # a block of n cycles has n - 1 whole intervals
    floor = Floor(folder)
    with contextlib.ExitStack() as stack:
        stack.callback(floor.close)
        lanes = [
            stack.enter_context(lane(folder, tasks=tasks, cycles=(turns + 2) * _BLOCK))
            for tasks in scale.queues
        ]
        counts = [_counts(one) for one in lanes]
        commits = round(counts[0]["commits"])
        spawns: list[float] = []
        syncs: list[float] = []
        for _ in range(turns):
            for one in lanes:
                one.run(_BLOCK)
                spawns.append(floor.spawn_ms())
                syncs.append(floor.fsync_ms(commits))
        durable = statistics.median(syncs)
        least = statistics.median(spawns) + durable
        rows = [figure for one in lanes for figure in _times(one, least, durable)]
        return [*rows, *_flatness(lanes), *_count_rows(counts[0])]


def _counts(one: Lane) -> dict[str, float]:
    """Count from claim to claim in one block, after a first one that warms everything up."""
    one.run(_BLOCK)
    with counted(one.project) as found:
        one.clock.counts = found
        one.run(_BLOCK)
    one.clock.counts = Counter()
    first, last = one.clock.marks[0].counts, one.clock.marks[-1].counts
    for samples in (one.wall, one.own, one.cpu):
        samples.clear()
    return {name: (number - first[name]) / (_BLOCK - 1) for name, number in last.items()}


def _times(one: Lane, least: float, durable: float) -> list[Row]:
    tasks = one.place.tasks
    return [
        row(f"cycle.wall.{tasks}", one.wall, "ms", floor=least),
        row(f"cycle.own.{tasks}", one.own, "ms", floor=durable),
        row(f"cycle.cpu.{tasks}", one.cpu, "ms"),
        row(f"cycle.mean_wall.{tasks}", [statistics.fmean(one.wall)], "ms"),
        row(f"cycle.import.{tasks}", [one.import_ms], "ms"),
    ]


def _flatness(lanes: list[Lane]) -> list[Row]:
    """Compare the longest queue with the shortest: 1 is flat."""
    if len(lanes) < 2:
        return []
    first, last = lanes[0], lanes[-1]
    pairs = (
        ("wall", first.wall, last.wall),
        ("own", first.own, last.own),
        ("cpu", first.cpu, last.cpu),
    )
    return [
        row(f"cycle.flat_{name}", [statistics.median(long) / statistics.median(short)], "ratio")
        for name, short, long in pairs
    ]


def _count_rows(counts: dict[str, float]) -> list[Row]:
    """What one cycle asks of the machine."""
    names = ("commits", "fsyncs", "git", "statements")
    return [row(f"cycle.{name}", [counts.get(name, 0.0)], "a cycle") for name in names]
