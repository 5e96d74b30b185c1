"""The contracts that come with the program.

The one place of this room that reads something: its own package data, through importlib.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Final

from orchestrator.process.contract import PhaseContract
from orchestrator.process.loader import read_phase_contract

BUILTIN_NAMES: Final = ("tier2", "tier3")


@cache
def builtin_contract(name: str) -> PhaseContract:
    """Return a contract of `BUILTIN_NAMES`; `KeyError` for another name."""
    return read_phase_contract(builtin_bytes(name), f"{name}.yaml")


def builtin_bytes(name: str) -> bytes:
    """Return the contract's file as it is shipped: what its digest is taken of."""
    if name not in BUILTIN_NAMES:
        raise KeyError(name)
    return files("orchestrator.process").joinpath("contracts", f"{name}.yaml").read_bytes()
