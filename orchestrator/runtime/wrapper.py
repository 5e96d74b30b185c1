"""Run one command as a process tree under limits, and end all of it.

`run` promises: the tree starts in its own session with exactly the environment handed in; its
output goes to two files under a cap; it ends within its limits plus the grace; nothing of it
outlives the call; and how it ended is a value (`Outcome`). It leaves to others: confinement (what
the tree may touch), durability of the files (no fsync here), and what the ending means.

Rules of the ending, in order:
- the leader's exit ends the run, never the end of its output: what is in the pipes is read (at
  most 0.3 s while more keeps coming), then what the leader left behind is ended;
- a limit or a cancel sends TERM to the whole tree, then KILL after the grace. Memory gets no
  grace, as with the kernel's own killer, because every moment makes it worse;
- output above the cap is OUTPUT_EXCEEDED even where the leader ended before we read it all.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from orchestrator.runtime.cancel import CancelToken, ParallelSlots
from orchestrator.runtime.capture import OutputBudget, StreamFile
from orchestrator.runtime.identity import ProcessIdentity, boot_id
from orchestrator.runtime.limits import Limits
from orchestrator.runtime.outcome import Ending, Outcome
from orchestrator.runtime.procfs import MARKER_VARIABLE
from orchestrator.runtime.reaper import ProcessTree, become_subreaper
from orchestrator.runtime.supervise import Supervision

__all__ = ["CancelToken", "Limits", "ParallelSlots", "run"]

_MIB: Final = 1024 * 1024


def run(
    argv: Sequence[str],
    *,
    cwd: str,
    env: Mapping[str, str],
    limits: Limits,
    stdout_path: str,
    stderr_path: str,
    stdin: bytes | None = None,
    marker: str | None = None,
    grace_sec: float = 2.0,
    on_start: Callable[[ProcessIdentity], None] | None = None,
    on_output: Callable[[str, bytes], None] | None = None,
    cancel: CancelToken | None = None,
) -> Outcome:
    """Run `argv` to its end, or to the end of its limits.

    Args:
        argv: program and arguments; a bare name is looked up in the PATH of `env`.
        cwd: the folder it starts in.
        env: its whole environment; nothing is inherited.
        limits: see `Limits`.
        stdout_path: file for its output, made anew; the folder must exist.
        stderr_path: the same for its errors; another file than `stdout_path`.
        stdin: what it can read; None is /dev/null.
        marker: put into the environment as ORCHESTRATOR_ATTEMPT, so that `kill_orphans` finds
            the tree after a crash of the controller.
        grace_sec: from TERM to KILL when a limit or a cancel ends it.
        on_start: called once the leader runs.
        on_output: called with "stdout" or "stderr" and the bytes, as they come.
        cancel: ends the run when it is set; set before the start, nothing is started.

    Returns:
        How it ended. An error raised by a callback ends the tree and passes through.

    Raises:
        WorkerError: the program cannot be started.
        StoreError: the output cannot be written.
        ValueError: `argv` is empty, `grace_sec` negative, or both paths are the same.
    """
    _check(argv, grace_sec, stdout_path, stderr_path)
    become_subreaper()
    budget = OutputBudget(
        None if limits.max_output_mb is None else int(limits.max_output_mb * _MIB)
    )
    with contextlib.ExitStack() as closing:
        out = StreamFile(stdout_path, budget)
        closing.callback(out.abandon)
        err = StreamFile(stderr_path, budget)
        closing.callback(err.abandon)
        if cancel is not None and cancel.is_set:
            return _never_started(out, err)
        tree = ProcessTree(marker)
        closing.callback(tree.unregister)
        one = Supervision(
            tree,
            limits=limits,
            budget=budget,
            grace_sec=grace_sec,
            on_output=on_output,
            cancel=cancel,
        )
        closing.callback(one.close)
        full_env = dict(env) if marker is None else {**env, MARKER_VARIABLE: marker}
        try:
            one.start(argv, cwd, full_env, stdin, (out, err))
            if on_start is not None:
                on_start(one.identity)
            ending = one.watch()
            one.finish(ending)
        except BaseException:
            one.finish_at_once()
            raise
        return one.outcome(ending, out, err)


def _check(argv: Sequence[str], grace_sec: float, stdout_path: str, stderr_path: str) -> None:
    if isinstance(argv, str) or not argv:
        raise ValueError("argv must be a sequence with at least the program")
    if not grace_sec >= 0:
        raise ValueError(f"grace_sec must not be negative, got {grace_sec}")
    if stdout_path == stderr_path and stdout_path != os.devnull:
        raise ValueError(f"stdout and stderr need a file each, both are {stdout_path}")


def _never_started(out: StreamFile, err: StreamFile) -> Outcome:
    return Outcome(
        ending=Ending.CANCELLED,
        exit_code=None,
        signal=None,
        wall_us=0,
        cpu_ms=0,
        peak_rss_kb=0,
        peak_processes=0,
        stdout=out.close(),
        stderr=err.close(),
        stragglers_killed=0,
        survivors=0,
        identity=ProcessIdentity(0, 0, boot_id()),
    )
