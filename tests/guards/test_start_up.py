"""`--help` answers at once: it loads nothing that a help text does not need."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.guards.rules.imports import modules_loaded
from tests.guards.rules.tree import ROOT, plant

HEAVY = (
    "pydantic",
    "yaml",
    "jinja2",
    "rich",
    "asyncio",
    "cryptography",
    "psutil",
    "importlib.metadata",
)


def heavy_among(loaded: set[str]) -> list[str]:
    return [name for name in HEAVY if any(f"{module}.".startswith(f"{name}.") for module in loaded)]


def test_help_loads_none_of_the_heavy_packages() -> None:
    code, output, loaded = modules_loaded(ROOT, "-m", "orchestrator", "--help")
    assert code == 0
    assert "run-campaign" in output
    assert "orchestrator" in loaded  # else the child's report was not read
    assert heavy_among(loaded) == []


@pytest.mark.parametrize("module", ["asyncio", "yaml", "importlib.metadata"])
def test_a_heavy_import_at_start_up_is_found(module: str, tmp_path: Path) -> None:
    plant(tmp_path, {"planted/__init__.py": "", "planted/__main__.py": f"import {module}\n"})
    code, _, loaded = modules_loaded(tmp_path, "-m", "planted", "--help")
    assert code == 0
    assert module in heavy_among(loaded)
