"""Checks run the worker's code. What that code does to the project itself is seen, too."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.acceptance.stage import Stage, commit, pack, write

pytestmark = [pytest.mark.slow, pytest.mark.linux]


def reaching_check(stage: Stage, deed: str) -> None:
    """Let the check of task `one` pass on the work and then do something in the project ($1)."""
    ours = f"case $PWD in */scratch/*) {deed};; esac"  # not when the worker runs it
    write(stage.root / "checks/back.sh", f"grep -qx fixed src/one.txt || exit 1\n{ours}\n")
    command = f"sh checks/back.sh {stage.root}"
    text = json.dumps(pack("one", commands_to_run=[command]))
    write(stage.root / "contracts/one.json", text)
    commit(stage.root)
    stage.queue("one")


def test_work_that_its_own_check_replaces_in_the_project_is_not_accepted(stage: Stage) -> None:
    reaching_check(stage, 'echo another > "$1/src/one.txt"')
    before = stage.tree()
    stage.call("run-campaign")
    assert stage.states() == {"one": "quarantined"}  # nobody checked what lies there
    assert stage.tree() == before
    stage.assert_verifies()


def test_a_file_that_a_check_adds_to_the_project_is_out_of_scope(stage: Stage) -> None:
    reaching_check(stage, 'echo planted > "$1/planted.txt"')
    before = stage.tree()
    done = stage.call("run-campaign")
    assert "planted.txt" in done.out + done.err
    assert stage.states() == {"one": "failed"}
    assert stage.tree() == before


def test_settings_that_a_check_writes_are_the_controllers_own(stage: Stage) -> None:
    reaching_check(stage, 'echo "# mine" >> "$1/orchestrator.yaml"')
    done = stage.call("run-campaign")
    assert "CONTROL_FILES_TOUCHED" in done.out + done.err
    assert stage.states() == {"one": "failed"}


def test_a_hook_that_a_check_plants_is_taken_back(stage: Stage) -> None:
    reaching_check(stage, 'echo "exit 1" > "$1/.git/hooks/pre-commit"')
    stage.call("run-campaign")
    assert not (stage.root / ".git/hooks/pre-commit").exists()


def test_a_check_that_writes_nothing_back_is_accepted(stage: Stage) -> None:
    reaching_check(stage, "true")
    stage.call("run-campaign")
    assert stage.states() == {"one": "completed"}


@pytest.mark.parametrize("folder", ["workflow", "progress", ".artifacts", ".artifacts/agent_runs"])
def test_a_folder_of_the_controller_that_became_a_link_is_named(
    stage: Stage, tmp_path: Path, folder: str
) -> None:
    away = tmp_path / "away"
    place = f'"$1/{folder}"'
    deed = f"mkdir -p {place} && mv {place} {away} && ln -s {away} {place}"
    reaching_check(stage, deed)
    done = stage.call("run-campaign")
    assert "completed" not in stage.states().values()
    assert folder in done.out + done.err
