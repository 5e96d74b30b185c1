"""The route of a task: tier2 (lightweight) or tier3 (contract first), with every reason.

How it is decided:

1. Each rule of `_RULES` looks at the task and its StepPack and names its reasons, each with a
   weight. A weight of `HARD` marks a risk that no wish overrides.
2. The person's word: `tier3` always holds. `tier2` holds unless a hard reason fires; then the
   route is tier3 and the answer says `overridden`.
3. Without a word (`auto`): tier3 when the weights reach `THRESHOLD`, else tier2.

Equal input gives an equal answer: no clock, no chance, no order of a set.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from orchestrator.intake.sensitive import sensitive_kind, top_level, wide_glob, worrying_words
from orchestrator.protocol.prose import plain
from orchestrator.protocol.step_pack import StepPack
from orchestrator.protocol.task import IntakeTask

Tier = Literal["tier2", "tier3"]
Route = Literal["tier2", "tier3", "auto"]

AUTO: Final = "auto"  # the person leaves the choice to the router
THRESHOLD: Final = 3  # weights that make a task tier3
HARD: Final = 100  # a risk that an explicit tier2 does not override

MANY_STEPS: Final = 3
MANY_CRITERIA: Final = 9
SOME_CRITERIA: Final = 6
MANY_FOLDERS: Final = 4
LONG_DESCRIPTION: Final = 1500  # signs
LONG_RUN_SEC: Final = 2 * 3600

_KIND_WEIGHT: Final = {
    "secret": HARD,
    "migration": HARD,
    "ci": HARD,
    "security": THRESHOLD,
    "dependency": THRESHOLD,
    "infrastructure": THRESHOLD,
}


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason: `weight` 0 is told and not counted, `HARD` and more cannot be overridden."""

    rule: str
    what: str
    weight: int


@dataclass(frozen=True, slots=True)
class TierDecision:
    """The route, why, what was asked for, and whether the wish was overridden."""

    tier: Tier
    reasons: tuple[Reason, ...]
    requested: str | None
    overridden: bool

    @property
    def weight(self) -> int:
        """The sum that was compared with `THRESHOLD`."""
        return sum(reason.weight for reason in self.reasons)


def parse_route(text: str | None) -> Route | None:
    """Return the route that `text` names (`Tier-2`, `tier 3`, `auto`), or None."""
    match "".join(sign for sign in (text or "").casefold() if sign not in " -_"):
        case "tier2":
            return "tier2"
        case "tier3":
            return "tier3"
        case "auto":
            return "auto"
        case _:
            return None


class TierRouter:
    """Routes a task; holds no state."""

    def route(self, task: IntakeTask, pack: StepPack | None = None) -> TierDecision:
        """Return the route of `task`, which runs under `pack` if it has one already."""
        found = tuple(_reasons(task, pack))
        wish = parse_route(task.execution_route)
        requested = wish or (plain(task.execution_route, 60) or None)
        hard = any(reason.weight >= HARD for reason in found)
        heavy = sum(reason.weight for reason in found) >= THRESHOLD
        if wish == "tier3":
            word = Reason("route.requested", "the person asked for tier3", 0)
            return TierDecision("tier3", (word, *found), requested, overridden=False)
        if wish == "tier2" and hard:
            word = Reason("route.overridden", "tier2 was asked for, but a hard risk applies", 0)
            return TierDecision("tier3", (word, *found), requested, overridden=True)
        if wish == "tier2":
            word = Reason("route.requested", "the person asked for tier2, no hard risk applies", 0)
            return TierDecision("tier2", (word, *found), requested, overridden=False)
        if heavy:
            return TierDecision("tier3", found, requested, overridden=False)
        light = Reason("route.light", f"short and low risk: below weight {THRESHOLD}", 0)
        return TierDecision("tier2", (light, *found), requested, overridden=False)


def _reasons(task: IntakeTask, pack: StepPack | None) -> Iterator[Reason]:
    for rule in _RULES:
        yield from rule(task, pack)


def _risk(task: IntakeTask, _pack: StepPack | None) -> Iterator[Reason]:
    if task.risk == "high":
        yield Reason("risk.high", "the task says risk: high", HARD)
    elif task.risk == "medium":
        yield Reason("risk.medium", "the task says risk: medium", 1)


