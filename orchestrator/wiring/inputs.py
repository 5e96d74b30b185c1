"""StepPacks and contracts, read from files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from orchestrator.contract.compiler import Compiled, compile_master_contract
from orchestrator.engine.phases import Preparation
from orchestrator.errors import ContractError, PolicyError
from orchestrator.intake.backlog import intake_task
from orchestrator.intake.router import TierDecision, TierRouter
from orchestrator.intake.validator import RouteDoDValidator
from orchestrator.kernel.records import Moment, TaskRecord
from orchestrator.kernel.work import LoadedPack
from orchestrator.process.builtin import builtin_bytes, builtin_contract
from orchestrator.protocol.reading import digest_of, read_step_pack
from orchestrator.protocol.step_pack import StepPack
from orchestrator.protocol.task import IntakeTask, Task
from orchestrator.protocol.verdict import Severity
from orchestrator.store.files import replace_file


class FilePacks:
    """StepPacks by `step_pack_map.json`, or by the task's own `step_pack`."""

    def __init__(
        self, root: Path, paths: Mapping[str, str] | None = None, *, only: str | None = None
    ) -> None:
        self._root = root
        self._paths = paths or {}
        self._only = only  # one file for whatever task runs

    def load(self, task: Task) -> LoadedPack:
        """Return the task's pack. Raises ContractError when it is missing or wrong."""
        named = self._only or self._paths.get(task.task_key) or task.step_pack
        if named is None:
            raise ContractError(
                f"task {task.task_key} has no StepPack",
                where=f"task {task.task_key}",
                mend="name one in the queue (step_pack) or in the step pack map",
            )
        loaded = load_pack(self._root / named, source=named)
        if loaded.pack.task_id != task.task_key:
            raise ContractError(
                f"the StepPack is for task {loaded.pack.task_id!r}, not {task.task_key!r}",
                where=named,
                mend="give it the task's key as task_id, or map the task to its own pack",
            )
        return loaded


def load_pack(path: Path, *, source: str) -> LoadedPack:
    """Read one StepPack file. Raises ContractError."""
    data = read_file(path, source=source, what="the StepPack")
    return LoadedPack(read_step_pack(data, source), data, digest_of(data), source)


def read_file(path: Path, *, source: str, what: str) -> bytes:
    """Read a file that a person named. Raises ContractError."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ContractError(
            f"cannot read {what}: {error.strerror}", where=source, mend="name a file that exists"
        ) from error


def load_map(path: Path, *, what: str) -> dict[str, str]:
    """Read `{task_key: value}`. Raises ContractError."""
    data = read_file(path, source=str(path), what=what)
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        line, column = getattr(error, "lineno", 1), getattr(error, "colno", 1)
        problem = f"{path.name}:{line}:{column}: : not JSON: {getattr(error, 'msg', error)}"
        raise ContractError(
            f"{what} cannot be read", where=str(path), mend="write JSON", problems=(problem,)
        ) from error
    wrong = (
        [key for key, text in value.items() if not isinstance(text, str)]
        if isinstance(value, dict)
        else ["the file"]
    )
    if wrong:
        problems = [f"{path.name}:1:1: {key}: expected text" for key in wrong]
        raise ContractError(
            f"{what} must be an object of task_key: text",
            where=str(path),
            mend="change what is named",
            problems=problems,
        )
    return dict(value)


@cache
def _contract_digest(name: str) -> str:
    return digest_of(builtin_bytes(name))


class FileContracts:
    """Readiness, tier and the tier-3 master contract, kept under `progress/contracts/<task>/`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._validator = RouteDoDValidator()
        self._router = TierRouter()

    def prepare(self, task: TaskRecord, pack: LoadedPack, moment: Moment) -> Preparation:
        """Choose the route and its contract. Raises PolicyError for a task not ready."""
        intake = intake_task(task.spec, pack.pack)
        self.require_ready(intake, task.key)
        decision = self._router.route(intake, pack.pack)
        body: dict[str, Any] = {
            "tier": decision.tier,
            "tier_reasons": [f"{reason.rule}: {reason.what}" for reason in decision.reasons],
            "phase_contract_digest": _contract_digest(decision.tier),
        }
        conforms = None
        if decision.tier == "tier3":
            compiled, digests = self._compiled(intake, pack.pack, task.key, moment)
            body |= digests
            conforms = compiled.conforms
        return Preparation(builtin_contract(decision.tier), conforms, body)

    def require_ready(self, intake: IntakeTask, key: str) -> None:
        """Raise PolicyError when intake has something to refuse."""
        readiness = self._validator.validate(intake)
        refused = [item for item in readiness.findings if item.severity is Severity.REFUSAL]
        if readiness.ready:
            return
        raise PolicyError(
            "; ".join(f"{item.where}: {item.what}" for item in refused),
            where=f"task {key}",
            mend="; ".join(dict.fromkeys(item.mend for item in refused)),
        )

    def route(self, intake: IntakeTask, pack: StepPack | None = None) -> TierDecision:
        """Choose the tier."""
        return self._router.route(intake, pack)

    def compile(
        self, intake: IntakeTask, pack: StepPack | None, key: str, moment: Moment
    ) -> tuple[Compiled, Path]:
        """Compile the master contract and write its three files. Returns their folder."""
        compiled, _ = self._compiled(intake, pack, key, moment)
        return compiled, self._folder / key

    def _compiled(
        self, intake: IntakeTask, pack: StepPack | None, key: str, moment: Moment
    ) -> tuple[Compiled, dict[str, Any]]:
        compiled = compile_master_contract(intake, pack, task_key=key, at=moment.at)
        folder = self._folder / key
        report = json.dumps(compiled.conformance_report, indent=2, ensure_ascii=False) + "\n"
        texts = {
            "master_contract.md": compiled.master_contract_md,
            "template_snapshot.md": compiled.template_snapshot_md,
            "conformance_report.json": report,
        }
        for name, text in texts.items():
            replace_file(folder / name, [text.encode()])
        if not compiled.conforms:
            raise PolicyError(
                "the compiled master contract does not conform to its template",
                where=str(folder / "conformance_report.json"),
                mend="mend what the report names in the task, then start again",
            )
        return compiled, {"master_contract_digest": digest_of(compiled.master_contract_md.encode())}
