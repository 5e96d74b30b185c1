"""One project folder, opened: settings, lock, store, queue, ledger and views."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.errors import LeaseHeld, NothingToDo
from orchestrator.kernel.records import Moment
from orchestrator.session_log.store import SessionLog
from orchestrator.store.files import replace_file
from orchestrator.store.projection import LedgerFiles
from orchestrator.store.queuefile import QueueFile
from orchestrator.store.sql import SqliteDatabase, migrate
from orchestrator.store.store import SqlStore
from orchestrator.store.views import FileViews
from orchestrator.vocabulary import PROGRESS_DIR, WORKFLOW_DIR
from orchestrator.wiring.places import STORE_FILE, find_root
from orchestrator.wiring.settings import Settings, load_settings
from orchestrator.wiring.system import SystemClock
from workflow_logger.checkpoint import SigningKey, origin_of
from workflow_logger.layout import PROJECT_MANIFEST, Home

if TYPE_CHECKING:
    from filelock import BaseFileLock

    from orchestrator.engine.ports import Listener


class Silence:
    """A listener for commands that show nothing on the way."""

    def tell(self, event: str, /, **facts: object) -> None:
        """Say nothing."""


class Project:
    """An opened project. `close` it."""

    def __init__(
        self,
        root: Path,
        progress: Path,
        queue_path: Path,
        settings: Settings,
        store: SqlStore,
        *,
        listener: Listener,
        lock: BaseFileLock | None,
    ) -> None:
        self.root = root
        self.progress = progress
        self.settings = settings
        self.store = store
        self.home = Home.default()
        self.listener = listener
        self.clock = SystemClock()
        self._lock = lock
        self.queue = QueueFile(store, queue_path)
        self.ledger_files = LedgerFiles(
            store.ledger,
            root / WORKFLOW_DIR,
            key=self.signing_key,
            home=self.home,
            told=lambda text: listener.tell("warning", text=text),
        )
        self.views = FileViews(
            store, self.queue, self.ledger_files, progress, project=self.project_id
        )
        self.sessions = SessionLog(store.ledger, progress / "sessions")
        self._to_close: list[Callable[[], None]] = []
        self._key: SigningKey | None = None

    @classmethod
    def open(
        cls,
        project_dir: str | None = None,
        *,
        progress_dir: str | None = None,
        queue_path: str | None = None,
        listener: Listener | None = None,
        for_running: bool = False,
        create: bool = True,
    ) -> Project:
        """Open a project.

        Args:
            project_dir: its folder; None looks upward from here.
            progress_dir: where state and views are, relative to here when given.
            queue_path: the queue file; None is `task_queue.json` in the progress folder.
            listener: who wants to see what happens.
            for_running: take the controller's lock: at most one process moves tasks.
            create: make the store when there is none.

        Raises:
            LeaseHeld: another process runs this project.
            NothingToDo: there is no store, and `create` is False.
            ContractError, StoreError: settings or store cannot be read.
        """
        root = find_root(project_dir)
        settings = load_settings(root)
        progress = Path(progress_dir).absolute() if progress_dir else root / PROGRESS_DIR
        path = progress / STORE_FILE
        if not create and not path.exists():
            raise NothingToDo(
                "there is no store here yet",
                where=str(path),
                mend="python -m orchestrator init, or name the folder with --project",
            )
        lock = _take_lock(progress) if for_running else None
        try:
            database = SqliteDatabase(path)
            migrate(database)
            store = SqlStore(database, _project_id(database, root, settings))
        except BaseException:
            if lock is not None:
                lock.release()
            raise
        queue = Path(queue_path).absolute() if queue_path else progress / "task_queue.json"
        return cls(
            root, progress, queue, settings, store, listener=listener or Silence(), lock=lock
        )

    @property
    def project_id(self) -> str:
        """The ledger's identity."""
        return self.store.ledger.project_id

    @property
    def scratch(self) -> Path:
        """Where copies for checks and quarantined files lie: outside the project."""
        place = _place(self.root)
        if home := os.environ.get("ORCHESTRATOR_HOME"):
            return Path(home) / "scratch" / place
        from platformdirs import user_cache_dir  # noqa: PLC0415  only where checks run

        return Path(user_cache_dir("orchestrator")) / "scratch" / place

    def signing_key(self) -> SigningKey:
        """Return the ledger's key, made at first use, and trust its public half."""
        from workflow_logger import keys  # noqa: PLC0415  cryptography costs 60 ms

        if self._key is None:
            path = self.home.key(self.project_id)
            if path.exists():
                self._key = keys.load_private_key(path)
            else:
                self._key = keys.create_private_key(path, origin_of(self.project_id))
                keys.save_public_key(self.home.trusted(self.project_id), self._key.public)
                replace_file(_remembered(self.home, self.root), [self.project_id.encode()])
        return self._key

    def counters(self) -> dict[str, object]:
        """Return the scoreboard's counters."""
        return self.views.counters().as_dict()

    def now(self) -> Moment:
        """Return the present moment."""
        return self.clock.now()

    def close_too(self, closer: Callable[[], None]) -> None:
        """Call `closer` when the project is closed, before anything of its own."""
        self._to_close.append(closer)

    def close(self) -> None:
        """Give everything back."""
        for closer in reversed(self._to_close):
            closer()
        self.ledger_files.close()
        self.store.close()
        if self._lock is not None:
            self._lock.release()


def _project_id(database: SqliteDatabase, root: Path, settings: Settings) -> str:
    if settings.project_id:
        return settings.project_id
    row = database.one("SELECT project_id FROM ledger_head WHERE id = 1")
    if row is not None:
        return str(row[0])
    recorded = [path.parent.parent.name for path in
                (root / WORKFLOW_DIR).glob(f"*/{PROJECT_MANIFEST}")]  # fmt: skip
    if len(recorded) == 1:
        return recorded[0]  # the store is gone, its record is not: the anchor has a say
    with contextlib.suppress(OSError):  # both are gone: what was signed here is remembered outside
        return _remembered(Home.default(), root).read_text("utf-8").strip()
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", root.name).strip("-_")[:40] or "project"
    return f"{stem}-{secrets.token_hex(3)}"


def _remembered(home: Home, root: Path) -> Path:
    return home.path / "projects" / _place(root)


def _place(root: Path) -> str:
    return hashlib.sha256(str(root).encode()).hexdigest()[:16]


def _take_lock(progress: Path) -> BaseFileLock:
    from filelock import FileLock, Timeout  # noqa: PLC0415  only commands that move tasks

    progress.mkdir(parents=True, exist_ok=True)
    lock = FileLock(progress / "controller.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise LeaseHeld(
            "another process runs this project",
            where=str(progress / "controller.lock"),
            mend="wait for it to end; python -m orchestrator status shows what it does",
        ) from error
    return lock
