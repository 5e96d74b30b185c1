"""Every error this program raises on purpose.

    OrchestratorError            3/500   base; on its own: a fault of ours
    ├── ContractError            2/422   a file that a person wrote is wrong
    ├── ProtocolError            2/400   a peer broke the wire format
    ├── TransitionError          6/409   right message, wrong moment
    ├── PolicyError              6/403   refused by a rule: scope, guard, approval
    ├── TokenError               6/403   absent, stale or forged
    ├── LedgerError              1/500   the record does not verify
    ├── WorkerError              7/502   the agent could not be run
    ├── StoreError               3/503   disk, permission, corrupt store
    ├── WorkspaceError           3/500   git or the file tree did not do what was asked
    ├── LeaseHeld               75/409   somebody else holds it, try again
    └── NothingToDo              5/404   the queue is drained, the thing asked for is not there

(exit code / HTTP status). Each says what is wrong, where, and how to mend it. Only the doors
catch the whole tree. A mistake of calling code is a `TypeError` or `ValueError`, never one of
these.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar


class OrchestratorError(Exception):
    """Base of every error raised on purpose."""

    exit_code: ClassVar[int] = 3
    http_status: ClassVar[int] = 500

    def __init__(self, what: str, *, where: str, mend: str) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.mend = mend


class ContractError(OrchestratorError):
    """A file that a person wrote is wrong; `problems` holds one line for each fault.

    Each line has the form `file:line:col: path: message`.
    """

    exit_code = 2
    http_status = 422

    def __init__(self, what: str, *, where: str, mend: str, problems: Sequence[str] = ()) -> None:
        super().__init__(what, where=where, mend=mend)
        self.problems = tuple(problems)


class ProtocolError(ContractError):
    """A peer (worker, API client) sent something outside the wire format."""

    http_status = 400


class TransitionError(OrchestratorError):
    """The event is known, but not allowed in this state."""

    exit_code = 6
    http_status = 409


class PolicyError(OrchestratorError):
    """A rule refuses it: scope, guard, missing approval."""

    exit_code = 6
    http_status = 403


class TokenError(OrchestratorError):
    """A token is absent, stale or forged."""

    exit_code = 6
    http_status = 403


class LedgerError(OrchestratorError):
    """The record does not verify."""

    exit_code = 1


class WorkerError(OrchestratorError):
    """The agent could not be run at all."""

    exit_code = 7
    http_status = 502


class StoreError(OrchestratorError):
    """The store cannot be read or written: disk, permission, corruption."""

    http_status = 503


class WorkspaceError(OrchestratorError):
    """Git or the file tree did not do what was asked."""


class LeaseHeld(OrchestratorError):  # noqa: N818  a state of the world, not a fault
    """Somebody else holds the lease or the lock; try again later."""

    exit_code = 75
    http_status = 409


class NothingToDo(OrchestratorError):  # noqa: N818  a state of the world, not a fault
    """There is no eligible task, or the thing asked for does not exist."""

    exit_code = 5
    http_status = 404
