from __future__ import annotations

import pytest

from orchestrator.intake.router import HARD, THRESHOLD, TierDecision, TierRouter
from orchestrator.intake.sensitive import sensitive_kind, top_level, wide_glob
from orchestrator.protocol.step_pack import DependencyPolicy, StepPack
from orchestrator.protocol.task import IntakeTask

LIGHT = IntakeTask(
    task_title="Parse empty lines",
    target="src/parser.py",
    execution_route="auto",
    acceptance_criteria=("exits 0",),
    allowed_paths=("src/**", "tests/**"),
)
PACK = StepPack(
    task_id="T-1", objective="x", allowed_paths=("src/**",), acceptance_criteria=("AC1: exits 0",)
)


def route(pack: StepPack | None = None, **changes: object):
    return TierRouter().route(LIGHT.model_copy(update=changes), pack)


def rules(decision: TierDecision) -> list[str]:
    return [reason.rule for reason in decision.reasons]


def test_a_short_low_risk_task_is_tier2_and_says_why() -> None:
    decision = route()
    assert (decision.tier, decision.requested, decision.overridden) == ("tier2", "auto", False)
    assert rules(decision) == ["route.light"]


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"risk": "high"}, "risk.high"),
        ({"steps": ("a", "b", "c")}, "size.steps"),
        ({"acceptance_criteria": tuple(f"exits {n}" for n in range(9))}, "size.criteria"),
        ({"acceptance_criteria": ()}, "dod.missing"),
        ({"allowed_paths": ("**",)}, "scope.wide"),
        ({"allowed_paths": ("a/x", "b/x", "c/x", "d/x")}, "scope.folders"),
        ({"allowed_paths": (".github/workflows/**",)}, "paths.ci"),
        ({"allowed_paths": ("db/migrations/0001.py",)}, "paths.migration"),
        ({"allowed_paths": ("config/.env",)}, "paths.secret"),
        ({"allowed_paths": ("src/auth/login.py",)}, "paths.security"),
        ({"allowed_paths": ("requirements-dev.txt",)}, "paths.dependency"),
        ({"allowed_paths": ("deploy/main.tf",)}, "paths.infrastructure"),
        ({"target": "pyproject.toml"}, "paths.dependency"),
    ],
)
def test_each_heavy_rule_alone_makes_a_task_tier3(changes: dict, rule: str) -> None:
    decision = route(**changes)
    assert decision.tier == "tier3"
    assert rule in rules(decision)


def test_light_reasons_add_up() -> None:
    assert route(risk="medium", steps=("a", "b")).tier == "tier2"
    decision = route(risk="medium", steps=("a", "b"), description="rotate the passwords")
    assert decision.tier == "tier3"
    assert decision.weight >= THRESHOLD


def test_an_explicit_tier3_always_holds() -> None:
    decision = route(execution_route="tier3")
    assert (decision.tier, decision.overridden) == ("tier3", False)


def test_an_explicit_tier2_holds_against_size_and_width() -> None:
    decision = route(execution_route="tier2", steps=tuple("abcdef"), allowed_paths=("**",))
    assert (decision.tier, decision.overridden) == ("tier2", False)
    assert {"size.steps", "scope.wide"} <= set(rules(decision))


@pytest.mark.parametrize(
    "changes",
    [
        {"risk": "high"},
        {"allowed_paths": (".github/**",)},
        {"allowed_paths": ("alembic/versions/**",)},
        {"allowed_paths": ("certs/server.key",)},
    ],
)
def test_an_explicit_tier2_for_a_hard_risk_is_refused(changes: dict) -> None:
    decision = route(execution_route="tier2", **changes)
    assert (decision.tier, decision.requested, decision.overridden) == ("tier3", "tier2", True)
    assert any(reason.weight >= HARD for reason in decision.reasons)
    assert rules(decision)[0] == "route.overridden"


def test_a_pack_that_opens_ci_or_dependencies_is_tier3() -> None:
    ci = PACK.model_copy(update={"dependency_policy": DependencyPolicy(allow_ci_changes=True)})
    assert route(ci, execution_route="tier2").overridden
    new = PACK.model_copy(
        update={"dependency_policy": DependencyPolicy(allow_new_dependencies=True)}
    )
    assert "policy.dependencies" in rules(route(new))


def test_the_packs_scope_is_what_counts() -> None:
    assert route(PACK, allowed_paths=("**",)).tier == "tier2"


def test_a_forbidden_path_is_no_risk() -> None:
    paths = ("src/**", ".github/**")
    assert route(allowed_paths=paths, forbidden_paths=(".github/**",)).tier == "tier2"


def test_the_answer_is_the_same_each_time() -> None:
    assert route(risk="high", allowed_paths=("a/.env", "b/auth/x", "c/uv.lock")) == route(
        risk="high", allowed_paths=("a/.env", "b/auth/x", "c/uv.lock")
    )


@pytest.mark.parametrize(
    "path", ["src/authors.py", "src/tokenizer.py", "docs/secretary.md", "a/keyboard.py"]
)
def test_a_path_that_only_sounds_risky_is_not(path: str) -> None:
    assert sensitive_kind(path) is None


def test_globs_without_a_folder_are_wide() -> None:
    assert all(map(wide_glob, ["**", "*", ".", "./**", "**/*.py", "/", ""]))
    assert not any(map(wide_glob, ["src/**", "./src/*", "README.md"]))
    assert (top_level("src/a"), top_level("README.md"), top_level("**/x")) == ("src", "", "")
