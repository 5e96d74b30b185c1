"""One work tree: checkpoints, the real changes, and our own run of the checks.

A worker changes the tree in place. What is accepted is a tree object; the checks run on an exact
copy of it outside the project, in a scrubbed environment (decision 0003).
"""

from __future__ import annotations

import os
import re
import stat
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from orchestrator.kernel.records import Moment
from orchestrator.kernel.work import CheckpointTaken, Round, WorkerAnswer
from orchestrator.protocol.changes import Change
from orchestrator.protocol.evidence import ClaimedFile, CommandRun, Observations, PatternCount
from orchestrator.protocol.step_pack import StepPack
from orchestrator.recovery.checkpoint import Checkpoints
from orchestrator.runtime.cancel import CancelToken
from orchestrator.store.files import signature
from orchestrator.verification.bytecode import sweep_bytecode
from orchestrator.verification.checks import CheckRunner
from orchestrator.verification.claims import (
    EvidencePlace,
    count_patterns,
    look_at_claims,
    named_paths,
)
from orchestrator.verification.collisions import colliding_paths
from orchestrator.wiring.settings import CheckSettings
from orchestrator.workspace.model import IgnoredState, Snapshot, Workspace
from orchestrator.workspace.model import Signature as WorkspaceSignature
from orchestrator.workspace.steering import Steering

_KEPT = 64
_ASKS_GIT = re.compile(r"\bgit\b")
_Signature = tuple[int, int, int] | None
_Folder = tuple[int, int, int] | None


@dataclass(frozen=True, slots=True)
class _Noted:
    """What is compared after the worker has ended."""

    base_tree: str
    ignored: IgnoredState
    control: dict[Path, _Signature]
    folders: dict[Path, _Folder]
    started_ns: int
    steering: Steering | None
    own: dict[str, WorkspaceSignature]


