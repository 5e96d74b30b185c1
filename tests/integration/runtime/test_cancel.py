from __future__ import annotations

import os
import signal
import threading

import pytest

from orchestrator.runtime.cancel import CancelToken, ParallelSlots
from orchestrator.runtime.limits import Limits
from orchestrator.runtime.outcome import Ending

from .conftest import Stage

pytestmark = pytest.mark.usefixtures("no_children")


def test_a_cancel_from_another_thread_ends_the_run(stage: Stage) -> None:
    token = CancelToken()
    started = threading.Event()

    def cancel() -> None:
        started.wait(20)
        token.set()

    thread = threading.Thread(target=cancel)
    thread.start()
    outcome = stage.play(
        "os.write(1, b'x'); forever()", cancel=token, on_output=lambda *_: started.set()
    )
    thread.join()
    assert (outcome.ending, outcome.signal) == (Ending.CANCELLED, signal.SIGTERM)


def test_a_cancel_from_a_signal_handler_ends_the_run(stage: Stage) -> None:
    token = CancelToken()
    before = signal.signal(signal.SIGUSR1, lambda *_: token.set())
    try:
        # The child sends the signal to its parent, while that waits for nothing else.
        outcome = stage.play("os.kill(os.getppid(), signal.SIGUSR1); forever()", cancel=token)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert outcome.ending is Ending.CANCELLED


@pytest.mark.slow
def test_a_second_cancel_cuts_the_grace_short(stage: Stage) -> None:
    token = CancelToken()
    heard: list[bytes] = []

    def listen(_name: str, data: bytes) -> None:
        heard.append(data)
        (token.set if len(heard) == 1 else token.hurry)()

    outcome = stage.play(
        "signal.signal(signal.SIGTERM, lambda *_: os.write(1, b'no'))\n"
        "os.write(1, b'ready')\nwhile True: signal.pause()",
        cancel=token,
        on_output=listen,
        grace_sec=600,
        limits=Limits(),
    )
    assert (outcome.ending, outcome.signal) == (Ending.CANCELLED, signal.SIGKILL)
    assert heard == [b"ready", b"no"]


def test_a_run_cancelled_before_its_start_starts_nothing(stage: Stage) -> None:
    token = CancelToken()
    token.set()
    outcome = stage.play("open('made', 'w')", cancel=token)
    assert (outcome.ending, outcome.identity.pid) == (Ending.CANCELLED, 0)
    assert not (stage.folder / "made").exists()


def test_one_token_cancels_every_run_it_was_given_to(stage: Stage) -> None:
    token = CancelToken()
    both = threading.Barrier(2, action=token.set)
    endings: list[Ending] = []

    def one(name: str) -> None:
        outcome = stage.play(
            "os.write(1, b'x'); forever()", name, cancel=token, on_output=lambda *_: both.wait(20)
        )
        endings.append(outcome.ending)

    threads = [threading.Thread(target=one, args=(name,)) for name in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert endings == [Ending.CANCELLED] * 2


def test_no_more_steps_than_slots_go_on_at_once() -> None:
    slots = ParallelSlots(2)
    lock = threading.Lock()
    meet = threading.Barrier(2)
    now, most = 0, 0

    def step() -> None:
        nonlocal now, most
        with slots:
            with lock:
                now += 1
                most = max(most, now)
            meet.wait(20)  # two at once are needed to get on
            with lock:
                now -= 1

    threads = [threading.Thread(target=step) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 2


def test_waiting_for_a_slot_can_be_cancelled() -> None:
    slots = ParallelSlots(1)
    token = CancelToken()
    assert slots.acquire(token)
    answers: list[bool] = []
    thread = threading.Thread(target=lambda: answers.append(slots.acquire(token)))
    thread.start()
    token.set()
    thread.join()
    assert answers == [False]
    slots.release()


def test_a_token_gives_its_descriptor_back() -> None:
    token = CancelToken()
    number = token.fileno()
    del token
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(number)
