"""Make, list, plan, restore and prune checkpoints of a workspace.

A checkpoint is a commit under `refs/orchestrator/checkpoints/<task>/<id>` whose message carries
what a tree cannot say, as one line of JSON. Beside it, in the scratch directory, lie the signatures
of what the tree leaves out (`IgnoredState`), so that a rollback can tell what is new.

A rollback
- restores every file that the tree holds, byte for byte, and deletes what came since;
- never deletes what no tree holds: ignored files and nested repositories that came since are
  moved to a quarantine in the scratch directory, with files over the size limit;
- reports, and leaves alone, ignored files that were there before and have been changed or deleted
  since, and everything inside `.git`: their old contents were never saved;
- makes a checkpoint of the present first, so that it can itself be undone;
- does nothing when there is nothing to do, and finishes when it is run again after a kill.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

from orchestrator.errors import NothingToDo, WorkspaceError
from orchestrator.recovery.leftovers import Leftovers, sort_leftovers
from orchestrator.vocabulary import ID_PATTERN
from orchestrator.workspace.diff import shown
from orchestrator.workspace.model import (
    ExcludedFile,
    IgnoredState,
    Signature,
    Snapshot,
    TreeRef,
    Workspace,
)
from orchestrator.workspace.rollback import in_scope
from orchestrator.workspace.walk import move_aside, signature

PREFIX: Final = "refs/orchestrator/checkpoints"
Actions = list["Action"]
Paths = list[str]
_STAMP: Final = "%Y%m%dT%H%M%SZ"
_RANDOM_CHARS: Final = 7

Checkpointed = list["Checkpoint"]  # `list` is a method below
ActionKind = Literal["write", "delete", "move aside", "cannot restore"]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A restorable state. `files` names the scope it was made for; None means everything."""

    checkpoint_id: str
    task_key: str
    run_id: str
    at: datetime
    ref: str
    tree: str
    commit: str
    kind: Literal["git", "files"]
    files: tuple[str, ...] | None = None
    excluded: tuple[ExcludedFile, ...] = ()
    warnings: tuple[str, ...] = ()
    undo_of: str | None = None
    state_digest: str | None = None


@dataclass(frozen=True, slots=True)
class Action:
    """One line of a dry run."""

    kind: ActionKind
    path: str
    why: str


@dataclass(frozen=True, slots=True)
class Restored:
    """What a rollback did. Everything is empty when there was nothing to do."""

    checkpoint_id: str
    changed: tuple[str, ...] = ()  # restored or deleted
    undo_checkpoint: Checkpoint | None = None
    moved_aside: tuple[str, ...] = ()
    quarantine: Path | None = None
    not_restorable: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Present:
    """The work tree of now, seen from a checkpoint."""

    snapshot: Snapshot
    state: IgnoredState
    leftovers: Leftovers


