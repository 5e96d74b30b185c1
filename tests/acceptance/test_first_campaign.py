"""Runs the commands of docs/first-campaign.md as a stranger would, in their order."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "first-campaign.md"


def commands() -> str:
    return "\n".join(re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL))


@pytest.mark.slow
def test_the_page_works_as_written(tmp_path: Path):
    bin_dir = tmp_path / "bin"
    bin_dir.mkdir()
    door = bin_dir / "orchestrator"
    door.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m orchestrator "$@"\n')
    door.chmod(0o755)
    environment = {
        "PATH": f"{bin_dir}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "PYTHONPATH": str(ROOT),
        "ORCHESTRATOR_HOME": str(tmp_path / "home"),
    }
    (tmp_path / "work").mkdir()
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands()],
        cwd=tmp_path / "work",
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "✓ GREET-1" in done.stdout
    assert "verified:" in done.stdout
    assert "restored 1 path" in done.stdout
