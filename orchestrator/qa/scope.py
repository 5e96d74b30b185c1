"""Scope: which paths changed, and whether the pack lets them.

Decisions: an empty `allowed_paths` lets nothing change; forbidden wins over allowed; both ends of
a rename count; a mode change is a change; `.artifacts/**` is evidence and not in the scope at all.
A submodule pointer is refused unless a pattern without wildcards names exactly its path.

What git ignores is not part of what is accepted, so a change there is at most told: inside the
allowed paths, and where a tool left its cache, not even that. Two things are refused all the same:
secrets and the like (the protected family), and the environment that the checks run in. Packages
newly installed there are told, because honest workers install them; changed or removed ones, and
files that Python runs by itself at its start, are refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from orchestrator.protocol.changes import Change
from orchestrator.protocol.verdict import Finding, Severity
from orchestrator.qa.case import Case, ends, is_link
from orchestrator.qa.findings import finding
from orchestrator.qa.globs import has_wildcard
from orchestrator.qa.names import (
    collisions,
    hidden_characters,
    is_trick,
    link_escapes,
    link_target_path,
    quoted,
    shown,
)
from orchestrator.qa.policy import unlocked

_RUNS_BY_ITSELF: Final = re.compile(r"(.*/)?(sitecustomize|usercustomize)\.py|.*\.pth")
_BYTECODE: Final = (".pyc", ".pyo")
_GIT_SETTINGS: Final = re.compile(
    r"(.*/)?\.git(/(hooks|info|config|config\.worktree|modules|worktrees|objects/info)(/.*)?)?"
)


def review_scope(case: Case) -> Iterator[Finding]:
    """Give every finding about changed paths, in the order of the changes."""
    for change in case.in_tree:
        yield from _in_tree(case, change)
    for change in case.ignored:
        yield from _ignored(case, change)
    yield from _colliding(case)


def _in_tree(case: Case, change: Change) -> Iterator[Finding]:
    if any(is_trick(path) for path in ends(change)):
        yield _plain("scope.path_trick", change.path, change)
        return
    if change.nested_repo and not change.is_submodule:
        yield _plain("scope.nested_repo", change.path, change)
    if change.is_submodule and not _named_exactly(case, change.path):
        yield _plain("scope.gitlink", change.path, change)
    if change.new_mode is not None and change.kind in {"added", "renamed"}:
        yield from _hidden(change)
    if is_link(change):
        yield from _link(case, change)
    for path in ends(change):
        yield from _bounds(case, change, path)


def _bounds(case: Case, change: Change, path: str) -> Iterator[Finding]:
    gate = case.gate_of("qa_scope_guard_review")
    gate_id, criteria = (gate.gate_id if gate else None), case.criteria_of(gate)
    if case.forbidden.match(path):
        rule, against = "scope.forbidden", f"forbidden_paths {list(case.pack.forbidden_paths)}"
    elif not case.allowed.patterns:
        rule, against = "scope.nothing_allowed", "allowed_paths is empty"
    elif case.allowed.match(path):
        if _is_bytecode(case, change, path):
            yield finding(
                "scope.litter",
                shown(path),
                f"{_verb(change, path)}; Python may run it in place of its source",
                severity=Severity.REFUSAL,
                gate_id=gate_id,
                criteria=criteria,
            )
        return
    else:
        rule, against = "scope.outside_allowed", f"allowed_paths {list(case.pack.allowed_paths)}"
    severity = None
    if rule != "scope.forbidden" and case.is_litter(change):
        runs = path.endswith(_BYTECODE)
        rule, severity = "scope.litter", Severity.REFUSAL if runs else Severity.WARNING
    yield finding(
        rule,
        shown(path),
        f"{_verb(change, path)}; {against}",
        severity=severity,
        gate_id=gate_id,
        criteria=criteria,
    )


def _is_bytecode(case: Case, change: Change, path: str) -> bool:
    """Whether tracked bytecode changed, and no allowed pattern speaks of bytecode.

    New bytecode is a cache: the workplace removes it before it looks.
    """
    return (
        path.endswith(_BYTECODE)
        and path == change.path
        and change.new_mode is not None
        and change.kind != "added"
        and not any(pattern.endswith(_BYTECODE) for pattern in case.pack.allowed_paths)
    )


def _link(case: Case, change: Change) -> Iterator[Finding]:
    target = change.link_target
    if target is None:
        yield _plain("scope.symlink_unread", change.path, change)
        return
    escapes = link_escapes(change.path, target)
    inside = "" if escapes else link_target_path(change.path, target).split("/")[0]
    if escapes or inside in case.policy.control_roots:
        yield finding(
            "scope.symlink_escape", shown(change.path), f"the link points at {quoted(target)}"
        )


def _hidden(change: Change) -> Iterator[Finding]:
    if characters := hidden_characters(change.path):
        yield finding(
            "scope.hidden_characters",
            shown(change.path),
            f"the name holds {', '.join(characters)}",
        )


def _ignored(case: Case, change: Change) -> Iterator[Finding]:
    path = change.path
    if path == ".git" or path.startswith(".git/") or "/.git/" in path:
        if _GIT_SETTINGS.fullmatch(path):
            yield _plain("scope.git_internals", path, change)
        return
    environment = case.policy.environment.holds(path)
    if change.nested_repo and not environment:
        if not _in_moved_submodule(case, path):
            yield _plain("scope.nested_repo", path, change)
    elif environment:
        yield from _environment(case, change)
    elif not case.is_litter(change) and not case.allowed.match(path):
        yield _plain("scope.ignored_changed", path, change)


def _environment(case: Case, change: Change) -> Iterator[Finding]:
    if case.pack.dependency_policy.allow_new_dependencies or case.is_litter(change):
        return
    if case.allowed.match(change.path) and unlocked(
        change.path, case.policy.environment, case.pack.allowed_paths
    ):
        return
    # a folder that is one entry (`node_modules/`) was too large to list: what is new in it and
    # what changed cannot be told apart, and the checks run without it once it was touched
    whole = change.path.endswith("/")
    harmless = (whole or change.kind == "added") and not _RUNS_BY_ITSELF.fullmatch(change.path)
    yield finding(
        "scope.environment_changed",
        shown(change.path),
        _verb(change, change.path),
        severity=Severity.WARNING if harmless else Severity.REFUSAL,
    )


def _colliding(case: Case) -> Iterator[Finding]:
    fresh = [c.path for c in case.in_tree if c.kind in {"added", "renamed"}]
    gone = {c.old_path for c in case.in_tree if c.kind == "renamed"}
    gone |= {c.path for c in case.in_tree if c.kind == "deleted"}
    present = [c.path for c in case.in_tree if c.path not in gone]
    found = {*collisions(fresh, present), *case.facts.colliding_paths}
    for path in sorted(found):
        yield finding(
            "scope.name_collision",
            shown(path),
            "another path of the tree has this name in other case or Unicode form",
        )


def _in_moved_submodule(case: Case, path: str) -> bool:
    """Whether a path lies in a submodule whose pointer moved, as the pack lets it."""
    return any(
        change.is_submodule
        and path.startswith(change.path + "/")
        and _named_exactly(case, change.path)
        for change in case.in_tree
    )


def _named_exactly(case: Case, path: str) -> bool:
    return any(
        not has_wildcard(pattern) and pattern.strip("/") == path
        for pattern in case.pack.allowed_paths
    )


def _plain(rule: str, path: str, change: Change) -> Finding:
    return finding(rule, shown(path), _verb(change, path))


def _verb(change: Change, path: str) -> str:
    if change.kind == "renamed":
        if path == change.old_path:
            return f"renamed away, to {shown(change.path)}"
        return f"renamed from {shown(change.old_path or '')}"
    if change.kind == "mode":
        return f"mode changed from {change.old_mode} to {change.new_mode}"
    if change.kind == "type":
        return f"type changed from {change.old_mode} to {change.new_mode}"
    return change.kind
