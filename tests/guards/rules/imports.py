"""Rules about imports: the layers, and what a command may load before it has to."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_LINT = "from importlinter.cli import lint_imports_command; lint_imports_command()"


def _environment(*first: Path) -> dict[str, str]:
    """Return the environment for a child; `first` are the folders it imports from before all else."""
    kept = {key: os.environ[key] for key in ("PATH", "HOME", "LANG", "TMPDIR") if key in os.environ}
    return {**kept, "PYTHONPATH": os.pathsep.join(str(folder) for folder in first)}


def lint_imports(config: Path) -> subprocess.CompletedProcess[str]:
    """Check the contracts of a pyproject.toml on the packages beside it."""
    return subprocess.run(
        [sys.executable, "-c", _LINT, "--config", config.name, "--no-cache"],
        cwd=config.parent,
        env=_environment(config.parent),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def modules_loaded(root: Path, *arguments: str) -> tuple[int, str, set[str]]:
    """Run `python -X importtime ARGUMENTS`; return exit code, output, and every module it loaded."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *arguments],
        cwd=root,
        env=_environment(root),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return done.returncode, done.stdout, {line.rsplit("|", 1)[1].strip() for line in lines}
