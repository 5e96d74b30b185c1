"""`workflow_logger` at work for the program: its errors as ours, and a step log of a person's own.

`dispatch-step --log-project-id --log-root-dir` logs the attempt in a ledger of seed 004's form as
well. R/S go on from what that ledger holds: a retry keeps R, a rework raises it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from orchestrator.engine.step import StepReport
from orchestrator.errors import (
    ContractError,
    LeaseHeld,
    LedgerError,
    OrchestratorError,
    PolicyError,
    StoreError,
)
from orchestrator.kernel.work import LoadedPack
from orchestrator.vocabulary import WORKFLOW_DIR
from workflow_logger.errors import LoggerError
from workflow_logger.iteration import allowed_next
from workflow_logger.layout import Layout

_BY_CODE: dict[int, type[OrchestratorError]] = {
    1: LedgerError,
    2: ContractError,
    6: PolicyError,
    75: LeaseHeld,
}


@contextmanager
def our_errors() -> Iterator[None]:
    """Raise the logger's errors as ours, with the same exit codes."""
    try:
        yield
    except LoggerError as error:
        kind = _BY_CODE.get(error.exit_code, StoreError)
        raise kind(error.what, where=error.where, mend=error.mend) from error


class StepLog:
    """A ledger beside the project's own, for the attempts of single steps.

    Args:
        root: the project's folder.
        project_id: the ledger's name.
        log_root: its parent folder; None is the project's `workflow`.
    """

    def __init__(self, root: Path, project_id: str, log_root: str | None) -> None:
        self._log_root = Path(log_root).absolute() if log_root else root / WORKFLOW_DIR
        self._project_id = project_id
        with our_errors():
            self._layout = Layout.of(self._log_root, project_id)

    def refuse_own(self, own_root: Path, own_id: str) -> None:
        """Raise PolicyError for the project's own ledger: that one is written by the store."""
        own = own_root / WORKFLOW_DIR / own_id
        if self._layout.project_dir.resolve() == own.resolve():
            raise PolicyError(
                "the project's own ledger holds every attempt already",
                where="--log-project-id",
                mend="name another ledger, or leave the option out",
            )

    def log(self, loaded: LoadedPack, report: StepReport, *, revised: bool) -> str:
        """Log the attempt. Returns its `R<r>S<s>` there."""
        from workflow_logger.logger import WorkflowLogger  # noqa: PLC0415  cryptography, 60 ms

        with our_errors():
            logger = WorkflowLogger(self._log_root, self._project_id)
            logger.init()
            task_id = loaded.pack.task_id
            r, s = self._next(task_id, revised=revised)
            facts, verdict, claim = report.facts, report.verdict, report.answer.result
            logger.log_attempt(
                task_id,
                r,
                s,
                acceptance_snapshot=list(loaded.pack.acceptance_criteria),
                code_change_summary=claim.summary if claim else "",
                code_artifact_ref=facts.tree if facts else report.place.prefix,
                executed_files=[change.path for change in facts.changes] if facts else [],
                executed_commands=[run.command for run in facts.commands] if facts else [],
                result=_result(report),
                reason_code=verdict.reason_code if verdict else "",
                reason_detail="" if verdict else "not reviewed: this is the worker's word",
                next_action="a person decides" if verdict else "review",
            )
        return f"R{r}S{s}"

    def _next(self, task_id: str, *, revised: bool) -> tuple[int, int]:
        from workflow_logger.reading import read_entries  # noqa: PLC0415

        last: tuple[int, int] | None = None
        for entry in read_entries(self._layout, task_id=task_id):
            if entry.kind == "attempt":
                last = (int(entry.body["r"]), int(entry.body["s"]))
        return allowed_next(last)[-1 if revised else 0]


def _result(report: StepReport) -> str:
    if report.verdict is not None:
        return report.verdict.colour.value
    claim = report.answer.result
    return f"claimed {claim.result}" if claim is not None else "no claim"
