from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.runtime.identity import (
    ProcessIdentity,
    identity_of,
    is_alive,
    kill_orphans,
    own_identity,
)
from orchestrator.runtime.procfs import read_stat

from .conftest import PRELUDE, Stage

CONTROLLER = """
import json, os, sys
from orchestrator.runtime.limits import Limits
from orchestrator.runtime.wrapper import run
def started(identity):
    print(json.dumps([identity.pid, identity.start_ticks, identity.boot_id]), flush=True)
def seen(name, data):
    os.write(1, data)
run(json.loads(sys.argv[1]), cwd=".", env={"PATH": "/usr/bin:/bin"}, limits=Limits(),
    stdout_path="o", stderr_path="e", marker=sys.argv[2], on_start=started, on_output=seen)
"""
AGENT = """
signal.signal(signal.SIGPIPE, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    if os.fork(): os._exit(0)
    deaf(); os.write(1, b'daemon\\n'); forever()
if os.fork() == 0:
    deaf(); os.write(1, b'child\\n'); forever()
deaf()
forever()
"""


@contextmanager
def sleeper(env: dict[str, str] | None = None, code: str = "") -> Iterator[subprocess.Popen[bytes]]:
    argv = [sys.executable, "-I", "-S", "-c", PRELUDE + code + "\nos.write(1, b'.'); forever()"]
    child = subprocess.Popen(argv, stdout=subprocess.PIPE, env=env or {}, start_new_session=True)
    assert child.stdout is not None
    try:
        child.stdout.read(1)
        yield child
    finally:
        child.stdout.close()
        child.kill()
        child.wait()


def crash_a_controller(stage: Stage) -> ProcessIdentity:
    """Run an agent under a real controller, kill that with SIGKILL, and return the record."""
    import json

    root = str(Path(__file__).parents[3])
    controller = subprocess.Popen(
        [sys.executable, "-c", CONTROLLER, json.dumps(stage.argv(AGENT)), stage.token],
        cwd=stage.folder,
        env={"PYTHONPATH": root, "PATH": os.environ["PATH"]},
        stdout=subprocess.PIPE,
    )
    assert controller.stdout is not None
    with controller.stdout as pipe:
        identity = ProcessIdentity(*json.loads(pipe.readline()))
        words = {pipe.readline(), pipe.readline()}
        controller.kill()
        controller.wait()
    assert words == {b"daemon\n", b"child\n"}
    return identity


@pytest.mark.slow
def test_what_a_killed_controller_left_is_found_and_killed(stage: Stage) -> None:
    identity = crash_a_controller(stage)
    left = stage.survivors()
    assert len(left) == 3
    killed = kill_orphans([identity], marker=stage.token, grace_sec=0.1)
    assert killed == sorted(left)
    assert not is_alive(identity)
    assert stage.survivors() == []


@pytest.mark.slow
def test_the_marker_alone_finds_all_of_it(stage: Stage) -> None:
    crash_a_controller(stage)
    assert len(kill_orphans([], marker_prefix=stage.token[:20], grace_sec=0)) == 3
    assert stage.survivors() == []


@pytest.mark.slow
def test_the_record_alone_finds_the_leader_its_session_and_its_descendants(stage: Stage) -> None:
    identity = crash_a_controller(stage)
    assert len(kill_orphans([identity], marker=None, grace_sec=0)) == 2
    assert kill_orphans([], markers={stage.token, "other"}, grace_sec=0) != []


def test_a_process_whose_number_was_reused_is_not_killed() -> None:
    with sleeper() as innocent:
        real = identity_of(innocent.pid)
        assert real is not None
        stale = [
            replace(real, start_ticks=real.start_ticks - 1),
            replace(real, boot_id="00000000-0000-0000-0000-000000000000"),
        ]
        assert [is_alive(real), *map(is_alive, stale)] == [True, False, False]
        assert kill_orphans(stale, marker="nobody", grace_sec=0) == []
        assert innocent.poll() is None


def test_another_attempts_process_is_not_killed() -> None:
    with sleeper({"ORCHESTRATOR_ATTEMPT": "p1/T-1/R0S0"}) as other:
        assert kill_orphans([], marker="p1/T-1/R0S", markers=["p1/T-1/R0S00"], grace_sec=0) == []
        assert kill_orphans([], marker_prefix="p2/", grace_sec=0) == []
        assert other.poll() is None


def test_a_marker_in_another_variable_does_not_count() -> None:
    env = {"NOT_ORCHESTRATOR_ATTEMPT": "m", "X": "ORCHESTRATOR_ATTEMPT=m"}
    with sleeper(env) as other:
        assert kill_orphans([], marker="m", grace_sec=0) == []
        assert other.poll() is None


def test_an_empty_prefix_is_refused_because_it_would_match_every_attempt() -> None:
    with pytest.raises(ValueError, match="marker_prefix"):
        kill_orphans([], marker_prefix="")


def test_the_caller_and_its_ancestors_are_never_killed() -> None:
    parent = identity_of(os.getppid())
    assert parent is not None
    with sleeper():
        killed = kill_orphans([own_identity()], marker="nobody", grace_sec=0)
    assert os.getpid() not in killed
    assert os.getppid() not in killed


def test_an_orphan_is_asked_before_it_is_killed(tmp_path: Path) -> None:
    tidy = (
        "def bye(*_): open('tidy', 'w').close(); os._exit(6)\n"
        f"os.chdir({str(tmp_path)!r}); signal.signal(signal.SIGTERM, bye)"
    )
    with sleeper({"ORCHESTRATOR_ATTEMPT": "polite"}, tidy) as child:
        assert kill_orphans([], marker="polite", grace_sec=20) == [child.pid]
        assert child.wait() == 6  # and its ending is left to its parent
    assert (tmp_path / "tidy").exists()


def test_a_stopped_orphan_is_ended() -> None:
    with sleeper({"ORCHESTRATOR_ATTEMPT": "stopped"}) as child:
        child.send_signal(signal.SIGSTOP)
        assert kill_orphans([], marker="stopped", grace_sec=20) == [child.pid]
        assert child.wait() == -signal.SIGTERM


def test_a_dead_process_that_nobody_reaped_is_not_alive() -> None:
    with sleeper() as child:
        identity = identity_of(child.pid)
        assert identity is not None
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert not is_alive(identity)


def test_a_number_that_nobody_has_has_no_identity() -> None:
    assert identity_of(2**22 + 1) is None
    assert not is_alive(replace(own_identity(), pid=2**22 + 1))
    assert not is_alive(ProcessIdentity(0, 0, own_identity().boot_id))


def test_a_name_with_spaces_and_parentheses_is_read_right(tmp_path: Path) -> None:
    code = "open('/proc/self/comm', 'w').write('a) Z (0 1'); sys.stdout.flush()"
    with sleeper(None, code) as child:
        stat = read_stat(child.pid)
        assert stat is not None
        assert (stat.parent, stat.session) == (os.getpid(), child.pid)
        assert not stat.is_dead