def _sensitive_paths(task: IntakeTask, pack: StepPack | None) -> Iterator[Reason]:
    hits: dict[str, list[str]] = {}
    targets = task.target.replace(",", " ").split()
    for path in dict.fromkeys((*_allowed(task, pack), *targets)):
        kind = sensitive_kind(path)
        if kind is not None:
            hits.setdefault(kind, []).append(path)
    for name, weight in _KIND_WEIGHT.items():
        if name in hits:
            yield Reason(f"paths.{name}", f"may touch {_some(hits[name])} ({name})", weight)


def _width(task: IntakeTask, pack: StepPack | None) -> Iterator[Reason]:
    allowed = _allowed(task, pack)
    if wide := [path for path in allowed if wide_glob(path)]:
        yield Reason("scope.wide", f"{_some(wide)} allows the whole tree", THRESHOLD)
    folders = {name for path in allowed if (name := top_level(path))}
    if len(folders) >= MANY_FOLDERS:
        what = f"reaches into {len(folders)} folders at the root; {MANY_FOLDERS} are many"
        yield Reason("scope.folders", what, THRESHOLD)
    if not allowed:
        yield Reason("scope.unstated", "no allowed paths are stated", 1)


def _size(task: IntakeTask, pack: StepPack | None) -> Iterator[Reason]:
    steps = len(task.steps)
    if steps >= MANY_STEPS:
        yield Reason("size.steps", f"{steps} steps; {MANY_STEPS} are many", THRESHOLD)
    elif steps > 1:
        yield Reason("size.steps", f"{steps} steps", 1)
    criteria = len(task.acceptance_criteria or (pack.acceptance_criteria if pack else ()))
    if criteria >= MANY_CRITERIA:
        what = f"{criteria} acceptance criteria; {MANY_CRITERIA} are many"
        yield Reason("size.criteria", what, THRESHOLD)
    elif criteria >= SOME_CRITERIA:
        yield Reason("size.criteria", f"{criteria} acceptance criteria", 1)
    elif not criteria:
        yield Reason("dod.missing", "no acceptance criteria: done is not defined", THRESHOLD)
    if len(task.description) > LONG_DESCRIPTION:
        what = f"the description has {len(task.description)} signs; {LONG_DESCRIPTION} are long"
        yield Reason("size.description", what, 1)


def _words(task: IntakeTask, _pack: StepPack | None) -> Iterator[Reason]:
    if words := worrying_words(f"{task.task_title} {task.description}"):
        yield Reason("words.security", f"the text speaks of {', '.join(words)}", 2)


def _policy(_task: IntakeTask, pack: StepPack | None) -> Iterator[Reason]:
    if pack is None:
        return
    policy = pack.dependency_policy
    if policy.allow_ci_changes or policy.allow_ci_workflow_changes_in_scope:
        yield Reason("policy.ci", "the StepPack allows changes to CI", HARD)
    if policy.allow_new_dependencies or policy.allow_dependency_manifest_changes:
        yield Reason("policy.dependencies", "the StepPack allows new dependencies", THRESHOLD)
    elif policy.allow_lockfile_changes:
        yield Reason("policy.lockfile", "the StepPack allows changes to lock files", 1)
    if pack.runtime_policy.timeout_sec > LONG_RUN_SEC:
        what = f"may run {pack.runtime_policy.timeout_sec} s; {LONG_RUN_SEC} s are long"
        yield Reason("policy.runtime", what, 1)


_RULES: Final = (_risk, _sensitive_paths, _width, _size, _words, _policy)


def _allowed(task: IntakeTask, pack: StepPack | None) -> tuple[str, ...]:
    """Return what may be written: the pack's word if there is one, less what is forbidden."""
    allowed = pack.allowed_paths if pack and pack.allowed_paths else task.allowed_paths
    forbidden = {*task.forbidden_paths, *(pack.forbidden_paths if pack else ())}
    return tuple(path for path in allowed if path not in forbidden)


def _some(paths: list[str]) -> str:
    shown = ", ".join(plain(path, 80) for path in paths[:3])
    return shown if len(paths) <= 3 else f"{shown} and {len(paths) - 3} more"  # noqa: PLR2004
