"""Key files: read them, make them, never half-written and never readable by others."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from workflow_logger.checkpoint import SigningKey, VerifierKey, generate_key
from workflow_logger.errors import LoggerError, RefusedError, UsageError
from workflow_logger.safefile import replace_file, sync_folder

_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_MAX_KEY_BYTES: Final = 4096


def load_private_key(path: Path) -> SigningKey:
    """Return the key in `path`.

    Raises:
        UsageError: there is no such file.
        RefusedError: others may read it.
        CheckpointError: it is not a key.
    """
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read(_MAX_KEY_BYTES).decode("utf-8", "replace")
    except FileNotFoundError as error:
        raise UsageError(
            "there is no private key", where=str(path), mend="pass --key, or make one with init"
        ) from error
    if mode & _OTHERS:
        raise RefusedError(
            f"the private key has mode {stat.S_IMODE(mode):04o}, others may read it",
            where=str(path),
            mend=f"chmod 600 {path}",
        )
    return SigningKey.parse(text, where=str(path))


def load_public_key(path: Path) -> VerifierKey:
    """Return the trusted key in `path`. Raises UsageError or CheckpointError."""
    try:
        text = path.read_bytes()[:_MAX_KEY_BYTES].decode("utf-8", "replace")
    except FileNotFoundError as error:
        raise UsageError(
            "there is no public key", where=str(path), mend="pass --public-key with its path"
        ) from error
    return VerifierKey.parse(text, where=str(path))


def create_private_key(path: Path, name: str) -> SigningKey:
    """Make a key and save it at `path`, mode 0600; an existing file is never replaced.

    Raises:
        RefusedError: the file exists.
    """
    key = generate_key(name)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    staged = path.with_name(f".{path.name}.{os.getpid()}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    handle = os.open(staged, flags, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(key.to_text().encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(staged, path)  # unlike rename, it refuses an existing name
    except FileExistsError as error:
        raise RefusedError(
            "there is a private key already", where=str(path), mend="use it, or choose another path"
        ) from error
    except OSError as error:
        raise LoggerError(
            f"the private key cannot be saved: {error.strerror}",
            where=str(path),
            mend="make room, or choose another path with --key",
        ) from error
    finally:
        staged.unlink(missing_ok=True)
    sync_folder(path.parent)
    return key


def save_public_key(path: Path, key: VerifierKey) -> None:
    """Write the vkey line to `path`; an equal file is left alone.

    Raises:
        RefusedError: the file holds another key: trust is never replaced silently.
    """
    if path.exists():
        if load_public_key(path) == key:
            return
        raise RefusedError(
            "another public key is trusted here already",
            where=str(path),
            mend="remove that file if you mean to trust the new key",
        )
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    replace_file(path, f"{key}\n".encode(), durable=True)
