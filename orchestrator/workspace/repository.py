"""Find the repository once, pin it, and build the private git directory beside it.

The private directory (`<scratch>/git`) is what `GIT_DIR` names for every look at the work tree.
It has its own configuration, its own index, its own `HEAD`, and shares with the user's repository
only the object store. What follows from that:

- **Nothing of the repository's configuration is read** while looking at the tree: no fsmonitor,
  hook, filter driver, textconv, external diff or include can run or hide anything.
- **Bytes are exact.** `info/attributes` has the highest precedence in git, and ours switches off
  end-of-line conversion, `ident`, `filter`, `working-tree-encoding` and `diff` for every path.
  So a blob of ours is the file as it lies on the disk: CRLF stays CRLF, a large file kept by an
  LFS filter is recorded with its contents and not as its pointer. Such a tree is for comparing,
  verifying and restoring; it is not meant to be committed to a branch of a repository with filters.
- **Ignore rules are the user's**: `core.excludesFile` and `info/exclude` are read once, when the
  workspace is opened; `.gitignore` files are read where they lie. A rule that a worker writes into
  `.git/info/exclude` afterwards hides nothing; one that it writes into a `.gitignore` is a change
  of that file, and what it hides is listed by `ignored_state`.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from orchestrator.errors import WorkspaceError
from orchestrator.vocabulary import CONTROL_DIRS
from orchestrator.workspace.git import Git, wait_for_orphans

ATTRIBUTES: Final = "* !text !eol !crlf !ident !filter !working-tree-encoding !diff !merge\n"

CONFIG: Final = """\
[core]
\trepositoryformatversion = {version}
\tbare = false
\tlogAllRefUpdates = false
\tfileMode = true
\tsymlinks = true
\tignoreCase = false
\tprecomposeUnicode = false
\tprotectNTFS = false
\tprotectHFS = false
\ttrustctime = true
\tcheckStat = default
\tautocrlf = false
\tsafecrlf = false
\tsplitIndex = false
\tpreloadIndex = true
\tfsync = loose-object
\tfsyncMethod = batch
\texcludesFile = /dev/null
\tattributesFile = /dev/null
[index]
\tversion = 2
\tsparse = false
[submodule]
\trecurse = false
[status]
\tshowUntrackedFiles = all
{extensions}"""


@dataclass(frozen=True, slots=True)
class Repository:
    """The user's repository, as it was when the workspace was opened."""

    root: Path
    git_dir: Path
    common_dir: Path
    object_format: str  # sha1 or sha256
    ref_format: str  # files or reftable
    filtered: bool  # bytes in its index may differ from bytes on the disk
    excludes: bytes  # the user's ignore rules outside the tree

    @property
    def objects(self) -> Path:
        """Where its objects lie."""
        return self.common_dir / "objects"

    @property
    def user_index(self) -> Path:
        """The user's index: read, never written."""
        return self.git_dir / "index"

    def environment(self) -> dict[str, str]:
        """Variables for the few calls that concern the user's own refs and index."""
        return {
            "GIT_DIR": str(self.git_dir),
            "GIT_COMMON_DIR": str(self.common_dir),
            "GIT_WORK_TREE": str(self.root),
            "GIT_INDEX_FILE": str(self.user_index),
        }


def find_git_dir(root: Path) -> tuple[Path, Path] | None:
    """Git directory and common directory of the repository whose top level is `root`.

    Returns None where there is no repository at all.

    Raises:
        WorkspaceError: `root` is bare, below the top level, or its `.git` leads astray.
    """
    marker = root / ".git"
    if marker.is_symlink():
        raise _refuse("`.git` is a symbolic link", marker, "use the real repository")
    if marker.is_file():
        return _follow(marker)
    if marker.is_dir():
        if not _is_git_dir(marker):
            raise _refuse("`.git` is not a git directory", marker, "repair it, or remove it")
        return marker, _common_dir(marker)
    if _is_git_dir(root):
        raise _refuse("this is a bare repository", root, "clone it, and name the clone")
    for parent in root.parents:
        if (parent / ".git").exists():
            raise _refuse(
                f"this is a directory inside the repository {parent}", root, f"name {parent} itself"
            )
    return None


def _follow(marker: Path) -> tuple[Path, Path]:
    """Where a `.git` file leads, if the other side agrees that it belongs here."""
    text = marker.read_bytes()[:4096].decode("utf-8", "replace")
    if not text.startswith("gitdir: "):
        raise _refuse("`.git` is neither a directory nor a gitdir file", marker, "repair it")
    git_dir = Path(os.path.realpath(marker.parent / text[len("gitdir: ") :].rstrip("\n")))
    if not _is_git_dir(git_dir):
        raise _refuse(f"`.git` leads to {git_dir}, which is no git directory", marker, "repair it")
    back = git_dir / "gitdir"
    if back.is_file() and os.path.realpath(back.read_text().strip()) != os.path.realpath(marker):
        raise _refuse(
            f"`.git` leads to {git_dir}, which belongs to another work tree",
            marker,
            "run `git worktree repair`, and find out who changed it",
        )
    return git_dir, _common_dir(git_dir)


def _common_dir(git_dir: Path) -> Path:
    pointer = git_dir / "commondir"
    if not pointer.is_file():
        return git_dir
    common = Path(os.path.realpath(git_dir / pointer.read_text().strip()))
    # A linked work tree lies at <common>/worktrees/<name>: anything else was redirected.
    if git_dir.parent != common / "worktrees":
        raise _refuse(f"`commondir` leads to {common}", pointer, "find out who changed it")
    return common


def _is_git_dir(path: Path) -> bool:
    head = (path / "HEAD").is_file() or (path / "HEAD").is_symlink()
    return head and ((path / "objects").is_dir() or (path / "commondir").is_file())


