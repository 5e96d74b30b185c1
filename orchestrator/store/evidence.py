"""Files of evidence: `.artifacts/agent_runs/<run>/steps/<step>/rounds/R<r>S<s>/`.

Written by the controller, named in the ledger by SHA-256 and size. The folder of a round is made
new: what lay there before is put aside, and never taken for evidence of this attempt.
"""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path

from orchestrator.errors import StoreError
from orchestrator.kernel.work import Round
from orchestrator.protocol.evidence import Evidence
from orchestrator.vocabulary import ARTIFACTS_ROOT


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
        """Make the folder of one attempt, empty."""
        name = f"R{revision}S{attempt}"
        prefix = f"{ARTIFACTS_ROOT}/{run_id}/steps/{step_id}/rounds/{name}"
        folder = self._root / prefix
        try:
            self._refuse_links(folder)
            if folder.exists():
                folder.rename(folder.with_name(f"{name}.before-{attempt_id}"))
            folder.mkdir(parents=True)
        except OSError as error:
            raise StoreError(
                f"cannot make the folder of evidence: {error.strerror}",
                where=str(folder),
                mend="free some space or make .artifacts writable",
            ) from error
        return Round(run_id, task_key, step_id, attempt_id, revision, attempt, str(folder), prefix)

    def _refuse_links(self, folder: Path) -> None:
        """A worker could have put a link there, so that evidence lands somewhere else."""
        step = folder
        while step != self._root:
            if step.is_symlink():
                raise StoreError(
                    "a part of the path is a symbolic link",
                    where=str(step),
                    mend="remove the link; evidence is only written inside the project",
                )
            step = step.parent

    def save(
        self, place: Round, name: str, data: bytes, *, kind: str, durable: bool = False
    ) -> Evidence:
        """Write one file; `durable` waits until bytes and name are on disk."""
        path = f"{place.directory}/{name}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0)
        try:
            handle = os.open(path, flags, 0o644)
            try:
                view = memoryview(data)
                while view:
                    view = view[os.write(handle, view) :]
                if durable:
                    os.fsync(handle)
            finally:
                os.close(handle)
            if durable:
                folder = os.open(place.directory, os.O_RDONLY | os.O_DIRECTORY)
                try:
                    os.fsync(folder)
                finally:
                    os.close(folder)
        except OSError as error:
            raise StoreError(
                f"cannot write evidence: {error.strerror}",
                where=path,
                mend="free some space; nothing was decided on it",
            ) from error
        return Evidence(
            path=f"{place.prefix}/{name}",
            sha256=sha256(data).hexdigest(),
            size_bytes=len(data),
            kind=kind,
        )
