"""Start the leader of a tree: its own session, its own pipes, an environment handed in."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence

from orchestrator.errors import WorkerError


def open_pipe() -> tuple[int, int]:
    """Return the reading and the writing end, neither inherited.

    Raises:
        WorkerError: no descriptor is left.
    """
    try:
        return os.pipe()
    except OSError as error:
        raise WorkerError(
            f"no pipe for a worker's output: {error.strerror}",
            where="runtime",
            mend="raise the limit on open files (ulimit -n), or run fewer steps at once",
        ) from error


def spawn_leader(
    argv: Sequence[str], cwd: str, env: Mapping[str, str], fds: tuple[int, int, int]
) -> subprocess.Popen[bytes]:
    """Start `argv` as leader of a new session, with `fds` as stdin, stdout and stderr.

    Raises:
        WorkerError: the program or the folder is not there, or the system refuses to run it.
    """
    stdin, stdout, stderr = fds
    try:
        return subprocess.Popen(
            argv,
            cwd=cwd,
            env=env,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
        )
    except OSError as error:
        if error.filename == cwd:
            raise WorkerError(
                f"a command cannot start in its folder: {error.strerror}",
                where=cwd,
                mend="make the folder exist and be accessible",
            ) from error
        raise WorkerError(
            f"the program {argv[0]!r} cannot be started: {error.strerror}",
            where=cwd,
            mend=f"install it, make it executable, or put it on PATH ({env.get('PATH', 'unset')})",
        ) from error
    except ValueError as error:  # a NUL byte, or an illegal name in the environment
        raise WorkerError(
            f"the program {argv[0]!r} cannot be started: {error}",
            where=cwd,
            mend="remove the byte that no command line or environment can carry",
        ) from error