def _refuse(what: str, where: Path, mend: str) -> WorkspaceError:
    return WorkspaceError(what, where=str(where), mend=mend)


def refuse_wide_root(root: Path, *, allow_home: bool) -> None:
    """Refuse `/`, the home directory and whatever contains it.

    A checkpoint of a home directory copies mail, keys and caches: peers filled disks that way.
    """
    home = Path(os.path.realpath(Path.home()))
    if root == Path("/") or (not allow_home and (root == home or root in home.parents)):
        raise _refuse(
            "the project is the home directory, or contains it",
            root,
            "name one project directory",
        )


def refuse_inner_scratch(root: Path, scratch: Path) -> None:
    """Refuse a scratch directory inside the project: a worker could write there."""
    if scratch == root or root in scratch.parents:
        raise _refuse("the scratch directory lies inside the project", scratch, "move it outside")


def read_repository(root: Path, git_dir: Path, common_dir: Path) -> Repository:
    """Read from the user's configuration what the private directory has to know.

    `git config --list` runs nothing. It is the one call that sees the user's own configuration.
    """
    _check_owner(root, git_dir)
    config = _user_config(root, git_dir, common_dir)
    attributes = (common_dir / "info" / "attributes").exists()
    filtered = (
        config.get("core.autocrlf", "false").lower() not in {"false", "no", "off", "0", ""}
        or "core.attributesfile" in config
        or attributes
    )
    return Repository(
        root=root,
        git_dir=git_dir,
        common_dir=common_dir,
        object_format=config.get("extensions.objectformat", "sha1").lower(),
        ref_format=config.get("extensions.refstorage", "files").lower(),
        filtered=filtered,
        excludes=_user_excludes(root, common_dir, config),
    )


def _check_owner(root: Path, git_dir: Path) -> None:
    owner = git_dir.stat().st_uid
    if owner not in {os.geteuid(), root.stat().st_uid}:
        raise _refuse(
            f"the git directory belongs to user {owner}", git_dir, "check who put it there"
        )


def _user_config(root: Path, git_dir: Path, common_dir: Path) -> dict[str, str]:
    """The user's effective configuration; keys in lower case, the last value wins."""
    environment = {
        "GIT_DIR": str(git_dir),
        "GIT_COMMON_DIR": str(common_dir),
        "GIT_WORK_TREE": str(root),
    }
    own = {name: os.environ[name] for name in ("HOME", "XDG_CONFIG_HOME") if name in os.environ}
    # "0" is false and the default file is the user's own: the pinned values are put back.
    own |= {"GIT_CONFIG_NOSYSTEM": "0"}
    own |= {"GIT_CONFIG_GLOBAL": os.environ.get("GIT_CONFIG_GLOBAL", _global_config())}
    out = Git(environment).run(["config", "--null", "--list"], extra=own)
    pairs = (item.partition(b"\n") for item in out.split(b"\0") if item)
    return {os.fsdecode(key).lower(): os.fsdecode(value) for key, _, value in pairs}


def _global_config() -> str:
    """The file git itself would take; git is told one name, so the XDG file counts only alone."""
    home = Path.home() / ".gitconfig"
    xdg = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "git" / "config"
    return str(xdg if xdg.is_file() and not home.is_file() else home)


def _user_excludes(root: Path, common_dir: Path, config: Mapping[str, str]) -> bytes:
    """Ignore rules in git's order of precedence, and our own directories last of all."""
    named = config.get("core.excludesfile")
    if named is None:
        base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
        first = Path(base) / "git" / "ignore"
    else:
        first = root / Path(named).expanduser()
    parts = [_read_regular(first), _read_regular(common_dir / "info" / "exclude")]
    ours = "".join(f"/{name}\n" for name in CONTROL_DIRS).encode()
    return b"\n".join([*parts, ours])


def _read_regular(path: Path) -> bytes:
    """Contents of a regular file; nothing for a FIFO, a directory or no file at all."""
    try:
        return path.read_bytes() if stat.S_ISREG(path.stat().st_mode) else b""
    except OSError:
        return b""


def build_private_dir(repository: Repository, scratch: Path) -> Path:
    """Make `<scratch>/git` a git directory of ours; return it. Running it again changes nothing."""
    private = scratch / "git"
    for part in ("objects/pack", "objects/info", "refs/heads", "info"):
        (private / part).mkdir(parents=True, exist_ok=True)
    wait_for_orphans(private / "running")
    extensions = ""
    if repository.object_format != "sha1":
        extensions = f"[extensions]\n\tobjectFormat = {repository.object_format}\n"
    version = 1 if extensions else 0
    _keep(private / "config", CONFIG.format(version=version, extensions=extensions).encode())
    _keep(private / "info" / "attributes", ATTRIBUTES.encode())
    _keep(private / "info" / "exclude", repository.excludes)
    if not (private / "HEAD").is_file():
        _keep(private / "HEAD", b"ref: refs/heads/none\n")
    (private / "index.lock").unlink(missing_ok=True)  # what a killed git left behind
    return private


def _keep(path: Path, content: bytes) -> None:
    if not path.is_file() or path.read_bytes() != content:
        path.write_bytes(content)


def private_environment(repository: Repository, private: Path) -> dict[str, str]:
    """The variables that pin every look at the work tree."""
    return {
        "GIT_DIR": str(private),
        "GIT_COMMON_DIR": str(private),
        "GIT_WORK_TREE": str(repository.root),
        "GIT_INDEX_FILE": str(private / "index"),
        "GIT_OBJECT_DIRECTORY": str(repository.objects),
        # Our own synthetic commits lie here, so that they never litter the user's object store.
        "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(private / "objects"),
    }
