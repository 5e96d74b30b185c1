"""Look at a directory tree without following a link, and take things out of it safely."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import stat
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from orchestrator.workspace.model import Signature

# Files of a git directory that can make git run something or look elsewhere.
GIT_POINTS: Final = ("HEAD", "config", "config.worktree", "commondir", "gitdir", "info", "hooks")
GIT_POINT_FILES: Final = ("objects/info/alternates",)


@dataclass(frozen=True, slots=True)
class Survey:
    """What a look at names and types alone tells (no `stat`)."""

    special: tuple[str, ...]  # FIFOs, sockets, devices
    dot_git: tuple[str, ...]  # directories other than the root that hold a `.git`


def survey(root: Path, skip: Collection[str]) -> Survey:
    """Walk `root` by directory entries; `skip` names directories, each with a `/` at the end."""
    special: list[str] = []
    dot_git: list[str] = []
    stack = [""]
    base = os.fspath(root)
    while stack:
        here = stack.pop()
        for entry in _entries(f"{base}/{here}"):
            name = entry.name
            if name == ".git":
                if here:
                    dot_git.append(here)
            elif entry.is_dir(follow_symlinks=False):
                path = f"{here}{name}/"
                if path not in skip:
                    stack.append(path)
            elif not entry.is_file(follow_symlinks=False) and not entry.is_symlink():
                special.append(here + name)
    return Survey(tuple(sorted(special)), tuple(sorted(dot_git)))


def _entries(path: str) -> list[os.DirEntry[str]]:
    """Entries of a directory; none where it vanished or may not be read."""
    try:
        with os.scandir(path) as entries:
            return list(entries)
    except OSError:
        return []


def signature(path: str | os.PathLike[str]) -> Signature | None:
    """The signature of one path; None where nothing is there."""
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_mode)


def signatures(root: Path, below: str, *, dirs: bool = False) -> dict[str, Signature]:
    """Signatures of everything below `root/below` (which ends in `/`, or is empty).

    With `dirs` also of directories, as `path/` with their mode alone. Of a `.git` directory
    only what could make git run something is listed, unless `dirs` asks for everything.
    """
    found: dict[str, Signature] = {}
    stack = [below]
    base = os.fspath(root)
    while stack:
        here = stack.pop()
        for entry in _entries(f"{base}/{here}"):
            path = here + entry.name
            try:
                info = entry.stat(follow_symlinks=False)
            except OSError:
                continue
            if stat.S_ISDIR(info.st_mode):
                if dirs:
                    found[path + "/"] = (0, 0, 0, 0, info.st_mode)
                elif entry.name == ".git":
                    found |= git_points(root / path, path)
                    continue
                stack.append(path + "/")
            else:
                found[path] = (
                    info.st_ino,
                    info.st_size,
                    info.st_mtime_ns,
                    info.st_ctime_ns,
                    info.st_mode,
                )
    return found


def git_points(git_dir: Path, shown_as: str) -> dict[str, Signature]:
    """Signatures of the files in `git_dir` by which git can be led to run something.

    `shown_as` is the prefix of the names in the answer, `.git` or `sub/.git`.
    """
    found: dict[str, Signature] = {}
    base = os.fspath(git_dir)
    for name in (*GIT_POINTS, *GIT_POINT_FILES):
        sign = signature(f"{base}/{name}")
        if sign is None:
            continue
        if stat.S_ISDIR(sign[4]):
            inner = signatures(git_dir, name + "/")
            found |= {f"{shown_as}/{path}": value for path, value in inner.items()}
        else:
            found[f"{shown_as}/{name}"] = sign
    return found


def fold(entries: Mapping[str, Signature]) -> str:
    """One digest over many signatures."""
    digest = hashlib.sha256()
    for path in sorted(entries):
        digest.update(f"{path}\0{entries[path]}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def has_link_above(root: Path, path: str) -> bool:
    """Whether a directory above `path` is a symbolic link or a file: a way out of `root`."""
    return blocking_parent(root, path) is not None


def blocking_parent(root: Path, path: str) -> str | None:
    """The highest part above `path` that exists and is not a real directory."""
    parts = path.rstrip("/").split("/")
    for depth in range(1, len(parts)):
        above = "/".join(parts[:depth])
        try:
            mode = os.lstat(root / above).st_mode
        except OSError:
            return None
        if not stat.S_ISDIR(mode):
            return above
    return None


def move_aside(root: Path, path: str, quarantine: Path) -> bool:
    """Move `root/path` to `quarantine/path`; False where nothing is there.

    A link is moved as a link. A FIFO or socket that cannot cross file systems is removed.
    Directories above it that are empty afterwards go too, as git does it.
    """
    clean = path.rstrip("/")
    source = root / clean
    if has_link_above(root, clean) or not os.path.lexists(source):
        return False
    target = _free_name(quarantine, clean)
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        source.rename(target)
    except OSError:
        mode = source.lstat().st_mode
        if stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode):
            shutil.move(source, target)
        else:
            source.unlink()
    remove_empty_parents(root, clean)
    return True


def _free_name(quarantine: Path, path: str) -> Path:
    """A name below `quarantine` that is not taken, nor blocked by a file above it."""
    for number in range(1000):
        base = quarantine if number == 0 else quarantine / f"again-{number}"
        target = base / path
        if blocking_parent(base, path) is None and not os.path.lexists(target):
            return target
    raise FileExistsError(f"no free name below {quarantine} for {path}")


def remove_empty_parents(root: Path, path: str) -> None:
    """Remove the directories above `path` that hold nothing any more, never `root` itself."""
    for parent in (root / path).parents:
        if parent == root:
            return
        try:
            parent.rmdir()
        except OSError:
            return


def remove_path(path: Path) -> None:
    """Remove a file, link or directory tree, whatever its permissions; never follow a link."""
    if path.is_symlink() or not path.is_dir():
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        return
    path.chmod(0o700)
    for here, names, _ in os.walk(path):  # topdown: a closed directory is opened before it is read
        for name in names:
            below = os.path.join(here, name)  # noqa: PTH118  os.walk speaks strings
            if not os.path.islink(below):  # noqa: PTH114
                os.chmod(below, 0o700)  # noqa: PTH101
    shutil.rmtree(path)
