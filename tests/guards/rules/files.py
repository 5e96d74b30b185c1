"""Rules about files as such. Each takes a tree and returns its faults; none means that it holds."""

from __future__ import annotations

import os
import re
from pathlib import Path

from tests.guards.rules.tree import Tree

MAX_BYTES = 1024 * 1024

REQUIRED = (
    ".ci/run",
    ".github/workflows/guard.yml",
    ".github/workflows/pipeline.yml",
    ".gitignore",
    "AGENTS.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "README.md",
    "docs/architecture.md",
    "docs/exit-codes.md",
    "docs/philosophy.md",
    "docs/templates/task_brief.example.md",
    "docs/templates/task_brief.template.md",
    "docs/triage.md",
    "examples/orchestrator/demo_runner.py",
    "instructions/FORMAT.md",
    "instructions/GLOSSARY.md",
    "instructions/controller.md",
    "instructions/decisions/0001-record-decisions.md",
    "instructions/qa.md",
    "instructions/worker.md",
    "orchestrator/__main__.py",
    "orchestrator/py.typed",
    "progress/README.md",
    "pyproject.toml",
    "scripts/check",
    "scripts/demo",
    "scripts/test",
    "scripts/verdicts",
    "scripts/verify_ledger.py",
    "workflow/README.md",
    "workflow_logger/py.typed",
)

# Built in pieces where the whole would be found in this file.
_SECRETS = {
    "an AWS access key": r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    "a GitHub token": r"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{60,})\b",
    "a GitLab token": r"\bglpat-[A-Za-z0-9_-]{20,}",
    "a Slack token": r"\bxox[abeprs]-[A-Za-z0-9-]{10,}",
    "a Google key": r"\bAIza[0-9A-Za-z_-]{35}\b",
    "a model provider's key": r"\bsk-(?:ant|proj|live|svcacct)-[A-Za-z0-9_-]{20,}",
    "a PyPI token": r"\bpypi-AgE[A-Za-z0-9_-]{40,}",
    "a private key": r"-----BEGIN [A-Z ]*PRIVATE KEY-----\s+[A-Za-z0-9+/=]{16,}",
    "a signed token": r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{20,}",
    "a password in an address": r"\b[a-z][a-z0-9+.-]*://[^\s/:@\"'{}<>$]+:[^\s/:@\"'{}<>$]{6,}@[\w.-]+",
}
_NOTE_KEY = r"PRIVATE\+KEY\+[^\s+]+\+[0-9a-f]{8}\+[A-Za-z0-9+/=]{40,}"
# A published test vector has a published key. Nowhere else.
_MAY_HOLD_NOTE_KEYS = re.compile(r"instructions/FORMAT\.md|tests/.*")

_MACHINE_PATHS = re.compile(
    r"(?<![\w.})\]-])(?:/home/(?!user/|you/|me/|dev/|runner/|someone/|alice/|bob/)[a-z][\w-]*/"
    r"|/Users/(?!you/|me/|alice/)[A-Za-z][\w.-]*/|/root/[\w.]|[A-Z]:\\+Users\\+\w)"
)


def missing_files(tree: Tree) -> list[str]:
    present = set(tree.paths)
    return [f"{path}: required, not there" for path in REQUIRED if path not in present]


def secrets(tree: Tree) -> list[str]:
    faults = []
    for path in tree.paths:
        if tree.is_binary(path):
            continue
        text = tree.text(path)
        patterns = dict(_SECRETS)
        if not _MAY_HOLD_NOTE_KEYS.fullmatch(path):
            patterns["a ledger's signing key"] = _NOTE_KEY
        for name, pattern in patterns.items():
            for found in re.finditer(pattern, text):
                line = text.count("\n", 0, found.start()) + 1
                faults.append(f"{path}:{line}: looks like {name}")
        if Path(path).name in {".env", "id_rsa", "id_ed25519"} or path.endswith((".pem", ".p12")):
            faults.append(f"{path}: a file of this name is not committed")
    return faults


def machine_paths(tree: Tree) -> list[str]:
    """Paths that exist on one machine: somebody's home, or where this checkout happens to lie."""
    own = [str(path) for path in (tree.root, Path.home()) if len(path.parts) > 2]  # not "/", "/x"
    here = re.compile("|".join(re.escape(path) + r"(?![\w-])" for path in own) or r"(?!)")
    faults = []
    for path in tree.paths:
        if tree.is_binary(path):
            continue
        for number, line in enumerate(tree.text(path).splitlines(), 1):
            found = _MACHINE_PATHS.search(line) or here.search(line)
            if found:
                faults.append(f"{path}:{number}: a path of one machine: {found[0]}")
    return faults


def too_large(tree: Tree) -> list[str]:
    sizes = ((path, (tree.root / path).stat().st_size) for path in tree.paths)
    return [
        f"{path}: {size} bytes, allowed {MAX_BYTES}" for path, size in sizes if size > MAX_BYTES
    ]


def wrong_modes(tree: Tree) -> list[str]:
    """What has a first line that names an interpreter can be run; what can be run has one."""
    faults = []
    for path in tree.paths:
        file = tree.root / path
        if file.is_symlink():
            continue
        with file.open("rb") as stream:
            shebang = stream.readline(200)
        runs = os.access(file, os.X_OK)
        if runs and not shebang.startswith(b"#!"):
            faults.append(f"{path}: executable, but its first line names no interpreter")
        if shebang.startswith(b"#!") and not runs:
            faults.append(f"{path}: names an interpreter, but is not executable")
        if shebang.startswith(b"#!") and b"\r" in shebang:
            faults.append(f"{path}: its first line ends in CR")
        command = path.startswith("scripts/") and "." not in Path(path).name
        if (command or path == ".ci/run") and not runs:
            faults.append(f"{path}: a command, but not executable")
    return faults


def licence(tree: Tree) -> list[str]:
    text = tree.text("LICENSE") if "LICENSE" in tree.paths else ""
    parts = ("Apache License", "Version 2.0", "END OF TERMS AND CONDITIONS")
    faults = [f"LICENSE: lacks {part!r}" for part in parts if part not in text]
    if 'license = "Apache-2.0"' not in tree.text("pyproject.toml"):
        faults.append("pyproject.toml: does not name Apache-2.0")
    return faults


def changelog(tree: Tree) -> list[str]:
    lines = tree.text("CHANGELOG.md").splitlines()
    if "## [Unreleased]" not in lines:
        return ["CHANGELOG.md: has no heading '## [Unreleased]'"]
    return []
