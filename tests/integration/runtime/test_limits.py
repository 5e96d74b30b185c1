from __future__ import annotations

import signal

import pytest

from orchestrator.runtime.capture import TAIL_BYTES
from orchestrator.runtime.limits import Limits
from orchestrator.runtime.outcome import Ending

from .conftest import Stage

pytestmark = pytest.mark.usefixtures("no_children")
MIB = 1024 * 1024


@pytest.mark.slow
def test_a_run_that_takes_too_long_is_asked_to_end(stage: Stage) -> None:
    outcome = stage.play("forever()", limits=Limits(max_runtime_sec=0.3))
    assert (outcome.ending, outcome.signal) == (Ending.RUNTIME_EXCEEDED, signal.SIGTERM)
    assert outcome.wall_ms >= 300


@pytest.mark.slow
def test_a_child_deaf_to_sigterm_is_killed(stage: Stage) -> None:
    outcome = stage.play("deaf(); forever()", limits=Limits(max_runtime_sec=0.3), grace_sec=0.2)
    assert (outcome.ending, outcome.signal) == (Ending.RUNTIME_EXCEEDED, signal.SIGKILL)


@pytest.mark.slow
def test_a_child_that_cleans_up_in_its_grace_keeps_its_exit_code_and_last_words(
    stage: Stage,
) -> None:
    outcome = stage.play(
        "signal.signal(signal.SIGTERM, lambda *_: (os.write(1, b'bye'), sys.exit(5)))\nforever()",
        limits=Limits(max_runtime_sec=0.3),
    )
    assert (outcome.ending, outcome.exit_code) == (Ending.RUNTIME_EXCEEDED, 5)
    assert stage.text() == "bye"


@pytest.mark.slow
def test_a_stopped_child_is_ended(stage: Stage) -> None:
    outcome = stage.play("os.kill(os.getpid(), signal.SIGSTOP)", limits=Limits(max_runtime_sec=0.3))
    assert outcome.ending is Ending.RUNTIME_EXCEEDED


@pytest.mark.slow
def test_a_silent_child_is_ended(stage: Stage) -> None:
    outcome = stage.play("forever()", limits=Limits(max_silence_sec=0.3))
    assert outcome.ending is Ending.SILENCE_EXCEEDED


@pytest.mark.slow
def test_a_silent_child_that_burns_cpu_is_at_work(stage: Stage) -> None:
    outcome = stage.play(
        "t = time.process_time()\nwhile time.process_time() - t < 0.6: pass",
        limits=Limits(max_silence_sec=0.3),
    )
    assert outcome.ending is Ending.EXITED


@pytest.mark.slow
def test_a_child_at_work_below_a_silent_leader_is_life(stage: Stage) -> None:
    outcome = stage.play(
        "pid = os.fork()\n"
        "if pid: os.waitpid(pid, 0); sys.exit()\n"
        "os.setsid()\n"
        "t = time.process_time()\nwhile time.process_time() - t < 0.6: pass",
        limits=Limits(max_silence_sec=0.3),
    )
    assert outcome.ending is Ending.EXITED
    assert outcome.peak_processes == 2


@pytest.mark.slow
def test_output_now_and_then_is_life(stage: Stage) -> None:
    outcome = stage.play(
        "for _ in range(10): time.sleep(0.1); os.write(2, b'.')",
        limits=Limits(max_silence_sec=0.5),
    )
    assert outcome.ending is Ending.EXITED


@pytest.mark.slow
def test_a_memory_hungry_child_is_killed(stage: Stage) -> None:
    outcome = stage.play(
        "deaf()\nhold = []\nwhile True: hold.append(b'x' * 5_000_000); time.sleep(0.01)",
        limits=Limits(max_memory_mb=120, max_runtime_sec=20),
    )
    assert (outcome.ending, outcome.signal) == (Ending.MEMORY_EXCEEDED, signal.SIGKILL)
    assert outcome.peak_rss_kb > 120 * 1024


