"""Files of evidence: `.artifacts/agent_runs/<run>/steps/<step>/rounds/R<r>S<s>/`.

Written by the controller, named in the ledger by SHA-256 and size. The folder of a round is made
new: what lay there before is put aside, and never taken for evidence of this attempt.
"""

from __future__ import annotations

import contextlib
import errno
import os
from hashlib import sha256
from pathlib import Path

from orchestrator.errors import StoreError
from orchestrator.kernel.work import Round
from orchestrator.protocol.evidence import Evidence
from orchestrator.vocabulary import ARTIFACTS_ROOT

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW


class FileEvidence:
    """The evidence folder of one project."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def open_round(
        self,
        *,
        run_id: str,
        task_key: str,
        step_id: str,
        attempt_id: str,
        revision: int,
        attempt: int,
    ) -> Round:
        """Make the folder of one attempt, empty.

        Raises:
            ValueError: a name is no plain name.
            StoreError: a part of the path is a link, or the disk refuses.
        """
        name = f"R{revision}S{attempt}"
        for part in (run_id, step_id):
            if not _is_plain(part):
                msg = f"{part!r} cannot name a folder"
                raise ValueError(msg)
        prefix = f"{ARTIFACTS_ROOT}/{run_id}/steps/{step_id}/rounds/{name}"
        folder = self._root / prefix
        try:
            above = self._open_folder(prefix.rpartition("/")[0], make=True)
            try:
                _put_aside(above, name, f"{name}.before-{attempt_id}")
                os.mkdir(name, dir_fd=above)
            finally:
                os.close(above)
        except OSError as error:
            raise _refused("cannot make the folder of evidence", error, str(folder)) from error
        return Round(run_id, task_key, step_id, attempt_id, revision, attempt, str(folder), prefix)

    def _open_folder(self, prefix: str, *, make: bool = False) -> int:
        """Open a folder below the root one name at a time, and through no symbolic link.

        A worker could have put a link there, so that evidence lands somewhere else.
        """
        handle = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY)
        for name in prefix.split("/"):
            try:
                if make:
                    with contextlib.suppress(FileExistsError):
                        os.mkdir(name, dir_fd=handle)
                below = os.open(name, _FOLDER, dir_fd=handle)
            finally:
                os.close(handle)
            handle = below
        return handle

    def save(
        self, place: Round, name: str, data: bytes, *, kind: str, durable: bool = False
    ) -> Evidence:
        """Write one file, new; `durable` waits until bytes and name are on disk.

        What the worker may have put under that name is removed: a link, a pipe, a second name of
        another file. A folder that it removed is made again.
        """
        *folders, last = name.split("/")
        try:
            folder = self._open_folder("/".join([place.prefix, *folders]), make=True)
            try:
                handle = _open_new_at(folder, last)
                try:
                    view = memoryview(data)
                    while view:
                        view = view[os.write(handle, view) :]
                    if durable:
                        os.fsync(handle)
                finally:
                    os.close(handle)
                if durable:
                    os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            path = f"{place.directory}/{name}"
            raise _refused("cannot write evidence", error, path) from error
        return Evidence(
            path=f"{place.prefix}/{name}",
            sha256=sha256(data).hexdigest(),
            size_bytes=len(data),
            kind=kind,
        )


def _is_plain(name: str) -> bool:
    return name not in {"", ".", ".."} and "/" not in name and "\0" not in name


def _put_aside(folder: int, name: str, new_name: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.rename(name, new_name, src_dir_fd=folder, dst_dir_fd=folder)


def _open_new_at(folder: int, name: str) -> int:
    try:
        return os.open(name, _NEW, 0o644, dir_fd=folder)
    except FileExistsError:
        os.unlink(name, dir_fd=folder)
    return os.open(name, _NEW, 0o644, dir_fd=folder)


def _refused(what: str, error: OSError, where: str) -> StoreError:
    if error.errno in {errno.ELOOP, errno.ENOTDIR}:
        return StoreError(
            f"{what}: a part of the path is a symbolic link or no folder",
            where=where,
            mend="remove it; evidence is only written inside the project",
        )
    return StoreError(
        f"{what}: {error.strerror}",
        where=where,
        mend="free some space or make .artifacts writable; nothing was decided on it",
    )
