"""The names that a contract may use, and the room that carries each of them out.

A check, rule or action that is named in a contract and not listed here is an error when the
contract is loaded: no gate passes because nobody answers for it. A room that brings checks of its
own adds them with `Catalog.plus`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class CheckSpec:
    """One check: its owner answers it; `reads` names the artifact types that it looks at."""

    name: str
    owner: str
    summary: str
    reads: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Catalog:
    """Everything that can be named in a contract; rules and actions map to their owner."""

    checks: Mapping[str, CheckSpec]
    rules: Mapping[str, str] = field(default_factory=dict)
    actions: Mapping[str, str] = field(default_factory=dict)

    def plus(
        self,
        checks: Iterable[CheckSpec] = (),
        *,
        rules: Mapping[str, str] = MappingProxyType({}),
        actions: Mapping[str, str] = MappingProxyType({}),
    ) -> Catalog:
        """Return a larger catalog. `ValueError` for a name that is taken by another owner."""
        added = {check.name: check for check in checks}
        _refuse_taken({**self.checks}, added)
        _refuse_taken({**self.rules}, {**rules})
        _refuse_taken({**self.actions}, {**actions})
        return replace(
            self,
            checks=MappingProxyType({**self.checks, **added}),
            rules=MappingProxyType({**self.rules, **rules}),
            actions=MappingProxyType({**self.actions, **actions}),
        )


def _refuse_taken(known: Mapping[str, object], added: Mapping[str, object]) -> None:
    taken = sorted(name for name in added if known.get(name, added[name]) != added[name])
    if taken:
        raise ValueError(f"already in the catalog with another owner: {', '.join(taken)}")


BUILTIN: Final = Catalog(
    checks=MappingProxyType(
        {
            check.name: check
            for check in (
                CheckSpec(
                    "step_verdict_accepted",
                    owner="qa",
                    summary="the review of the attempt, on what the controller saw, is accepted",
                    reads=("step_verdict",),
                ),
                CheckSpec(
                    "master_contract_conforms",
                    owner="contract",
                    summary="the compiled master contract has every heading its template asks for",
                    reads=("master_contract", "conformance_report"),
                ),
                CheckSpec(
                    "accepted_tree_is_verified_tree",
                    owner="engine",
                    summary="the tree that is accepted is the one the checks ran on",
                    reads=("step_verdict",),
                ),
            )
        }
    )
)
