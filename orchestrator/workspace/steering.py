"""What steers git in a repository, kept in full while a worker runs, and taken back afterwards.

Two kinds of things. The *points*: configuration, hooks, `info/` and the alternates, small files by
which git can be led to run something or look elsewhere. And the *head*: what `HEAD` says, and the
tip of the branch that it names. A worker that touches them leaves traps that outlive a rollback of
the tree (a hook runs at the person's next commit), or a branch that holds refused work.

`take_back` undoes both as `git reset --soft` would: files of the work tree and the index stay. What
is replaced is kept: points in the quarantine, a moved tip under a ref of ours. Other branches are
left alone, because a person may be at work on them in another work tree.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from orchestrator.workspace.git import Git
from orchestrator.workspace.model import Signature
from orchestrator.workspace.objects import write_loose_ref
from orchestrator.workspace.walk import signature

POINTS: Final = ("config", "config.worktree", "info", "hooks", "objects/info/alternates")
# Larger ones are not read: what steers git is a page of text or a script.
MAX_POINT_BYTES: Final = 1024 * 1024
_BRANCH: Final = "ref: refs/heads/"


@dataclass(frozen=True, slots=True)
class Point:
    """One small file or link of a git directory."""

    mode: int
    content: bytes  # of a link: where it leads


@dataclass(frozen=True, slots=True)
class Head:
    """`HEAD` as it is written, and the commit it comes to; None where there is none yet."""

    text: str
    tip: str | None

    @property
    def branch(self) -> str | None:
        """The full name of the branch, None for a detached head."""
        return self.text.removeprefix("ref: ") if self.text.startswith(_BRANCH) else None


@dataclass(frozen=True, slots=True)
class Steering:
    """All of it at one moment."""

    points: Mapping[str, Point]
    head: Head


class GitSteering:
    """Reads and takes back what steers one repository.

    Args:
        git_dir: holds `HEAD`.
        common_dir: holds branches, configuration and hooks.
        git: speaks with the user's own refs.
        loose_refs: whether refs are kept as files.
    """

    def __init__(self, git_dir: Path, common_dir: Path, git: Git, *, loose_refs: bool) -> None:
        self._git_dir = git_dir
        self._common_dir = common_dir
        self._git = git
        self._loose_refs = loose_refs
        self._base = os.fspath(common_dir)
        self._read: dict[str, tuple[Signature, Point]] = {}

    def note(self) -> Steering:
        """Read everything; a file that is unchanged since the last time is not read again."""
        return Steering(dict(self._points()), self._head())

    def take_back(self, was: Steering, quarantine: Path, kept_ref: str) -> tuple[str, ...]:
        """Make everything what it was; return one sentence for each thing that was undone.

        Args:
            was: what `note` said before.
            quarantine: where replaced points go.
            kept_ref: a ref of ours that keeps the commits of a moved tip.
        """
        now = self.note()
        told = [
            self._take_back_point(name, was.points.get(name), quarantine)
            for name in sorted(was.points.keys() | now.points.keys())
            if was.points.get(name) != now.points.get(name)
        ]
        return (*told, *self._take_back_head(was.head, kept_ref))

    # --- points --------------------------------------------------------------------------------

    def _points(self) -> Iterator[tuple[str, Point]]:
        for name in POINTS:
            yield from self._below(name)

    def _below(self, name: str) -> Iterator[tuple[str, Point]]:
        # Names, not paths: this is asked twice in each cycle.
        place = f"{self._base}/{name}"
        found = signature(place)
        if found is None:
            return
        if stat.S_ISDIR(found[4]):
            for entry in sorted(os.listdir(place)):  # noqa: PTH208
                yield from self._below(f"{name}/{entry}")
            return
        known = self._read.get(name)
        if known is None or known[0] != found:
            known = self._read[name] = (found, _point(Path(place), found))
        yield name, known[1]

    def _take_back_point(self, name: str, was: Point | None, quarantine: Path) -> str:
        path = self._common_dir / name
        for parent in reversed(path.relative_to(self._common_dir).parents[:-1]):
            _set_aside_unless_folder(self._common_dir / parent, quarantine)
        if os.path.lexists(path):
            _set_aside(path, quarantine / name)
        if was is None:
            return f".git/{name} came while the worker ran; it was moved to {quarantine / name}"
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(path, was)
        return f".git/{name} changed while the worker ran; it was put back"

    # --- head ----------------------------------------------------------------------------------

    def _head(self) -> Head:
        try:
            text = (self._git_dir / "HEAD").read_text("utf-8", "replace").strip()
        except OSError:
            return Head("", None)
        if not text.startswith("ref: "):
            return Head(text, text)
        return Head(text, self._tip(text.removeprefix("ref: ")))

    def _tip(self, ref: str) -> str | None:
        if not self._loose_refs:
            out = self._git.run(["rev-parse", "--verify", "--quiet", ref], allowed=(0, 1))
            return out.decode("ascii", "replace").strip() or None
        try:
            return (self._common_dir / ref).read_text("ascii", "replace").strip()
        except OSError:
            return self._packed_tip(ref)

    def _packed_tip(self, ref: str) -> str | None:
        try:
            packed = (self._common_dir / "packed-refs").read_text("utf-8", "replace")
        except OSError:
            return None
        for line in packed.splitlines():
            oid, _, name = line.partition(" ")
            if name == ref:
                return oid
        return None

    def _take_back_head(self, was: Head, kept_ref: str) -> Iterator[str]:
        """Put the branch back first, then `HEAD`: neither is ever without a commit."""
        if was.text == "":
            return
        now = self._head()
        tip = self._tip(was.branch) if was.branch is not None else was.tip
        moved = now.tip if now.tip not in (None, was.tip) else tip
        if (now.text, tip) == (was.text, was.tip):
            return
        if moved not in (None, was.tip) and self._loose_refs:
            write_loose_ref(self._common_dir, kept_ref, str(moved))
        if was.branch is not None and tip != was.tip:
            change = ["-d", was.branch] if was.tip is None else [was.branch, was.tip]
            self._git.run(["update-ref", "-m", "orchestrator: take back", *change])
        if now.text != was.text and was.branch is not None:
            self._git.run(["symbolic-ref", "HEAD", was.branch])
        elif now.text != was.text and was.tip is not None:
            self._git.run(["update-ref", "--no-deref", "HEAD", was.tip])
        where = (was.branch or "HEAD").removeprefix("refs/heads/")
        yield (
            f"HEAD or {where} moved while the worker ran; it is at {(was.tip or 'no commit')[:12]} "
            f"again, and what it was moved to is kept as {kept_ref}"
        )


def _point(path: Path, found: Signature) -> Point:
    if stat.S_ISLNK(found[4]):
        return Point(stat.S_IFLNK, os.fsencode(path.readlink()))
    if not stat.S_ISREG(found[4]) or found[1] > MAX_POINT_BYTES:
        return Point(stat.S_IFMT(found[4]), b"")
    return Point(stat.S_IMODE(found[4]), path.read_bytes())


def _write(path: Path, point: Point) -> None:
    if point.mode == stat.S_IFLNK:
        path.symlink_to(os.fsdecode(point.content))
        return
    temporary = path.with_name(path.name + ".orchestrator")
    temporary.unlink(missing_ok=True)
    temporary.write_bytes(point.content)
    temporary.chmod(point.mode)
    temporary.rename(path)


def _set_aside(path: Path, target: Path) -> None:
    """Keep a copy of a file or link in the quarantine, and remove it."""
    found = path.lstat()
    if stat.S_ISREG(found.st_mode) and found.st_size <= MAX_POINT_BYTES:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        target.write_bytes(path.read_bytes())
    path.unlink()


def _set_aside_unless_folder(path: Path, quarantine: Path) -> None:
    """Take away what stands where a folder has to be: a link would lead out of the repository."""
    found = signature(path)
    if found is not None and not stat.S_ISDIR(found[4]):
        _set_aside(path, quarantine / path.name)
