from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from orchestrator.runtime.limits import Limits
from orchestrator.runtime.outcome import Ending, Outcome

from .conftest import PRELUDE, Stage

SHORT = Limits(max_runtime_sec=0.4)

# The last process of each lives on, deaf, far from its leader; each says when it is there.
ESCAPES = {
    "a child in the same session": "if os.fork() == 0: deaf(); SAY(); forever()",
    "a child in a new session": "if os.fork() == 0: os.setsid(); deaf(); SAY(); forever()",
    "a double fork into a new session": (
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    if os.fork(): os._exit(0)\n"
        "    deaf(); SAY(); forever()"
    ),
    "a stopped daemon": (
        "if os.fork() == 0:\n"
        "    os.setsid(); deaf(); SAY(); os.kill(os.getpid(), signal.SIGSTOP); forever()"
    ),
    "a daemon with a cleared environment": (
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    if os.fork(): os._exit(0)\n"
        "    os.execve(sys.executable, [sys.executable, '-I', '-S', '-c',\n"
        "        'import os, signal; signal.signal(15, signal.SIG_IGN); os.write(1, b\"!\");'\n"
        "        'os.close(1); signal.pause()', sys.argv[1]], {})"
    ),
}
SAY = "def SAY(): os.write(1, b'!')\n"


@pytest.mark.slow
@pytest.mark.usefixtures("no_children")
@pytest.mark.parametrize("escape", ESCAPES)
def test_what_outlives_its_leader_is_ended(stage: Stage, escape: str) -> None:
    # The leader waits for the sign of life, through a pipe of its own, and then exits.
    code = (
        "r, w = os.pipe()\nos.set_inheritable(w, True)\nout = os.dup(1)\nos.dup2(w, 1)\n"
        + SAY
        + ESCAPES[escape]
        + "\nos.read(r, 1); os.write(out, b'left'); os._exit(3)"
    )
    outcome = stage.play(code)
    assert (outcome.ending, outcome.exit_code) == (Ending.EXITED, 3)
    assert (outcome.stragglers_killed, outcome.survivors) == (1, 0)
    assert stage.text() == "left"
    assert stage.survivors() == []


@pytest.mark.slow
@pytest.mark.usefixtures("no_children")
@pytest.mark.parametrize("escape", ESCAPES)
def test_a_limit_ends_the_whole_tree(stage: Stage, escape: str) -> None:
    code = SAY + "deaf()\n" + ESCAPES[escape] + "\nforever()"
    outcome = stage.play(code, limits=SHORT, grace_sec=0.2)
    assert outcome.ending is Ending.RUNTIME_EXCEEDED
    assert outcome.survivors == 0
    assert stage.survivors() == []


@pytest.mark.slow
@pytest.mark.usefixtures("no_children")
def test_a_grandchild_that_holds_the_pipe_does_not_hang_the_run(stage: Stage) -> None:
    outcome = stage.play("if os.fork() == 0: deaf(); forever()\nos.write(1, b'done'); os._exit(0)")
    assert (outcome.ending, outcome.stragglers_killed) == (Ending.EXITED, 1)
    assert stage.text() == "done"


@pytest.mark.slow
@pytest.mark.usefixtures("no_children")
def test_a_grandchild_that_writes_for_ever_does_not_hang_the_run(stage: Stage) -> None:
    outcome = stage.play(
        "if os.fork() == 0:\n"
        "    deaf()\n"
        "    while True: os.write(1, b'.'); time.sleep(0.001)\n"
        "os._exit(0)"
    )
    assert (outcome.ending, outcome.stragglers_killed) == (Ending.EXITED, 1)


@pytest.mark.slow
@pytest.mark.usefixtures("no_children")
def test_a_leader_that_closes_its_output_and_lives_on_is_waited_for(stage: Stage) -> None:
    outcome = stage.play(
        "os.write(1, b'a'); os.close(1); os.close(2); time.sleep(0.3); os._exit(9)"
    )
    assert (outcome.ending, outcome.exit_code) == (Ending.EXITED, 9)
    assert outcome.wall_ms >= 300


@pytest.mark.slow
@pytest.mark.usefixtures("no_children")
@pytest.mark.parametrize("environment", ["kept", "cleared"])
def test_a_fork_churner_is_caught(stage: Stage, environment: str) -> None:
    # Each generation starts a session of its own, forks the next and exits at once.
    code = "deaf()\nwhile True:\n    if os.fork(): os._exit(0)\n    os.setsid(); time.sleep(0.001)"
    if environment == "cleared":
        clear = [sys.executable, "-I", "-S", "-c", PRELUDE + code, stage.token]
        code = f"os.setsid if 0 else None\nos.execve({sys.executable!r}, {clear!r}, {{}})"
    outcome = stage.play(code)
    assert (outcome.ending, outcome.survivors) == (Ending.EXITED, 0)
    assert stage.survivors() == []


