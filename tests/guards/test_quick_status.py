"""`status` stays quick: it imports no models, no YAML, no cryptography."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

HEAVY = {"pydantic", "yaml", "jinja2", "cryptography", "rich", "asyncio"}


def test_a_look_at_the_queue_loads_nothing_heavy(tmp_path: Path):
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
        "ORCHESTRATOR_HOME": str(tmp_path / "home"),
    }
    command = [sys.executable, "-m", "orchestrator"]
    subprocess.run([*command, "init"], cwd=tmp_path, env=environment, check=True)
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "orchestrator", "status"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = {line.rpartition("|")[2].strip().split(".")[0] for line in done.stderr.splitlines()}
    assert "sqlite3" in loaded
    assert loaded.isdisjoint(HEAVY)