class ProjectWorkplace:
    """The workplace of one project.

    `child_seconds` counts the wall time that checks and git took.
    """

    def __init__(
        self,
        workspace: Workspace,
        checkpoints: Checkpoints,
        runner: CheckRunner,
        settings: CheckSettings,
        *,
        control_files: Sequence[Path],
        control_folders: Sequence[Path] = (),
        cancel: CancelToken,
    ) -> None:
        self.workspace = workspace
        self.checkpoints = checkpoints
        self._runner = runner
        self._settings = settings
        self._control_files = tuple(control_files)
        self._control_folders = tuple(control_folders)
        self._cancel = cancel
        self._environment = dict(os.environ)  # one plain dict: the runner scrubs it once
        self._copies = workspace.scratch / "checks"
        self._ignored_at: OrderedDict[str, IgnoredState] = OrderedDict()
        self._base_runs: OrderedDict[tuple[str, str], CommandRun] = OrderedDict()

    @property
    def child_seconds(self) -> float:
        """Wall time of git processes and of checks, in seconds."""
        return self.workspace.child_seconds + self._runner.child_seconds

    # before the worker

    def checkpoint(self, task_key: str, run_id: str, moment: Moment) -> CheckpointTaken:
        """Make a state that can be restored exactly."""
        snapshot = self.workspace.snapshot()
        ignored = self.workspace.ignored_state(snapshot)
        made = self.checkpoints.create(
            task_key,
            run_id,
            at=datetime.fromtimestamp(moment.ms / 1000, tz=UTC),
            snapshot=snapshot,
            ignored=ignored,
        )
        self._ignored_at[made.checkpoint_id] = ignored
        while len(self._ignored_at) > _KEPT:
            self._ignored_at.popitem(last=False)
        return CheckpointTaken(made.checkpoint_id, made.tree, tuple(made.warnings))

    def before(self, place: Round, pack: StepPack, checkpoint: CheckpointTaken) -> object:
        """Note what has to be compared after the worker has ended."""
        del pack
        control = {path: signature(path) for path in (*self._control_files, *_own(place))}
        folders = {path: _folder(path) for path in self._control_folders}
        ignored = self._ignored_at.get(checkpoint.checkpoint_id)
        if ignored is None:  # a review of the present tree: nobody saw what it was before
            ignored = self.workspace.ignored_state(self.workspace.snapshot())
        steering = self.workspace.steering()
        own = self.workspace.own_state()
        return _Noted(checkpoint.tree, ignored, control, folders, time.time_ns(), steering, own)

    # after the worker

    def observe(
        self,
        noted: object,
        place: Round,
        pack: StepPack,
        answer: WorkerAnswer,
        *,
        since_start: bool = True,
    ) -> Observations:
        """Look: real changes, our own run of the checks, the claimed files.

        since_start: evidence counts only when it was written after `before`.
        """
        if not isinstance(noted, _Noted):
            raise TypeError("observe wants what before returned")
        touched = self._touched(noted, [], noted.own)
        snapshot, ignored, changes = self._look(noted)
        if since_start and self._sweep(changes):
            snapshot, ignored, changes = self._look(noted)
        warnings = list(snapshot.warnings)
        if since_start:
            warnings += self._take_back(noted, place)
        runs: tuple[CommandRun, ...] = ()
        base: tuple[CommandRun, ...] = ()
        if _worth_checking(answer) and pack.commands_to_run:
            carry = self.workspace.carryable(noted.ignored, ignored)
            own = _steady(self.workspace.own_state())
            runs = self._checked(pack, place, noted.base_tree, snapshot.tree, carry, warnings)
            base = self._on_base(pack, place, noted.base_tree, snapshot.tree, carry, runs)
            touched = self._touched(noted, touched, own)
            checked = snapshot.tree
            snapshot, ignored, changes = self._second_look(noted, snapshot, ignored, changes)
            if snapshot.tree != checked:
                warnings.append("the tree changed while the checks ran")
            if since_start:
                warnings += self._take_back(noted, place)
        files, patterns = self._claims(noted.started_ns if since_start else 0, pack, answer)
        return Observations(
            attempt_id=place.attempt_id,
            base_tree=noted.base_tree,
            tree=snapshot.tree,
            changes=tuple(changes),
            worker=answer.run,
            commands=runs,
            base_commands=base,
            claimed_files=files,
            patterns=patterns,
            control_files_touched=tuple(self._relative(path) for path in touched),
            colliding_paths=self._collisions(changes),
            dependencies_added=self._dependencies(changes),
            warnings=tuple(warnings),
        )

    def _touched(
        self, noted: _Noted, known: list[str], own: dict[str, WorkspaceSignature]
    ) -> list[str]:
        """Files of the controller that somebody else wrote since they were noted."""
        changed = [str(path) for path, was in noted.control.items() if signature(path) != was]
        changed += [str(path) for path, was in noted.folders.items() if _is_another(path, was)]
        now = self.workspace.own_state()
        if now != own and _steady(now) != own:
            changed.append(str(self.workspace.scratch))
            self.workspace.distrust()
        return list(dict.fromkeys([*known, *changed]))

    def _second_look(
        self,
        noted: _Noted,
        snapshot: Snapshot,
        ignored: IgnoredState,
        changes: list[Change],
    ) -> tuple[Snapshot, IgnoredState, list[Change]]:
        """What lies there once the checks have ended: they run the worker's code.

        Work that waits for its check to rewrite the project would else be accepted unseen.
        """
        later = self.workspace.snapshot()
        if later.tree == snapshot.tree:
            return snapshot, ignored, changes
        return self._look(noted)

    def _look(self, noted: _Noted) -> tuple[Snapshot, IgnoredState, list[Change]]:
        snapshot = self.workspace.snapshot()
        ignored = self.workspace.ignored_state(snapshot)
        changes = [
            *map(self._with_target, self.workspace.changes(noted.base_tree, snapshot.tree)),
            *self.workspace.ignored_changes(noted.ignored, ignored),
        ]
        return snapshot, ignored, changes

    def _take_back(self, noted: _Noted, place: Round) -> tuple[str, ...]:
        """Undo at once what the worker did to git itself, whatever comes of the attempt.

        A planted hook is refused by the review; a commit on the branch is not held against
        anybody: its files are in the tree, and the branch waits for a person.
        """
        quarantine = self.workspace.scratch / "quarantine" / place.attempt_id / "git"
        kept = f"refs/orchestrator/moved/{place.attempt_id}"
        return self.workspace.take_back(noted.steering, quarantine, kept)

    def _sweep(self, changes: Sequence[Change]) -> bool:
        """Remove the bytecode that came with the attempt. Whether any of it was in the tree.

        Python would run it in place of its source, here and after an accept; nobody reads it.
        """
        caches = [
            change
            for change in changes
            if change.path.endswith((".pyc", ".pyo"))
            and (change.kind == "added" or (change.ignored and change.kind == "modified"))
        ]
        if not caches:
            return False
        sweep_bytecode(str(self.workspace.root), [change.path for change in caches])
        return any(not change.ignored for change in caches)

    def _relative(self, path: str) -> str:
        return path.removeprefix(f"{self.workspace.root}{os.sep}")

    def _collisions(self, changes: Sequence[Change]) -> tuple[str, ...]:
        new = [
            change.path
            for change in changes
            if change.kind in {"added", "renamed"} and not change.ignored
        ]
        return colliding_paths(str(self.workspace.root), new) if new else ()

    def _dependencies(self, changes: Sequence[Change]) -> tuple[str, ...] | None:
        from orchestrator.verification.manifests import added_dependencies, is_manifest  # noqa: PLC0415

        changed = [change for change in changes if is_manifest(change.path) and not change.ignored]
        if not changed:
            return ()
        before, after = {}, {}
        for change in changed:
            if change.old_oid is not None:
                before[change.old_path or change.path] = self._text(change.old_oid)
            if change.new_oid is not None:
                after[change.path] = self._text(change.new_oid)
        return added_dependencies(before, after)

    def _with_target(self, change: Change) -> Change:
        """Add what a symbolic link says; the review asks where it leads."""
        if change.new_mode != "120000" or change.new_oid is None:
            return change
        return change.model_copy(update={"link_target": self._text(change.new_oid)})

    def _text(self, oid: str) -> str:
        return self.workspace.read_blob(oid).decode("utf-8", "replace")

    def _claims(
        self, started_ns: int, pack: StepPack, answer: WorkerAnswer
    ) -> tuple[tuple[ClaimedFile, ...], tuple[PatternCount, ...]]:
        place = EvidencePlace((str(self.workspace.root),), started_ns)
        files: tuple[ClaimedFile, ...] = ()
        if answer.result is not None:
            files = look_at_claims(named_paths(answer.result), place)
        if not pack.evidence_required:
            return files, ()
        return files, count_patterns(pack.evidence_required, place, result=answer.result)

    # checks

    def _checked(
        self,
        pack: StepPack,
        place: Round,
        base_tree: str,
        tree: str,
        carry: Sequence[str],
        warnings: list[str],
    ) -> tuple[CommandRun, ...]:
        runs = self._run(pack, place, base_tree, tree, carry, pack.commands_to_run, "cmd")
        for number in range(self._settings.reruns):
            failed = [run for run in runs if _is_red(run)]
            if not failed or self._cancel.is_set:
                return runs
            commands = [run.command for run in failed]
            again = self._run(pack, place, base_tree, tree, carry, commands, f"rerun{number + 1}")
            passed = {
                old.index: new
                for old, new in zip(failed, again, strict=False)
                if new.ending == "exited" and new.exit_code == 0
            }
            warnings += [
                f"check [{old.index}] is flaky: exit {old.exit_code} once, then it passed"
                for old in failed
                if old.index in passed
            ]
            runs = tuple(
                passed[run.index].model_copy(update={"index": run.index})
                if run.index in passed
                else run
                for run in runs
            )
        return runs

    def _on_base(
        self,
        pack: StepPack,
        place: Round,
        base_tree: str,
        tree: str,
        carry: Sequence[str],
        runs: tuple[CommandRun, ...],
    ) -> tuple[CommandRun, ...]:
        """Run on the base tree what passed here (any force?) or broke (is it the harness?)."""
        if tree == base_tree or self._cancel.is_set:
            return ()
        asked = [
            run
            for run in runs
            if run.harness_fault
            or (run.exit_code == 0 and (self._settings.on_base or pack.red_first))
        ]
        missing = [run for run in asked if (base_tree, run.command) not in self._base_runs]
        if missing:
            commands = [run.command for run in missing]
            found = self._run(pack, place, base_tree, base_tree, carry, commands, "base")
            for run in found:
                self._base_runs[base_tree, run.command] = run
            while len(self._base_runs) > _KEPT:
                self._base_runs.popitem(last=False)
        return tuple(
            self._base_runs[base_tree, run.command].model_copy(update={"index": run.index})
            for run in asked
            if (base_tree, run.command) in self._base_runs
        )

    def _run(
        self,
        pack: StepPack,
        place: Round,
        base_tree: str,
        tree: str,
        carry: Sequence[str],
        commands: Sequence[str],
        label: str,
    ) -> tuple[CommandRun, ...]:
        copy = self._copies / ("base" if label == "base" else "head")
        self.workspace.export(tree, copy, carry)
        if any(_ASKS_GIT.search(command) for command in pack.commands_to_run):
            self.workspace.lend_git(copy, base_tree)
        return self._runner.run_checks(
            commands,
            tree_dir=str(copy),
            tree=tree,
            evidence_dir=place.directory,
            evidence_prefix=place.prefix,
            timeout_sec=pack.runtime_policy.check_timeout_sec,
            env=self._environment,
            cancel=self._cancel,
            marker=place.attempt_id,
            tree_probe=lambda: self._probe(tree, copy),
            label=label,
        )

    def _probe(self, tree: str, copy: Path) -> tuple[str, tuple[str, ...]]:
        """Whether the checks rewrote the very files that they judge."""
        changed = self.workspace.copy_changes(copy)
        return (f"{tree}+changes" if changed else tree), changed

    # effects

    def restore(self, checkpoint_id: str) -> int:
        """Put the tree back, exactly. Returns how many paths changed. Repeatable."""
        return len(self.checkpoints.restore(checkpoint_id, undo=False).changed)

    def keep(self, *, kind: str, task_key: str, attempt_id: str, tree: str) -> str:
        """Keep a tree under `refs/orchestrator/<kind>/<task>/<attempt>`."""
        ref = f"refs/orchestrator/{kind}/{task_key}/{attempt_id}"
        self.workspace.commit(tree, f"{kind}: {task_key} {attempt_id}\n", None, ref)
        return ref

    def snapshot(self) -> Snapshot:
        """Return the exact tree of now."""
        return self.workspace.snapshot()


