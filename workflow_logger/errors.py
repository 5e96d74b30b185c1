"""Every error this package raises on purpose.

    LoggerError            3   base; on its own: a fault of ours, or the disk
    ├── UsageError         2   an argument, an identifier or a value that cannot be recorded
    ├── CanonicalError     2   a value outside canonical JSON (also a ValueError)
    ├── LedgerError        1   the record does not verify: a fork, an edit, a foreign byte
    │   ├── EntryError     1   one line is not an entry; `rule` names what is wrong
    │   ├── CheckpointError 1  a checkpoint is malformed, unsigned or under another key
    │   └── ArchiveError   1   an archive is unsafe, altered or incomplete
    ├── IterationError     6   the R/S protocol refuses this attempt or close
    ├── RefusedError       6   a rule of this package refuses: the target exists already
    └── LockedError       75   another process holds the ledger, try again

The number is the exit code of the command line. Each error says what is wrong, where, and how
to mend it.
"""

from __future__ import annotations

from typing import ClassVar


class LoggerError(Exception):
    """Base of every error raised on purpose; `what`, `where` and `mend` are for people."""

    default_exit_code: ClassVar[int] = 3

    def __init__(self, what: str, *, where: str, mend: str, exit_code: int | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.mend = mend
        self.exit_code = self.default_exit_code if exit_code is None else exit_code


class UsageError(LoggerError):
    """An argument or an identifier cannot be used."""

    default_exit_code = 2


class CanonicalError(LoggerError, ValueError):
    """A value lies outside canonical JSON: a float, a lone surrogate, a key that is no string."""

    default_exit_code = 2


class LedgerError(LoggerError):
    """The record does not verify."""

    default_exit_code = 1


class EntryError(LedgerError):
    """One line is not an entry. `rule` is the finding's name, such as `entry.edited`."""

    def __init__(self, rule: str, what: str, *, where: str, mend: str) -> None:
        super().__init__(what, where=where, mend=mend)
        self.rule = rule


class CheckpointError(LedgerError):
    """A checkpoint is malformed, unsigned, or signed under another key; `rule` names which."""

    def __init__(self, rule: str, what: str, *, where: str, mend: str) -> None:
        super().__init__(what, where=where, mend=mend)
        self.rule = rule


class ArchiveError(LedgerError):
    """An archive is unsafe, altered or incomplete; nothing of it was written."""


class IterationError(LoggerError):
    """The R/S protocol refuses this attempt or close."""

    default_exit_code = 6


class RefusedError(LoggerError):
    """A rule of this package refuses the request as it stands."""

    default_exit_code = 6


class LockedError(LoggerError):
    """Another process holds the ledger's lock; try again later."""

    default_exit_code = 75
