"""One plain `git` process in a pinned, neutral environment.

git is the sharpest confused deputy on the machine: an ordinary `git status` runs what the
repository's configuration names (fsmonitor, hooks, filters, external diff). So:

- The environment is built from nothing: no configuration of the system or the user, no pager, no
  editor, no prompt, no replace objects, literal pathspecs, `LC_ALL=C`.
- `GIT_DIR`, `GIT_COMMON_DIR`, `GIT_WORK_TREE`, `GIT_INDEX_FILE` and the object store are given,
  never discovered: neither a `.git` file nor a `commondir` written by a worker redirects anything.
- For everything that looks at the work tree `GIT_DIR` is a private directory of ours
  (`repository.py`); the repository's own configuration and attributes are not read at all.

Starting a process costs more than most of what it does, so `posix_spawn` is called directly,
standard input and error are memory files, and one loop reads the one pipe. The child has its own
process group: a Ctrl-C at the terminal does not cut a restore in two.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import select
import shutil
import signal
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from orchestrator.errors import WorkspaceError

MINIMUM: Final = (2, 25)
TIMEOUT_SEC: Final = 120.0

# Given on every call: also those that have to read the user's repository (its refs).
NEUTRAL: Final = (
    "-c",
    "core.hooksPath=/dev/null",
    "-c",
    "core.fsmonitor=false",
    "-c",
    "gc.auto=0",
    "-c",
    "maintenance.auto=false",
    "-c",
    "safe.bareRepository=explicit",
    "-c",
    "core.quotePath=false",
    "-c",
    "core.untrackedCache=false",
    "-c",
    "protocol.allow=never",
    "-c",
    "advice.addEmbeddedRepo=false",
)

ENVIRONMENT: Final[Mapping[str, str]] = {
    "LC_ALL": "C",
    "TZ": "UTC",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_PAGER": "cat",
    "GIT_EDITOR": "false",
    "GIT_ASKPASS": "false",
    "GIT_SSH_COMMAND": "false",
}

_VERSIONS: dict[str, tuple[int, int]] = {}  # by path of the binary: asked once a process


class Git:
    """Runs git for one repository and counts what it costs.

    Args:
        environment: the variables that pin this repository; added to `ENVIRONMENT`.
        timeout_sec: a git that takes longer is killed (a FIFO where a file was expected).
        guard: a file that every child holds locked while it runs (see `wait_for_orphans`).

    `child_seconds` is the wall time spent in children, `spawned` their number.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        *,
        timeout_sec: float = TIMEOUT_SEC,
        guard: Path | None = None,
    ) -> None:
        self.binary = find_git()
        self.child_seconds = 0.0
        self.spawned = 0
        self._timeout_sec = timeout_sec
        self._guard = guard
        self._environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            **ENVIRONMENT,
            **environment,
        }
        _check_version(self.binary)

    def run(
        self,
        args: Sequence[str],
        *,
        cwd: Path | None = None,
        stdin: bytes = b"",
        extra: Mapping[str, str] | None = None,
        allowed: Sequence[int] = (0,),
    ) -> bytes:
        """Run `git ARGS` and return its standard output.

        Args:
            args: arguments after the neutral options.
            cwd: the directory git runs in.
            stdin: everything it may read.
            extra: variables for this call alone.
            allowed: exit codes that are no fault.

        Raises:
            WorkspaceError: another exit code, a signal, or the time-out.
        """
        environment = self._environment if extra is None else {**self._environment, **extra}
        place = () if cwd is None else ("-C", os.fspath(cwd))
        argv = ["git", *place, *NEUTRAL, *args]
        start = time.perf_counter()
        try:
            code, out, err = _spawn(
                self.binary, argv, environment, stdin, self._timeout_sec, self._guard
            )
        finally:
            self.child_seconds += time.perf_counter() - start
            self.spawned += 1
        if code in allowed:
            return out
        said = err.decode("utf-8", "replace").strip() or f"exit code {code}"
        raise WorkspaceError(
            f"git {args[0]} failed: {said[:2000]}",
            where=str(cwd or self._environment.get("GIT_DIR", "")),
            mend="read git's own message; the user's index, HEAD and branches were not touched",
        )