@pytest.mark.slow
def test_memory_spread_over_many_processes_is_counted_together(stage: Stage) -> None:
    outcome = stage.play(
        "for _ in range(5):\n"
        "    if os.fork() == 0:\n"
        "        os.setsid(); hold = b'x' * 40_000_000; forever()\n"
        "forever()",
        limits=Limits(max_memory_mb=120, max_runtime_sec=20),
    )
    assert outcome.ending is Ending.MEMORY_EXCEEDED
    assert outcome.stragglers_killed == 5


@pytest.mark.slow
def test_memory_shared_by_many_processes_is_counted_once(stage: Stage) -> None:
    outcome = stage.play(
        "hold = b'x' * 60_000_000\n"
        "pids = [os.fork() or (time.sleep(0.5), os._exit(0)) for _ in range(5)]\n"
        "for pid in pids: os.waitpid(pid, 0)",
        limits=Limits(max_memory_mb=150, max_runtime_sec=20),
    )
    assert outcome.ending is Ending.EXITED
    assert outcome.peak_rss_kb > 150 * 1024  # the plain sum of resident sizes


@pytest.mark.slow
def test_a_flood_of_a_gigabyte_is_cut_short(stage: Stage) -> None:
    outcome = stage.play(
        "chunk = b'x' * 1_000_000\nfor _ in range(1000): os.write(1, chunk)",
        limits=Limits(max_output_mb=8, max_runtime_sec=20),
    )
    assert outcome.ending is Ending.OUTPUT_EXCEEDED
    assert outcome.stdout.size_bytes < 500_000_000
    assert outcome.stdout.truncated
    assert outcome.stdout.kept_bytes <= 8 * MIB + TAIL_BYTES + 100
    assert outcome.stdout.kept_bytes == (stage.folder / "one.out").stat().st_size


@pytest.mark.slow
def test_a_flood_deaf_to_sigterm_ends_with_the_grace(stage: Stage) -> None:
    outcome = stage.play(
        "deaf()\nwhile True: os.write(2, b'x' * 1_000_000)",
        limits=Limits(max_output_mb=1, max_runtime_sec=20),
        grace_sec=0.2,
    )
    assert (outcome.ending, outcome.signal) == (Ending.OUTPUT_EXCEEDED, signal.SIGKILL)


def test_a_flood_that_ends_by_itself_still_exceeds(stage: Stage) -> None:
    outcome = stage.play("os.write(1, b'x' * 2000)", limits=Limits(max_output_mb=1000 / MIB))
    assert outcome.ending is Ending.OUTPUT_EXCEEDED


def test_a_cut_file_keeps_its_head_and_its_tail_and_says_what_is_gone(stage: Stage) -> None:
    outcome = stage.play(
        "deaf(); os.write(1, b'HEAD' + b'-' * 300_000 + b'TAIL')",
        limits=Limits(max_output_mb=1000 / MIB),
    )
    text = stage.text()
    assert text.startswith("HEAD-")
    assert text.endswith("-TAIL")
    gone = outcome.stdout.size_bytes - 1000 - TAIL_BYTES
    assert f"\n[... {gone} bytes left out ...]\n" in text


def test_output_just_at_the_cap_is_kept_whole(stage: Stage) -> None:
    outcome = stage.play("os.write(1, b'x' * 1000)", limits=Limits(max_output_mb=1000 / MIB))
    assert outcome.ending is Ending.EXITED
    assert (outcome.stdout.kept_bytes, outcome.stdout.truncated) == (1000, False)


def test_the_cap_covers_both_streams_together(stage: Stage) -> None:
    outcome = stage.play(
        "os.write(1, b'x' * 800); os.write(2, b'x' * 800)",
        limits=Limits(max_output_mb=1000 / MIB),
    )
    assert outcome.ending is Ending.OUTPUT_EXCEEDED