@pytest.mark.slow
@pytest.mark.usefixtures("no_children")
def test_a_fork_churner_below_a_living_leader_is_caught(stage: Stage) -> None:
    code = (
        "if os.fork() == 0:\n"
        "    deaf()\n"
        "    while True:\n"
        "        if os.fork(): os._exit(0)\n"
        "        os.setsid(); time.sleep(0.001)\n"
        "forever()"
    )
    outcome = stage.play(code, limits=SHORT, grace_sec=0.2)
    assert (outcome.ending, outcome.survivors) == (Ending.RUNTIME_EXCEEDED, 0)
    assert stage.survivors() == []


@pytest.mark.slow
@pytest.mark.parametrize("new_session", [False, True])
def test_a_child_that_somebody_else_started_is_neither_killed_nor_reaped(
    stage: Stage, new_session: bool
) -> None:
    def bystander(code: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", code], start_new_session=new_session, env={}
        )

    older = bystander("import signal; signal.pause()")
    during: list[subprocess.Popen[bytes]] = []

    def start_more(_name: str, _data: bytes) -> None:
        if not during:
            during.append(bystander("import signal; signal.pause()"))
            during.append(bystander("raise SystemExit(41)"))

    try:
        outcome = stage.play(
            "os.write(1, b'x'); time.sleep(0.3)\nif os.fork() == 0: os.setsid(); deaf(); forever()",
            on_output=start_more,
        )
        assert outcome.stragglers_killed == 1
        assert [older.poll(), during[0].poll()] == [None, None]
        assert during[1].wait() == 41
    finally:
        for child in (older, *during):
            child.kill()
            child.wait()


@pytest.mark.slow
@pytest.mark.usefixtures("no_children")
def test_runs_side_by_side_leave_each_others_children_alone(stage: Stage, tmp_path: Path) -> None:
    # The first leaves strays of every kind and ends; the second's helper must outlive that.
    helper_alive = (
        "r, w = os.pipe()\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    if os.fork(): os._exit(0)\n"
        "    os.execve(sys.executable, [sys.executable, '-I', '-S', '-c',\n"
        "        'import os\\nwhile not os.path.exists(\"go\"): pass\\n'\n"
        '        \'open("alive", "w").close()\', sys.argv[1]], {})\n'
        "os.write(1, b'ready')\n"
        "while not os.path.exists('alive'): time.sleep(0.01)\n"
    )
    ready = threading.Event()
    outcomes: dict[str, Outcome] = {}

    def second() -> None:
        outcomes["second"] = stage.play(
            helper_alive, "second", marker="second", on_output=lambda *_: ready.set()
        )

    thread = threading.Thread(target=second)
    thread.start()
    assert ready.wait(20)
    outcomes["first"] = stage.play(
        ESCAPES["a double fork into a new session"].replace("SAY();", "")
    )
    (tmp_path / "go").touch()
    thread.join()
    assert outcomes["first"].ending is Ending.EXITED
    assert (outcomes["second"].ending, outcomes["second"].exit_code) == (Ending.EXITED, 0)
    assert stage.survivors() == []


@pytest.mark.slow
@pytest.mark.usefixtures("no_children")
def test_many_runs_at_once_leave_nothing_though_their_strays_hide(stage: Stage) -> None:
    outcomes: list[Outcome] = []

    def one(name: str) -> None:
        code = ESCAPES["a daemon with a cleared environment"]
        outcomes.append(stage.play(code, name, marker=None))

    threads = [threading.Thread(target=one, args=(f"run{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [o.ending for o in outcomes] == [Ending.EXITED] * 8
    assert stage.survivors() == []


@pytest.mark.slow
@pytest.mark.usefixtures("no_children")
def test_two_runs_of_one_attempt_do_not_end_each_others_children(
    stage: Stage, tmp_path: Path
) -> None:
    ready = threading.Event()
    result: list[Outcome] = []

    def longer() -> None:
        result.append(
            stage.play(
                "pid = os.fork()\n"
                "if pid == 0:\n"
                "    os.setsid(); os.write(1, b'x')\n"
                "    while not os.path.exists('go'): time.sleep(0.01)\n"
                "    os._exit(7)\n"
                "os._exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))",
                "longer",
                on_output=lambda *_: ready.set(),
            )
        )

    thread = threading.Thread(target=longer)
    thread.start()
    assert ready.wait(20)
    stage.play(ESCAPES["a child in a new session"].replace("SAY();", ""))
    (tmp_path / "go").touch()
    thread.join()
    assert (result[0].ending, result[0].exit_code) == (Ending.EXITED, 7)


@pytest.mark.slow
@pytest.mark.usefixtures("no_children")
def test_a_straggler_is_asked_before_it_is_killed(stage: Stage, tmp_path: Path) -> None:
    stage.play(
        "r, w = os.pipe()\n"
        "if os.fork() == 0:\n"
        "    def bye(*_): open('tidy', 'w').close(); os._exit(0)\n"
        "    signal.signal(signal.SIGTERM, bye); os.write(w, b'x'); forever()\n"
        "os.read(r, 1); os._exit(0)"
    )
    assert (tmp_path / "tidy").exists()


def test_the_leaders_signal_is_ours_only_when_we_sent_it(stage: Stage) -> None:
    outcome = stage.play("os.kill(os.getpid(), signal.SIGTERM)")
    assert (outcome.ending, outcome.signal) == (Ending.SIGNALLED, signal.SIGTERM)