def wait_for_orphans(guard: Path) -> None:
    """Wait until no git holds `guard`: a controller was killed, and its git is still writing.

    Each of them ends by itself: nothing waits for the dead controller.
    """
    descriptor = os.open(guard, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    finally:
        os.close(descriptor)


def find_git() -> str:
    """Path of the git on PATH. Raises WorkspaceError where there is none."""
    found = shutil.which("git")
    if found is None:
        raise WorkspaceError("git was not found", where="PATH", mend="install git 2.25 or newer")
    return found


def _check_version(binary: str) -> None:
    """Refuse a git that is older than what the private environment needs; asks once."""
    if binary not in _VERSIONS:
        environment = {"PATH": os.environ.get("PATH", os.defpath), **ENVIRONMENT}
        _, out, _ = _spawn(binary, ["git", "version"], environment, b"", TIMEOUT_SEC)
        _VERSIONS[binary] = parse_version(out.decode("utf-8", "replace"))
    if _VERSIONS[binary] < MINIMUM:
        found = ".".join(str(part) for part in _VERSIONS[binary])
        raise WorkspaceError(
            f"git {found} is too old", where=binary, mend="install git 2.25 or newer"
        )


def parse_version(text: str) -> tuple[int, int]:
    """`git version 2.39.5` as (2, 39); (0, 0) for anything else."""
    match = re.match(r"git version (\d+)\.(\d+)", text)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def _memory_file(content: bytes) -> int:
    """A descriptor of an unnamed file that holds `content`, at its start."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("git")
    else:  # pragma: no cover  not Linux
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def _spawn(
    binary: str,
    argv: list[str],
    environment: Mapping[str, str],
    stdin: bytes,
    timeout_sec: float,
    guard: Path | None = None,
) -> tuple[int, bytes, bytes]:
    """Run one child to its end: exit code (negative for a signal), output, error output."""
    given, said = _memory_file(stdin), _memory_file(b"")
    reader, writer = os.pipe()
    held = -1
    try:
        actions = [
            (os.POSIX_SPAWN_DUP2, given, 0),
            (os.POSIX_SPAWN_DUP2, writer, 1),
            (os.POSIX_SPAWN_DUP2, said, 2),
        ]
        if guard is not None:
            held = os.open(guard, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(held, fcntl.LOCK_SH)  # the lock lives as long as the child's copy
            actions.append((os.POSIX_SPAWN_DUP2, held, 3))
        try:
            pid = os.posix_spawn(
                binary,
                argv,
                environment,
                file_actions=actions,
                setpgroup=0,
                setsigmask=(),
                setsigdef=(signal.SIGPIPE,),
            )
        except OSError as error:
            raise WorkspaceError(
                f"git could not be started: {error}", where=binary, mend="check the installation"
            ) from error
        os.close(writer)
        writer = -1
        out = _read_all(reader, pid, timeout_sec)
        code = _wait(pid)
        if out is None:
            raise WorkspaceError(
                f"git {argv[-1]} took longer than {timeout_sec:.0f} s and was killed",
                where=" ".join(argv[:3]),
                mend="look for a FIFO in place of a file, or a file system that hangs",
            )
        os.lseek(said, 0, os.SEEK_SET)
        return code, out, os.read(said, 65536)
    finally:
        for descriptor in (given, said, reader, writer, held):
            if descriptor >= 0:
                os.close(descriptor)


def _read_all(reader: int, pid: int, timeout_sec: float) -> bytes | None:
    """Everything up to the end of the pipe; None when the child had to be killed."""
    deadline = time.monotonic() + timeout_sec
    poll = select.poll()
    poll.register(reader, select.POLLIN)
    parts: list[bytes] = []
    while True:
        if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
            return None
        part = os.read(reader, 1 << 20)
        if not part:
            return b"".join(parts)
        parts.append(part)


def _wait(pid: int) -> int:
    """Reap the child. Somebody else's `waitpid(-1)` may have been first: that is a fault."""
    try:
        _, status = os.waitpid(pid, 0)
    except ChildProcessError as error:
        raise WorkspaceError(
            "the end of a git process was collected by somebody else",
            where=f"process {pid}",
            mend="do not wait for every child while the workspace is in use",
        ) from error
    return os.waitstatus_to_exitcode(status)
