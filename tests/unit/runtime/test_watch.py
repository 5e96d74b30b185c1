from __future__ import annotations

from orchestrator.runtime.procfs import PAGE_KB, Stat
from orchestrator.runtime.watch import LifeSigns, Usage, memory_kb


def stat(pid: int, *, cpu: int = 0, pages: int = 0, state: str = "S", start: int = 7) -> Stat:
    return Stat(pid, state, 1, 1, cpu, start, pages)


def test_the_memory_of_a_tree_is_the_sum_of_its_living_members() -> None:
    usage = Usage()
    usage.sample([stat(1, pages=10), stat(2, pages=5), stat(3, pages=99, state="Z")])
    usage.sample([stat(1, pages=1)])
    assert usage.peak_rss_kb == 15 * PAGE_KB
    assert usage.rss_kb == PAGE_KB
    assert usage.peak_processes == 2


def test_cpu_progress_counts_what_each_process_gained() -> None:
    usage = Usage()
    assert usage.sample([stat(1, cpu=5)]) == 5
    assert usage.sample([stat(1, cpu=8), stat(2, cpu=2)]) == 5
    assert usage.sample([stat(2, cpu=2)]) == 0


def test_a_reused_number_is_another_process() -> None:
    usage = Usage()
    usage.sample([stat(1, cpu=50, start=7)])
    assert usage.sample([stat(1, cpu=3, start=9)]) == 3


def test_memory_under_the_limit_is_taken_from_the_cheap_figure() -> None:
    assert memory_kb([stat(0, pages=10**9)], 100, 100) == 100


def test_output_is_life() -> None:
    life = LifeSigns(0.0)
    life.output(4.0)
    assert life.last_at == 4.0


def test_cpu_time_above_a_small_share_is_life() -> None:
    life = LifeSigns(0.0)
    life.cpu(0.5, 0.01)
    assert life.last_at == 0.5


def test_timers_that_tick_over_are_not_life() -> None:
    life = LifeSigns(0.0)
    for second in range(10, 100, 10):
        life.cpu(second, 0.01)
    assert life.last_at == 0.0


def test_no_cpu_time_at_all_is_not_life() -> None:
    life = LifeSigns(5.0)
    life.cpu(5.0, 0.0)
    life.cpu(6.0, 0.0)
    assert life.last_at == 5.0
