from __future__ import annotations

import hashlib
import os
import signal
from pathlib import Path

import pytest

from orchestrator.errors import StoreError, WorkerError
from orchestrator.runtime.identity import ProcessIdentity, boot_id
from orchestrator.runtime.limits import Limits
from orchestrator.runtime.outcome import Ending

from .conftest import Stage

pytestmark = pytest.mark.usefixtures("no_children")


def test_an_exit_code_is_kept(stage: Stage) -> None:
    outcome = stage.play("sys.exit(37)")
    assert (outcome.ending, outcome.exit_code, outcome.signal) == (Ending.EXITED, 37, None)
    assert outcome.stragglers_killed == outcome.survivors == 0
    assert 0 < outcome.wall_us // 1000 == outcome.wall_ms


def test_a_death_by_signal_is_kept(stage: Stage) -> None:
    outcome = stage.play("os.kill(os.getpid(), signal.SIGSEGV)")
    assert outcome.ending is Ending.SIGNALLED
    assert (outcome.exit_code, outcome.signal) == (None, signal.SIGSEGV)


def test_both_streams_are_kept_with_size_and_digest(stage: Stage) -> None:
    outcome = stage.play("print('good'); print('bad', file=sys.stderr)")
    assert stage.text() == "good\n"
    assert stage.text(stream="err") == "bad\n"
    assert outcome.stdout.sha256 == hashlib.sha256(b"good\n").hexdigest()
    assert (outcome.stderr.size_bytes, outcome.stderr.kept_bytes) == (4, 4)
    assert not outcome.stdout.truncated


def test_what_it_writes_is_told_as_it_comes(stage: Stage) -> None:
    seen: list[tuple[str, bytes]] = []
    stage.play(
        "os.write(1, b'a'); os.write(2, b'b')",
        on_output=lambda name, data: seen.append((name, data)),
    )
    assert sorted(seen) == [("stderr", b"b"), ("stdout", b"a")]


@pytest.mark.parametrize("size", [0, 11, 3_000_000])
def test_stdin_is_delivered_whole_and_then_ends(stage: Stage, size: int) -> None:
    stage.play("sys.stdout.write(str(len(sys.stdin.buffer.read())))", stdin=b"x" * size)
    assert stage.text() == str(size)


def test_a_child_that_does_not_read_its_stdin_does_no_harm(stage: Stage) -> None:
    outcome = stage.play("sys.stdin.close(); os.close(0)", stdin=b"x" * 3_000_000)
    assert outcome.exit_code == 0


def test_without_stdin_there_is_nothing_to_read(stage: Stage) -> None:
    stage.play("print(repr(sys.stdin.read()))")
    assert stage.text() == "''\n"


