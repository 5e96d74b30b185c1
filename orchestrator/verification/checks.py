"""CheckRunner: the required commands, run by us, with their output kept and hashed.

Each command runs as one process tree under limits, in a scrubbed environment, in the tree that
would be accepted, one after the other. How it ended is a fact and never an error. What says
nothing about the work (a missing program, a missing test tool, a full disk, a kill from outside)
is named as a harness fault; whether the base tree shows the same is for the review to compare.
"""

# Plain paths: this is on the hot path.
# ruff: noqa: PTH103, PTH114, PTH118, PTH123, PTH208
from __future__ import annotations

import os
import re
import shutil
import tempfile
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal

from orchestrator.errors import StoreError, WorkerError
from orchestrator.protocol.evidence import CommandRun, Evidence, TestCount
from orchestrator.runtime.cancel import CancelToken
from orchestrator.runtime.limits import Limits
from orchestrator.runtime.outcome import Captured, Ending, Outcome
from orchestrator.runtime.wrapper import run
from orchestrator.verification.commands import Prepared, prepare
from orchestrator.verification.forces import always_succeeds, failure_masked
from orchestrator.verification.runners import TAIL_BYTES, count_tests
from orchestrator.verification.surroundings import check_environment, stable_digest
from orchestrator.verification.tails import quotable_tail

OnEvent = Callable[[str, Mapping[str, Any]], None]
# What the tree is after the checks: its digest, and the paths that differ from before.
TreeProbe = Callable[[], tuple[str, Sequence[str]]]

_SIGKILL: Final = 9
_PYTEST_RAN_NOTHING: Final = 5
_NO_MODULE: Final = re.compile(
    r"^\S*python[\d.]*(?:\.exe)?: No module named '?([A-Za-z_][\w.]*)", re.MULTILINE
)
# Tools of the place where checks run. A missing module of another name is the work's own.
_TOOL_MODULES: Final = frozenset(
    {
        "pytest", "py", "unittest", "nose", "nose2", "tox", "nox", "coverage", "mypy", "pyright",
        "ruff", "black", "isort", "flake8", "pylint", "bandit", "build", "pip", "hatch", "poetry",
        "xdist", "hypothesis", "twisted", "django", "virtualenv", "compileall", "doctest",
    }
)  # fmt: skip
_PLACE_IS_FULL: Final = (
    ("No space left on device", "the disk is full"),
    ("Disk quota exceeded", "the disk quota is used up"),
    ("fork: Resource temporarily unavailable", "no further process could be started"),
    ("Read-only file system", "the file system is read-only"),
)


