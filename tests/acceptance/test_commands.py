"""What every command keeps: help, one envelope, exit codes, no trace for a person's mistake."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
from pathlib import Path

import pytest

from orchestrator.cli.main import COMMANDS
from tests.acceptance.stage import ROOT, Done, Stage, pack, write

# The order is the order of the tables.
FROZEN_CODES = {
    0: "ok",
    1: "negative",
    2: "usage",
    3: "internal",
    4: "waiting",
    5: "nothing to do",
    6: "refused",
    7: "no backend",
    75: "busy",
    124: "limit",
    130: "interrupted",
    143: "terminated",
}


def assert_envelope(done: Done, command: str, *, ok: bool) -> None:
    envelope = done.envelope
    assert list(envelope) == ["schema_version", "command", "ok", "data", "errors"]
    assert (envelope["schema_version"], envelope["command"]) == (1, command)
    assert envelope["ok"] is ok
    assert ok is (done.code == 0)


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_explains_itself(stage: Stage, command: str) -> None:
    done = stage.call(command, "--help")
    assert done.code == 0
    assert f"Usage: orchestrator {command}" in done.out


@pytest.mark.slow
def test_the_list_of_commands_says_what_each_command_says_of_itself(stage: Stage) -> None:
    done = stage.call("--help")
    assert done.code == 0
    assert all(name in done.out for name in COMMANDS)


@pytest.mark.slow
def test_the_exit_codes_are_frozen_in_program_and_page(stage: Stage) -> None:
    told = stage.call("help", "exit-codes").out
    assert [int(line.split()[0]) for line in told.splitlines()] == list(FROZEN_CODES)
    page = (ROOT / "docs/exit-codes.md").read_text()
    rows = re.findall(r"^\| (\d+) \| ([a-z ]+?) \|", page, re.MULTILINE)
    assert {int(code): name for code, name in rows} == FROZEN_CODES


@pytest.mark.slow
def test_the_environment_topic_names_what_the_program_reads(stage: Stage) -> None:
    told = stage.call("help", "environment").out
    assert "ORCHESTRATOR_HOME" in told
    assert "ORCHESTRATOR_PROJECT" in told


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "code", "part"),
    [
        (["run-campain"], 2, "No such command"),
        (["status", "--nonsense"], 2, "No such option"),
        (["run-campaign", "--max-cycles", "0"], 2, "0 is not in the range"),
        (["status", "--project", "nowhere"], 5, "no such folder"),
        (["status"], 5, "no store here yet"),
        (["verify"], 5, "no store here yet"),
        (["prepare", "--task-id", "t", "--task-file", "nowhere.json"], 2, "No such file"),
        (["dispatch-step", "--step-pack-file", "nowhere.json"], 2, "No such file"),
        (["rollback", "--checkpoint-id", "nowhere", "--yes"], 5, "nowhere"),
        (["run-cycle", "--task-key", "nowhere"], 5, "no task is eligible"),
        (["run-campaign", "--run-id", "../../escape"], 2, "no plain id"),
        (["run-campaign", "--shim", "'unclosed"], 2, "not a command line"),
        (["run-campaign", "--plan-snapshot-file", "plan.json"], 2, "No such option"),
        (["checkpoint-create", "--task-key", "../escape"], 2, "escape"),
        (["status", "--progress-dir", "README.md/below"], 5, "no store here yet"),
        (["prepare", "--task-id", "../escape", "--task-file", "a"], 2, "no plain id"),
        (["rollback", "--checkpoint-id", "../escape", "--yes"], 5, "../escape"),
        (["run-campaign", "--progress-dir", "/proc/nowhere"], 3, "/proc/nowhere"),
        (["init", "--progress-dir", "/proc/nowhere"], 3, "the system refuses"),
        (["run-campaign", "--progress-dir", "README.md/below"], 3, "README.md/below"),
    ],
)
def test_a_mistake_of_a_person_is_told_without_a_trace(
    stage: Stage, arguments: list[str], code: int, part: str
) -> None:
    done = stage.call(*arguments)
    assert part in done.err
    assert done.code == code
    assert done.out == ""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["status", "--json"], 5),
        (["status", "--json", "--nonsense"], 2),
        (["review-step", "--output-format", "json", "--step-pack-file", "a"], 2),
        (["dispatch-step", "--json", "--step-pack-file", "nowhere.json"], 2),
    ],
)
def test_a_refusal_is_one_json_document_too(stage: Stage, arguments: list[str], code: int) -> None:
    done = stage.call(*arguments)
    assert done.code == code
    assert_envelope(done, arguments[0], ok=False)
    assert done.envelope["errors"][0]["message"]


@pytest.mark.slow
def test_broken_json_is_told_with_its_line(stage: Stage) -> None:
    write(stage.root / "bad.json", '{\n  "task_id": "one",\n  "oops"\n}\n')
    done = stage.call("dispatch-step", "--step-pack-file", "bad.json", "--dry-run")
    assert done.code == 2
    assert "bad.json:4:1:" in done.err
    as_json = stage.call("dispatch-step", "--step-pack-file", "bad.json", "--dry-run", "--json")
    error = as_json.envelope["errors"][0]
    assert (error["path"], error["line"], error["column"]) == ("bad.json", 4, 1)


@pytest.mark.slow
def test_a_wrong_map_file_is_told_by_name(stage: Stage) -> None:
    write(stage.root / "map.json", '{"one": 1}')
    done = stage.call("run-campaign", "--step-pack-map-file", "map.json")
    assert done.code == 2
    assert "map.json" in done.err
    assert "one" in done.err


@pytest.mark.slow
def test_settings_with_a_wrong_key_are_refused_with_its_line(stage: Stage) -> None:
    write(stage.root / "orchestrator.yaml", "schema_version: 1\nworkers:\n  backend: shim\n")
    done = stage.call("run-campaign")
    assert done.code == 2
    assert "orchestrator.yaml:2:1:" in done.err


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_that_cannot_be_written_is_told(stage: Stage) -> None:
    stage.root.chmod(0o500)
    try:
        done = stage.call("run-campaign")
    finally:
        stage.root.chmod(0o700)
    assert done.code == 3
    assert "writable" in done.err


@pytest.mark.slow
def test_init_makes_a_project_and_the_second_time_changes_nothing(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "new", tmp_path / "home")
    stage.root.mkdir()
    first = stage.call("init", "--json")
    assert_envelope(first, "init", ok=True)
    assert "orchestrator.yaml" in first.data["made"]

    def everything() -> dict[Path, bytes]:
        kept = (stage.root / "orchestrator.yaml", stage.queue_path)
        return {path: path.read_bytes() for path in kept}

    before = everything()
    second = stage.call("init", "--json")
    assert second.data["made"] == []
    assert everything() == before
    assert second.data["project_id"] == first.data["project_id"]


@pytest.mark.slow
def test_doctor_names_what_is_missing_and_how_to_mend_it(stage: Stage) -> None:
    stage.call("init")
    well = stage.call("doctor", "--json")
    assert_envelope(well, "doctor", ok=True)
    stage.settings(worker={"shim": ["no-such-program"]})
    ill = stage.call("doctor", "--json")
    assert_envelope(ill, "doctor", ok=False)
    (row,) = [row for row in ill.data["checks"] if row["result"] == "missing"]
    assert "no-such-program" in row["what"]
    assert row["mend"]


@pytest.mark.slow
def test_what_is_piped_has_no_colour(stage: Stage) -> None:
    stage.queue("liar")
    done = stage.call("run-campaign")
    assert "\x1b[" not in done.out + done.err
    assert "\x1b[" not in stage.call("status", "--nonsense").err


@pytest.mark.slow
def test_no_color_is_honoured_on_a_terminal(stage: Stage) -> None:
    stage.queue("one")
    ours, theirs = pty.openpty()
    try:
        with subprocess.Popen(
            stage.argv("run-campaign"),
            cwd=stage.root,
            env={**stage.env, "NO_COLOR": "1", "TERM": "xterm"},
            stdin=theirs, stdout=subprocess.PIPE, stderr=theirs,
        ) as process:  # fmt: skip
            process.communicate(timeout=60)
        told = os.read(ours, 65536)
    finally:
        os.close(ours)
        os.close(theirs)
    assert b"one R0S0 accepted" in told
    assert b"\x1b[" not in told


@pytest.mark.slow
def test_a_fault_of_ours_leaves_a_file_and_no_trace_on_the_screen(stage: Stage) -> None:
    stage.queue("one")
    done = stage.call("run-campaign", PYTHONPATH=f"{_faulty(stage)}{os.pathsep}{ROOT}")
    assert done.code == 3
    assert "a fault of this program: RuntimeError: planted" in done.err
    where = re.search(r"where: (\S+)", done.err)
    assert where is not None
    trace = Path(where.group(1))
    assert "planted" in trace.read_text()
    trace.unlink()


def _faulty(stage: Stage) -> Path:
    """Give a folder whose sitecustomize breaks the engine."""
    folder = stage.home.parent / "faulty"
    write(
        folder / "sitecustomize.py",
        "import orchestrator.engine.controller as c\n"
        "def broken(self, **_): raise RuntimeError('planted')\n"
        "c.ControllerEngine.run_campaign = broken\n",
    )
    return folder


@pytest.mark.slow
def test_prepare_chooses_tier_2_for_small_work(stage: Stage) -> None:
    write(stage.root / "task.json", json.dumps(_intake()))
    done = stage.call("prepare", "--task-file", "task.json", "--task-id", "one", "--json")
    assert_envelope(done, "prepare", ok=True)
    assert done.data["tier"] == "tier2"
    assert done.data["reasons"]


@pytest.mark.slow
def test_prepare_compiles_a_contract_for_tier_3(stage: Stage) -> None:
    write(stage.root / "task.json", json.dumps(_intake(execution_route="tier3")))
    write(stage.root / "pack.json", json.dumps(pack("one")))
    done = stage.call(
        "prepare", "--task-file", "task.json", "--task-id", "one",
        "--step-pack-file", "pack.json", "--json",
    )  # fmt: skip
    assert done.code == 0, done.out
    assert done.data["tier"] == "tier3"
    names = {path.name for path in Path(done.data["contract_dir"]).iterdir()}
    assert names == {"master_contract.md", "template_snapshot.md", "conformance_report.json"}


@pytest.mark.slow
def test_prepare_refuses_what_is_not_ready(stage: Stage) -> None:
    write(stage.root / "task.json", json.dumps(_intake(acceptance_criteria=[])))
    done = stage.call("prepare", "--task-file", "task.json", "--task-id", "one", "--json")
    assert done.code == 6
    assert_envelope(done, "prepare", ok=False)
    assert done.envelope["errors"][0]["hint"]


def _intake(**changes: object) -> dict[str, object]:
    return {
        "task_title": "Repair one",
        "target": "src/one.txt",
        "execution_route": "tier2",
        "acceptance_criteria": ["AC1: src/one.txt says fixed"],
        **changes,
    }
