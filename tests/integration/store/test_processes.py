"""Real processes on one store: killed in the middle, and claiming at the same time."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from orchestrator.engine.replay import compare, fold
from orchestrator.kernel.life import IN_FLIGHT, Event, State
from orchestrator.kernel.records import Move
from tests.integration.store.shop import (
    Shop,
    add,
    assert_counters_agree,
    attempt_body,
    moment,
    open_store,
)

REPOSITORY = Path(__file__).resolve().parents[3]

# Works through the queue for ever; says a byte after each decision that it believes in.
_WORK = """
import os, sys
from pathlib import Path
from orchestrator.kernel.journey import Journey
from orchestrator.kernel.life import Event
from orchestrator.kernel.records import Effect
from tests.integration.store.shop import START_MS, Shop, attempt_body, moment, step

shop = Shop(Path(sys.argv[1]))
store, ms = shop.store, 0
while True:
    ms += 1
    task = store.claim_next(run_id="child", moment=moment(ms), lease_until_ms=START_MS)
    if task is None:
        break
    os.write(1, b".")
    s = task.attempt + 1
    step(store, task, Event.PREPARE, ms); os.write(1, b".")
    step(store, task, Event.DISPATCH, ms, attempt_id=f"A{ms}", revision=0, attempt=s)
    os.write(1, b".")
    step(store, task, Event.RECEIVE, ms); os.write(1, b".")
    effects = (Effect("rollback", f"rollback:{task.key}:{s}", {}),)
    step(store, task, Event.REQUEUE, ms, kind="attempt", body=attempt_body(task.key, 0, s),
         effects=effects, journey=Journey(attempts=1))
    os.write(1, b".")
    for effect in store.pending_effects():
        store.effect_done(effect)
    shop.files.bring_up(checkpoint=ms % 3 == 0)
    os.write(1, b".")
"""


def start(script: str, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        cwd=REPOSITORY,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    )


def kill_after(child: subprocess.Popen[bytes], signs: int) -> int:
    """Kill -9 once the child has said `signs` bytes; return how many it said in the end."""
    assert child.stdout is not None
    said = 0
    while said < signs:
        ready, _, _ = select.select([child.stdout], [], [], 60)
        assert ready, "the child says nothing"
        data = os.read(child.stdout.fileno(), 4096)
        assert data, "the child ended by itself"
        said += len(data)
    child.send_signal(signal.SIGKILL)
    rest, _ = child.communicate(timeout=60)
    return said + len(rest)


@pytest.mark.slow
@pytest.mark.parametrize("signs", [1, 2, 3, 5, 7, 12, 23, 40, 61])
def test_after_kill_9_state_ledger_counters_and_outbox_agree(tmp_path: Path, signs: int) -> None:
    store = open_store(tmp_path)
    add(store, "T-1", "T-2", "T-3")
    store.close()
    said = kill_after(start(_WORK, str(tmp_path)), signs)

    shop = Shop(tmp_path)
    assert_counters_agree(shop.store)
    assert shop.store.ledger.size() >= said * 5 // 6, "what was believed in is there"
    rebuilt = fold(shop.store.entries())
    assert compare(rebuilt, shop.states()) == []
    left = shop.store.tasks_in_flight()
    assert len(left) <= 1
    done = Counter(entry["kind"] for entry in shop.store.entries())["attempt"]
    totals = shop.store.counters()
    assert totals.get("event.requeue", 0) == done
    assert totals.get("effect.rollback", 0) + len(shop.store.pending_effects()) == done

    # The next controller takes over: the dead one's task goes back, the files are brought up.
    for task in left:
        assert task.state in IN_FLIGHT
        body = {}
        kind = "decision"
        if task.state in {State.DISPATCHED, State.IN_REVIEW}:
            kind, body = "attempt", attempt_body(task.key, 0, task.attempt, "interrupted")
        event = Event.INTERRUPT
        shop.store.move(
            Move(task.key, event, moment(9), "next", task.lease_token, kind=kind, body=body)
        )
    shop.files.bring_up(checkpoint=True, durable=True)
    assert shop.events.read_bytes() == shop.stored_bytes()
    report = shop.verify()
    assert report.ok, report.findings
    assert report.unanchored_entries == 0
    assert shop.told == []
    shop.close()


_CLAIM = """
import sys
from pathlib import Path
from orchestrator.kernel.life import Event
from tests.integration.store.shop import START_MS, moment, open_store, step

store = open_store(Path(sys.argv[1]))
print(flush=True)
sys.stdin.readline()
while True:
    task = store.claim_next(run_id=sys.argv[2], moment=moment(1), lease_until_ms=START_MS)
    if task is None:
        break
    print(task.key, task.lease_token, flush=True)
store.close()
"""


@pytest.mark.slow
def test_two_processes_claim_each_task_once(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    keys = [f"T-{n}" for n in range(200)]
    add(store, *keys)
    children = [
        subprocess.Popen(
            [sys.executable, "-c", _CLAIM, str(tmp_path), f"run-{n}"],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for n in range(2)
    ]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "\n"
    claimed: list[str] = []
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    for child in children:
        out, _ = child.communicate(timeout=120)
        assert child.returncode == 0
        claimed += out.split("\n")[:-1]
    assert sorted(claimed) == sorted(f"{key} 1" for key in keys)
    assert store.counters()["state.claimed"] == 200
    assert_counters_agree(store)
    assert store.ledger.size() == 201
    assert set(fold(store.entries()).values()) == {State.CLAIMED}
    store.close()