def _folder(path: Path) -> _Folder:
    """Which folder, link or file stands under a name; what it holds does not count."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return None
    return (status.st_dev, status.st_ino, stat.S_IFMT(status.st_mode))


def _is_another(path: Path, was: _Folder) -> bool:
    """Whether a folder was replaced: what we write next would land where somebody else chose."""
    now = _folder(path)
    is_new = was is None and now is not None and now[2] == stat.S_IFDIR
    return now != was and not is_new


def _own(place: Round) -> tuple[Path, ...]:
    """What the controller wrote for this round before the worker started."""
    folder = Path(place.directory)
    return tuple(folder / name for name in ("step_pack.json", "rework_pack.json", "payload.json"))


def _steady(own: dict[str, WorkspaceSignature]) -> dict[str, WorkspaceSignature]:
    """Our own state without what a run of checks may renew: the indexes of the copies."""
    return {path: sign for path, sign in own.items() if "/copy-" not in path and path[-1:] != "/"}


def _worth_checking(answer: WorkerAnswer) -> bool:
    """A worker that did not end by itself, or gave no answer, is refused whatever checks say."""
    return answer.run.ending == "exited" and answer.result is not None


def _is_red(run: CommandRun) -> bool:
    return run.ending == "exited" and run.exit_code != 0 and run.harness_fault is None
