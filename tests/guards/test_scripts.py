"""The shell scripts find a Python, refuse with a cure, and do not depend on where they are called."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.guards.rules.tree import ROOT

FAKE = """#!/bin/sh
case "$*" in *ensurepip*) exit 1 ;; esac
exec "{python}" "$@"
"""


def run(
    *argv: str, cwd: Path, path: Path | None = None, **variables: str
) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": str(path) if path else os.environ["PATH"], **variables}
    bash = shutil.which("bash")
    assert bash
    return subprocess.run(
        [bash, *argv],
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def find_python(cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return run("-c", f'. "{ROOT}/scripts/lib.sh"; find_python', cwd=cwd, **variables)


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A search path with the few tools that the scripts need, and no Python."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("dirname", "cat"):
        found = shutil.which(name)
        assert found
        (folder / name).symlink_to(found)
    return folder


def test_the_python_that_is_asked_for_is_taken(tmp_path: Path) -> None:
    found = find_python(tmp_path, PYTHON=sys.executable)
    assert found.returncode == 0, found.stderr
    assert Path(found.stdout.strip()).samefile(sys.executable)


def test_no_python_at_all_is_refused_with_a_cure(tmp_path: Path, tools: Path) -> None:
    done = run("-c", f'. "{ROOT}/scripts/lib.sh"; find_python', cwd=tmp_path, path=tools)
    assert done.returncode == 2
    assert "no Python 3.11 or newer found" in done.stderr
    assert "mend: install one, or set PYTHON" in done.stderr


def test_a_python_without_ensurepip_is_refused_with_a_cure(tmp_path: Path, tools: Path) -> None:
    fake = tools / "python3"
    fake.write_text(FAKE.format(python=sys.executable), encoding="utf-8")
    fake.chmod(0o755)
    done = run("-c", f'. "{ROOT}/scripts/lib.sh"; find_python', cwd=tmp_path, path=tools)
    assert done.returncode == 2
    assert "its venv or ensurepip module is missing" in done.stderr
    assert "python3-venv" in done.stderr


def test_an_unknown_argument_is_refused_before_anything_is_installed(tmp_path: Path) -> None:
    copy = tmp_path / "a checkout"
    shutil.copytree(ROOT / "scripts", copy / "scripts")
    done = run(str(copy / "scripts" / "test"), "--nonsense", cwd=tmp_path)
    assert done.returncode == 2
    assert "unknown argument: --nonsense" in done.stderr
    assert not (copy / ".venv").exists()


def test_variables_that_steer_python_and_git_do_not_reach_the_tests(tmp_path: Path) -> None:
    hostile = dict.fromkeys(("PYTHONPATH", "PYTEST_ADDOPTS", "GIT_DIR", "GIT_INDEX_FILE"), "x")
    done = run("-c", f'. "{ROOT}/scripts/lib.sh"; env', cwd=tmp_path, **hostile)
    assert not [line for line in done.stdout.splitlines() if line.split("=")[0] in hostile]


def test_a_failed_step_is_remembered_and_the_next_one_runs(tmp_path: Path) -> None:
    script = f'. "{ROOT}/scripts/lib.sh"; step one false; step two echo ran; echo "[$FAILED_STEPS]"'
    done = run("-c", script, cwd=tmp_path)
    assert "== one: FAILED" in done.stdout
    assert "\nran\n" in done.stdout
    assert done.stdout.endswith("[one]\n")


@pytest.mark.parametrize(
    "name", ["scripts/test", "scripts/check", "scripts/demo", "scripts/lib.sh", ".ci/run"]
)
def test_a_shell_script_parses(name: str, tmp_path: Path) -> None:
    done = run("-n", str(ROOT / name), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
