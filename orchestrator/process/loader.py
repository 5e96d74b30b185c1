"""Bytes to a linted, frozen PhaseContract."""

from __future__ import annotations

from orchestrator.process.catalog import BUILTIN, Catalog
from orchestrator.process.contract import PhaseContract
from orchestrator.process.lint import faults_of
from orchestrator.protocol.reading import Kind, read_model


def read_phase_contract(
    data: bytes, source: str, *, catalog: Catalog = BUILTIN, kind: Kind | None = None
) -> PhaseContract:
    """Read and lint a contract, YAML or JSON.

    Args:
        data: the file's bytes.
        source: the name that the messages show; its suffix tells the kind.
        catalog: the checks, rules and actions that this program carries out.
        kind: JSON or YAML, where the name does not tell.

    Raises:
        ContractError: every problem in `problems`, each `file:line:col: path: message`.
    """
    return read_model(
        data,
        PhaseContract,
        source=source,
        kind=kind,
        more_faults=lambda raw: faults_of(raw, catalog),
    )