class CheckRunner:
    """Runs checks under one set of limits.

    Args:
        max_memory_mb: bound of one command's process tree, in MiB; None is no bound.
        max_output_mb: bound of its stdout and stderr together, in MiB.
        grace_sec: from TERM to KILL when a limit ends it.
        home: a private HOME for checks; None keeps the person's (see `surroundings`).
        extra_env: settings of the project's owner.
    """

    def __init__(
        self,
        *,
        max_memory_mb: int | None = None,
        max_output_mb: float = 64,
        grace_sec: float = 1.0,
        home: str | None = None,
        extra_env: Mapping[str, str] | None = None,
    ) -> None:
        self._memory = max_memory_mb
        self._output = max_output_mb
        self._grace = grace_sec
        self._home = home
        self._extra = dict(extra_env or {})
        self._scrubbed: tuple[dict[str, str], dict[str, str], str] | None = None
        self.child_seconds = 0.0  # wall time of all checks so far
        self._temporary: str | None = None

    def run_checks(
        self,
        commands: Sequence[str],
        *,
        tree_dir: str,
        tree: str,
        evidence_dir: str,
        evidence_prefix: str,
        timeout_sec: float,
        env: Mapping[str, str],
        cancel: CancelToken | None = None,
        marker: str | None = None,
        on_event: OnEvent | None = None,
        tree_probe: TreeProbe | None = None,
        label: str = "cmd",
    ) -> tuple[CommandRun, ...]:
        """Run every command once, in order, also after one that failed.

        Args:
            commands: `commands_to_run` of the pack.
            tree_dir: the folder that holds exactly the tree to judge.
            tree: digest of that tree; goes into each run.
            evidence_dir: where `outputs/` is made.
            evidence_prefix: the same folder as a path relative to the project root.
            timeout_sec: bound of each command.
            env: environment to choose from; it is scrubbed here.
            cancel: ends the command that runs; the rest is not run and not in the answer.
            marker: for `kill_orphans` after a crash.
            on_event: called with `check_started` and `check_ended`.
            tree_probe: asked once after the last command; what it sees is laid to that one.
            label: first part of the output's file names; `base` for runs on the base tree.

        Raises:
            StoreError: the output cannot be written.
        """
        if not commands:
            return ()
        outputs = _output_folder(evidence_dir)
        limits = Limits(timeout_sec, None, self._memory, self._output)
        temporary = self._empty_temporary()
        runs: list[CommandRun] = []
        one: _OneRun | None = None
        try:
            full, digest = self._surroundings(env)
            full = {**full, "TMPDIR": temporary}
            one = _OneRun(
                tree_dir, tree, outputs, f"{evidence_prefix}/outputs", limits, full,
                digest, self._grace, marker, cancel, label,
            )  # fmt: skip
            for index, command in enumerate(commands):
                _tell(on_event, "check_started", {"index": index, "command": command})
                runs.append(done := one.run(index, command))
                _tell(on_event, "check_ended", _summary(done))
                if done.ending == "cancelled":
                    break
        finally:
            self.child_seconds += one.child_seconds if one is not None else 0.0
            self._empty_temporary()
        return _probed(runs, tree_probe)

    def _empty_temporary(self) -> str:
        """Return the checks' TMPDIR, empty; made once, for files are dear to make."""
        path = self._temporary
        try:
            if path and not os.path.islink(path) and not os.listdir(path):
                return path
        except OSError:
            path = None
        if path:
            shutil.rmtree(path, ignore_errors=True)
        self._temporary = path = tempfile.mkdtemp(prefix="chk-")
        weakref.finalize(self, shutil.rmtree, path, ignore_errors=True)
        return path

    def _surroundings(self, env: Mapping[str, str]) -> tuple[dict[str, str], str]:
        """Scrub an environment and digest it, once for as long as it stays the same."""
        if self._scrubbed is None or self._scrubbed[0] != env:
            full = check_environment(env, temporary="", home=self._home, extra=self._extra)
            self._scrubbed = (dict(env), full, stable_digest(full))
        return self._scrubbed[1], self._scrubbed[2]


class _OneRun:
    """What all commands of one call share."""

    def __init__(
        self,
        tree_dir: str,
        tree: str,
        outputs: str,
        prefix: str,
        limits: Limits,
        env: Mapping[str, str],
        digest: str,
        grace_sec: float,
        marker: str | None,
        cancel: CancelToken | None,
        label: str,
    ) -> None:
        self.child_seconds = 0.0
        self._tree_dir, self._tree = tree_dir, tree
        self._outputs, self._prefix, self._label = outputs, prefix, label
        self._limits, self._env, self._digest = limits, env, digest
        self._grace, self._marker, self._cancel = grace_sec, marker, cancel

    def run(self, index: int, command: str) -> CommandRun:
        """Run one command, or say why it must not or could not be run."""
        prepared = prepare(command)
        if prepared.fault is not None:
            return self._not_started(index, prepared, prepared.fault)
        name = f"{self._label}_{index}"
        try:
            outcome = run(
                prepared.argv,
                cwd=self._tree_dir,
                env=self._env,
                limits=self._limits,
                stdout_path=f"{self._outputs}/{name}.stdout.txt",
                stderr_path=f"{self._outputs}/{name}.stderr.txt",
                marker=self._marker,
                grace_sec=self._grace,
                cancel=self._cancel,
            )
        except WorkerError as error:
            return self._not_started(index, prepared, error.what)
        self.child_seconds += outcome.wall_us / 1e6
        return self._seen(index, prepared, name, outcome)

    def _seen(self, index: int, prepared: Prepared, name: str, outcome: Outcome) -> CommandRun:
        out, err = _end_of(outcome.stdout), _end_of(outcome.stderr)
        printed = f"{out}\n{err}" if out and err else out or err
        return CommandRun(
            index=index,
            command=prepared.command,
            argv=prepared.argv,
            used_shell=prepared.used_shell,
            tree=self._tree,
            ending=outcome.ending.value,
            exit_code=outcome.exit_code,
            signal=outcome.signal,
            wall_ms=outcome.wall_ms,
            stdout=self._evidence(f"{name}.stdout.txt", "stdout", outcome.stdout),
            stderr=self._evidence(f"{name}.stderr.txt", "stderr", outcome.stderr),
            tail=quotable_tail(printed),
            tests=_tests(printed, prepared.command, outcome),
            always_succeeds=always_succeeds(prepared.command),
            failure_masked=failure_masked(prepared.command),
            harness_fault=harness_fault(outcome, err or out),
            environment_digest=self._digest,
        )

    def _evidence(
        self, name: str, kind: Literal["stdout", "stderr"], captured: Captured
    ) -> Evidence:
        return Evidence(
            path=f"{self._prefix}/{name}",
            sha256=captured.sha256,
            size_bytes=captured.kept_bytes,
            kind=kind,
            truncated=captured.truncated,
        )

    def _not_started(self, index: int, prepared: Prepared, fault: str) -> CommandRun:
        return CommandRun(
            index=index,
            command=prepared.command,
            argv=prepared.argv,
            used_shell=prepared.used_shell,
            tree=self._tree,
            ending="not_started",
            exit_code=None,
            wall_ms=0,
            harness_fault=fault,
            environment_digest=self._digest,
        )