def test_the_environment_is_the_one_handed_in_and_nothing_else(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONTROLLER_SECRET", "s3cret")
    env = {"ONLY": "this", "LC_CTYPE": "C.UTF-8"}
    stage.play("print(sorted(os.environ.items()))", env=env, marker="m")
    want = sorted({**env, "ORCHESTRATOR_ATTEMPT": "m"}.items())
    assert stage.text() == f"{want}\n"


def test_no_descriptor_of_the_controller_is_inherited(stage: Stage, tmp_path: Path) -> None:
    with (tmp_path / "ledger.key").open("wb") as key:
        os.set_inheritable(key.fileno(), True)
        stage.play("print(len(os.listdir('/proc/self/fd')))")
    assert stage.text() == "4\n"  # the three streams and the listing itself


def test_it_runs_in_its_own_session(stage: Stage) -> None:
    stage.play("print(os.getsid(0) == os.getpid())")
    assert stage.text() == "True\n"


def test_a_missing_program_is_a_worker_error_that_says_how_to_mend(stage: Stage) -> None:
    with pytest.raises(WorkerError, match="no-such-program") as caught:
        stage.run(["no-such-program"])
    assert caught.value.exit_code == 7
    assert "PATH" in caught.value.mend


def test_a_program_that_may_not_be_executed_is_a_worker_error(stage: Stage) -> None:
    script = stage.folder / "plain.txt"
    script.write_text("hello")
    with pytest.raises(WorkerError, match=r"plain\.txt"):
        stage.run([str(script)])


def test_a_missing_folder_is_named_and_not_blamed_on_the_program(stage: Stage) -> None:
    gone = str(stage.folder / "gone")
    with pytest.raises(WorkerError, match="folder") as caught:
        stage.run(["true"], cwd=gone)
    assert caught.value.where == gone


def test_a_nul_byte_in_an_argument_is_a_worker_error(stage: Stage) -> None:
    with pytest.raises(WorkerError, match="cannot be started"):
        stage.run(["true", "a\0b"])


def test_an_output_file_that_cannot_be_made_is_a_store_error(stage: Stage) -> None:
    with pytest.raises(StoreError, match="cannot be written"):
        stage.run(["true"], name="no-such-folder/one")


def test_output_is_not_written_through_a_planted_link(stage: Stage) -> None:
    victim = stage.folder / "victim"
    victim.write_text("precious")
    (stage.folder / "one.out").symlink_to(victim)
    with pytest.raises(StoreError):
        stage.run(["echo", "overwritten"])
    assert victim.read_text() == "precious"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_ends_the_tree_and_is_a_store_error(stage: Stage) -> None:
    from orchestrator.runtime.wrapper import run

    with pytest.raises(StoreError, match="No space left"):
        run(
            stage.argv("os.fork(); os.write(1, b'x'); deaf(); forever()"),
            cwd="/",
            env={},
            limits=Limits(max_runtime_sec=20),
            stdout_path="/dev/full",
            stderr_path=os.devnull,
        )
    assert stage.survivors() == []


def test_an_error_in_a_callback_ends_the_tree_and_passes_through(stage: Stage) -> None:
    def refuse(_name: str, _data: bytes) -> None:
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        stage.play("deaf(); os.fork(); os.write(1, b'x'); forever()", on_output=refuse)
    assert stage.survivors() == []


def test_an_error_while_the_start_is_recorded_ends_the_tree(stage: Stage) -> None:
    def refuse(identity: ProcessIdentity) -> None:
        raise RuntimeError(f"cannot record {identity.pid}")

    with pytest.raises(RuntimeError, match="cannot record"):
        stage.play("deaf(); forever()", on_start=refuse)
    assert stage.survivors() == []


def test_the_leader_is_told_while_it_runs_and_named_in_the_outcome(stage: Stage) -> None:
    told: list[ProcessIdentity] = []
    outcome = stage.play("print(os.getpid())", on_start=told.append)
    assert told == [outcome.identity]
    assert outcome.identity.pid == int(stage.text())
    assert outcome.identity.boot_id == boot_id()


def test_cpu_time_is_counted_and_sleep_is_not(stage: Stage) -> None:
    burn = stage.play("t = time.process_time()\nwhile time.process_time() - t < 0.1: pass")
    assert burn.cpu_ms >= 100


@pytest.mark.parametrize("argv", [[], "true"])
def test_a_command_that_is_no_list_is_the_callers_mistake(stage: Stage, argv: list[str]) -> None:
    with pytest.raises(ValueError, match="argv"):
        stage.run(argv)


def test_a_negative_grace_is_the_callers_mistake(stage: Stage) -> None:
    with pytest.raises(ValueError, match="grace_sec"):
        stage.run(["true"], grace_sec=-1)


def test_one_file_for_both_streams_is_the_callers_mistake(stage: Stage) -> None:
    from orchestrator.runtime.wrapper import run

    path = str(stage.folder / "both")
    with pytest.raises(ValueError, match="a file each"):
        run(["true"], cwd="/", env={}, limits=Limits(), stdout_path=path, stderr_path=path)


def test_no_descriptor_is_left_open(stage: Stage) -> None:
    stage.run(["true"])
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        stage.run(["true"], stdin=b"x")
        with pytest.raises(WorkerError):
            stage.run(["no-such-program"], stdin=b"x")
    assert len(list(Path("/proc/self/fd").iterdir())) == before
