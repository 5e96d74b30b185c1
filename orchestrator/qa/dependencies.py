"""Dependencies: lock files and manifests against the pack's dependency policy.

A manifest holds more than dependencies (`pyproject.toml`, `package.json`). Where an allowed
pattern names it and the controller read that no dependency was added, its change is in order even
without the flag. A lock file needs a flag: it holds nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.protocol.changes import Change
from orchestrator.protocol.verdict import Finding
from orchestrator.qa.case import Case, ends
from orchestrator.qa.findings import finding
from orchestrator.qa.names import shown
from orchestrator.qa.policy import unlocked


def review_dependencies(case: Case) -> Iterator[Finding]:
    """Give every finding about dependencies."""
    policy = case.pack.dependency_policy
    for change in case.in_tree:
        for path in ends(change):
            if case.policy.lockfiles.holds(path):
                if not (policy.allow_lockfile_changes or policy.allow_new_dependencies):
                    yield _finding("dependency.lockfile", change, path, policy.mode)
            elif case.policy.manifests.holds(path) and not _manifest_open(case, path):
                yield _finding("dependency.manifest", change, path, policy.mode)
    if not policy.allow_new_dependencies:
        for name in sorted(case.facts.dependencies_added or ()):
            yield finding(
                "dependency.added",
                shown(name),
                f"a manifest names it now and not before; the policy is {policy.mode}",
            )


def _manifest_open(case: Case, path: str) -> bool:
    policy = case.pack.dependency_policy
    if policy.allow_dependency_manifest_changes or policy.allow_new_dependencies:
        return True
    return case.facts.dependencies_added is not None and unlocked(
        path, case.policy.manifests, case.pack.allowed_paths
    )


def _finding(rule: str, change: Change, path: str, mode: str) -> Finding:
    return finding(rule, shown(path), f"{change.kind}; the dependency policy is {mode}")