def harness_fault(outcome: Outcome, printed: str) -> str | None:
    """Say why a run proves nothing about the work; None where it may prove something.

    Args:
        outcome: how the command ended; a stop at a limit is not named here, the ending says it.
        printed: the end of its stderr, or of its stdout where it printed no error.
    """
    if outcome.ending is Ending.SIGNALLED and outcome.signal == _SIGKILL:
        return "it was killed from outside (SIGKILL): out of memory, or by hand"
    if outcome.ending is not Ending.EXITED or not outcome.exit_code:
        return None
    for said in _NO_MODULE.findall(printed) if "No module named" in printed else ():
        if said.partition(".")[0] in _TOOL_MODULES:
            return f"the Python that runs the check has no module named {said}"
    return next((why for text, why in _PLACE_IS_FULL if text in printed), None)


def _tests(printed: str, command: str, outcome: Outcome) -> TestCount | None:
    found = count_tests(printed, command)
    if found is None and outcome.exit_code == _PYTEST_RAN_NOTHING and "pytest" in command:
        return TestCount(runner="pytest", executed=0)
    return found


def _output_folder(evidence_dir: str) -> str:
    outputs = os.path.join(evidence_dir, "outputs")
    try:
        os.makedirs(outputs, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"the folder for the output of checks cannot be made: {error.strerror}",
            where=outputs,
            mend="look at the folder's rights and at the free space",
        ) from error
    if os.path.islink(outputs):
        raise StoreError(
            "the folder for the output of checks is a symbolic link",
            where=outputs,
            mend="remove the link; the controller makes the folder itself",
        )
    return outputs


def _end_of(captured: Captured) -> str:
    if not captured.kept_bytes:
        return ""
    with open(captured.path, "rb") as file:
        if captured.kept_bytes > TAIL_BYTES:
            file.seek(-TAIL_BYTES, os.SEEK_END)
        return file.read(TAIL_BYTES).decode("utf-8", "replace")


def _probed(runs: list[CommandRun], probe: TreeProbe | None) -> tuple[CommandRun, ...]:
    if probe is not None and runs:
        after, changed = probe()
        runs[-1] = runs[-1].model_copy(
            update={"tree_after": after, "changed_paths": tuple(changed)}
        )
    return tuple(runs)


def _summary(done: CommandRun) -> dict[str, Any]:
    return {
        "index": done.index,
        "command": done.command,
        "ending": done.ending,
        "exit_code": done.exit_code,
        "wall_ms": done.wall_ms,
    }


def _tell(on_event: OnEvent | None, kind: str, data: Mapping[str, Any]) -> None:
    if on_event is not None:
        on_event(kind, data)