class Checkpoints:
    """The checkpoints of one workspace.

    Args:
        workspace: a `GitTree` or a `FileTree`.
        now: the time for the checkpoint before a rollback, aware UTC.
        new_suffix: seven letters or digits that make an id unique.
    """

    def __init__(
        self,
        workspace: Workspace,
        *,
        now: Callable[[], datetime] = lambda: datetime.fromtimestamp(time.time(), UTC),
        new_suffix: Callable[[], str] = lambda: secrets.token_hex(4)[:_RANDOM_CHARS],
    ) -> None:
        self._workspace = workspace
        self._now = now
        self._new_suffix = new_suffix
        self._states = workspace.scratch / "checkpoints"
        self._made: dict[str, Checkpoint] = {}
        self._last_state: tuple[IgnoredState, str] | None = None

    # --- making --------------------------------------------------------------------------------

    def create(
        self,
        task_key: str,
        run_id: str,
        *,
        at: datetime,
        files: Sequence[str] | None = None,
        snapshot: Snapshot | None = None,
        tree: str | None = None,
        ignored: IgnoredState | None = None,
        undo_of: str | None = None,
    ) -> Checkpoint:
        """Keep the present state.

        Args:
            task_key: names the task; also a part of the ref.
            run_id: the run it belongs to.
            at: aware UTC; becomes part of the id, to the second.
            files: paths or directories that a rollback is limited to; None for everything.
            snapshot: one that was just taken, to save taking another.
            tree: its tree, where only that is at hand.
            ignored: the ignored state that goes with it.
            undo_of: the checkpoint whose rollback this one can undo.

        Raises:
            ValueError: a malformed task key or a naive time (the caller's mistake).
            WorkspaceError: the workspace could not be read or written.
        """
        if re.fullmatch(ID_PATTERN, task_key) is None or ".." in task_key:
            raise ValueError(f"expected a task key like T-013, found {task_key!r}")
        if at.tzinfo is None:
            raise ValueError("expected an aware time")
        if snapshot is None:
            snapshot = self._workspace.snapshot() if tree is None else Snapshot(tree)
        if ignored is None:
            ignored = self._workspace.ignored_state(snapshot if tree is None else None)
        stamp = at.astimezone(UTC).strftime(_STAMP)
        checkpoint_id = f"{task_key}_{stamp}_{self._new_suffix()}"
        meta = {
            "at": stamp,
            "excluded": [[f.path, f.size_bytes, f.reason] for f in snapshot.excluded],
            "files": None if files is None else list(files),
            "run": run_id,
            "state": self._save_state(ignored),
            "task": task_key,
            "undo_of": undo_of,
            "warnings": list(snapshot.warnings),
        }
        ref = f"{PREFIX}/{task_key}/{checkpoint_id}"
        commit = self._workspace.commit(
            snapshot.tree, f"checkpoint {checkpoint_id}\n\n{json.dumps(meta)}\n", None, ref
        )
        made = self._from_meta(TreeRef(ref, commit, snapshot.tree, ""), meta)
        self._made[checkpoint_id] = made
        return made

    def _save_state(self, state: IgnoredState) -> str:
        """Write the side file, once for equal states; return its digest."""
        if self._last_state is not None and self._last_state[0] == state:
            return self._last_state[1]
        content = json.dumps(state.to_json(), separators=(",", ":")).encode("ascii")
        digest = hashlib.sha256(content).hexdigest()
        path = self._states / f"{digest}.json"
        if not path.exists():
            self._states.mkdir(parents=True, exist_ok=True)
            temporary = path.with_suffix(".tmp")
            temporary.write_bytes(content)
            temporary.rename(path)
        self._last_state = (state, digest)
        return digest

    # --- finding -------------------------------------------------------------------------------

    def list(self, task_key: str | None = None) -> Checkpointed:
        """Every checkpoint (of a task), oldest first."""
        prefix = PREFIX if task_key is None else f"{PREFIX}/{task_key}"
        found = [self._parse(ref) for ref in self._workspace.refs(prefix)]
        known = [checkpoint for checkpoint in found if checkpoint is not None]
        return sorted(known, key=lambda checkpoint: (checkpoint.at, checkpoint.checkpoint_id))

    def find(self, checkpoint_id: str) -> Checkpoint:
        """One checkpoint. Raises NothingToDo where there is none of that name."""
        made = self._made.get(checkpoint_id)
        if made is not None:
            return made
        task_key = checkpoint_id.rsplit("_", 2)[0]
        if re.fullmatch(ID_PATTERN, task_key) is not None and ".." not in task_key:
            for checkpoint in self.list(task_key):
                if checkpoint.checkpoint_id == checkpoint_id:
                    return checkpoint
        raise NothingToDo(
            f"there is no checkpoint {checkpoint_id!r}",
            where=str(self._workspace.root),
            mend="list the checkpoints, and name one of them",
        )

    def _parse(self, ref: TreeRef) -> Checkpoint | None:
        try:
            return self._from_meta(ref, json.loads(ref.message.strip().rpartition("\n")[2]))
        except (ValueError, KeyError, TypeError):
            return None  # a ref of somebody else's making

    def _from_meta(self, ref: TreeRef, meta: dict[str, Any]) -> Checkpoint:
        return Checkpoint(
            checkpoint_id=ref.ref.rpartition("/")[2],
            task_key=meta["task"],
            run_id=meta["run"],
            at=datetime.strptime(meta["at"], _STAMP).replace(tzinfo=UTC),
            ref=ref.ref,
            tree=ref.tree,
            commit=ref.commit,
            kind=self._workspace.kind,
            files=None if meta["files"] is None else tuple(meta["files"]),
            excluded=tuple(ExcludedFile(*file) for file in meta["excluded"]),
            warnings=tuple(meta["warnings"]),
            undo_of=meta["undo_of"],
            state_digest=meta["state"],
        )

    def _load_state(self, checkpoint: Checkpoint) -> IgnoredState | None:
        """The ignored state of a checkpoint; None where the side file is gone or altered."""
        if self._last_state is not None and self._last_state[1] == checkpoint.state_digest:
            return self._last_state[0]
        path = self._states / f"{checkpoint.state_digest}.json"
        try:
            content = path.read_bytes()
            if hashlib.sha256(content).hexdigest() != checkpoint.state_digest:
                return None
            return IgnoredState.from_json(json.loads(content))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    # --- going back ----------------------------------------------------------------------------

    def plan(self, checkpoint_id: str, *, files: Sequence[str] | None = None) -> Actions:
        """What a rollback would do, sorted by path; nothing is changed."""
        checkpoint = self.find(checkpoint_id)
        scope = checkpoint.files if files is None else tuple(files)
        present = self._look(checkpoint, scope)
        actions: list[Action] = []
        for change in self._workspace.changes(present.snapshot.tree, checkpoint.tree):
            if change.kind == "renamed" and change.old_path is not None:
                if in_scope(change.old_path, scope):
                    actions.append(Action("delete", change.old_path, "renamed since"))
                if in_scope(change.path, scope):
                    actions.append(Action("write", change.path, "renamed since"))
            elif in_scope(change.path, scope):
                actions.append(self._action(change.path, change.kind, present))
        actions += [Action("move aside", shown(p), "new since") for p in present.leftovers.new]
        actions += [
            Action("cannot restore", shown(p), "its old contents were not saved")
            for p in present.leftovers.changed
        ]
        return sorted(actions, key=lambda action: (action.path, action.kind))

    @staticmethod
    def _action(path: str, kind: str, present: _Present) -> Action:
        if kind != "deleted":
            return Action("write", path, "deleted since" if kind == "added" else "changed since")
        if present.leftovers.is_protected(path):
            return Action("cannot restore", path, "was outside the tree, and is kept")
        return Action("delete", path, "new since")

    def restore(
        self,
        checkpoint_id: str,
        *,
        undo: bool = True,
        files: Sequence[str] | None = None,
        snapshot: Snapshot | None = None,
    ) -> Restored:
        """Put the work tree back to a checkpoint.

        Args:
            checkpoint_id: which one.
            undo: keep the present state first, when anything will change.
            files: limit the rollback to these paths, instead of the checkpoint's own.
            snapshot: one of now, to save taking another.

        Raises:
            NothingToDo: there is no such checkpoint.
            WorkspaceError: the tree could not be made equal; run it again.
        """
        checkpoint = self.find(checkpoint_id)
        scope = checkpoint.files if files is None else tuple(files)
        quarantine = self._workspace.scratch / "quarantine" / checkpoint_id
        moved = list(self._workspace.clear_hazards(quarantine))
        present = self._look(checkpoint, scope, snapshot)
        if not (moved or present.leftovers.new or self._differs(present, checkpoint, scope)):
            return Restored(checkpoint_id, not_restorable=present.leftovers.changed)
        undo_checkpoint = self._keep_present(checkpoint, present) if undo else None
        moved += self._move_all(present.leftovers.new, quarantine)
        result = self._workspace.restore_tree(
            checkpoint.tree,
            current=present.snapshot,
            files=scope,
            keep=present.leftovers.is_protected,
            quarantine=quarantine,
        )
        moved += result.moved
        return Restored(
            checkpoint_id,
            changed=tuple(sorted(change.path for change in result.changes)),
            undo_checkpoint=undo_checkpoint,
            moved_aside=tuple(sorted(shown(path) for path in moved)),
            quarantine=quarantine if moved else None,
            not_restorable=tuple(sorted({*present.leftovers.changed, *result.kept})),
        )

    def _look(
        self,
        checkpoint: Checkpoint,
        scope: Sequence[str] | None,
        snapshot: Snapshot | None = None,
    ) -> _Present:
        now = snapshot or self._workspace.snapshot()
        state = self._workspace.ignored_state(now)
        before = self._load_state(checkpoint)
        leftovers = sort_leftovers(before, state, now, checkpoint.excluded, scope, self._sign)
        return _Present(now, state, leftovers)

    def _sign(self, path: str) -> Signature | None:
        return signature(self._workspace.root / path)

    def _differs(
        self, present: _Present, checkpoint: Checkpoint, scope: Sequence[str] | None
    ) -> bool:
        if present.snapshot.tree == checkpoint.tree:
            return False
        return scope is None or any(
            in_scope(path, scope)
            for change in self._workspace.changes(present.snapshot.tree, checkpoint.tree)
            for path in (change.path, change.old_path or change.path)
        )

    def _keep_present(self, checkpoint: Checkpoint, present: _Present) -> Checkpoint:
        return self.create(
            checkpoint.task_key,
            checkpoint.run_id,
            at=self._now(),
            snapshot=present.snapshot,
            ignored=present.state,
            undo_of=checkpoint.checkpoint_id,
        )

    def _move_all(self, paths: Iterable[str], quarantine: Path) -> Paths:
        root = self._workspace.root
        try:
            return [path for path in paths if move_aside(root, path, quarantine)]
        except OSError as error:
            raise WorkspaceError(
                f"a new file could not be moved to the quarantine: {error}",
                where=str(quarantine),
                mend="make room or mend its permissions, then roll back again",
            ) from error

    # --- forgetting ----------------------------------------------------------------------------

    def prune(self, keep_per_task: int) -> Paths:
        """Forget all but the newest `keep_per_task` checkpoints of each task; return their ids."""
        if keep_per_task < 0:
            raise ValueError(f"expected a number not below 0, found {keep_per_task}")
        by_task: dict[str, list[Checkpoint]] = {}
        for checkpoint in self.list():
            by_task.setdefault(checkpoint.task_key, []).append(checkpoint)
        gone = [c for made in by_task.values() for c in made[: max(0, len(made) - keep_per_task)]]
        self._workspace.delete_refs([checkpoint.ref for checkpoint in gone])
        for checkpoint in gone:
            self._made.pop(checkpoint.checkpoint_id, None)
        self._drop_unused_states(c.state_digest for c in self.list())
        return [checkpoint.checkpoint_id for checkpoint in gone]

    def _drop_unused_states(self, used: Iterable[str | None]) -> None:
        wanted = set(used)
        self._last_state = None
        for path in self._states.glob("*.json"):
            if path.stem not in wanted:
                path.unlink(missing_ok=True)
