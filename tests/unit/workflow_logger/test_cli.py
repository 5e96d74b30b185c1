# ruff: noqa: ANN401  conftest.py cannot be imported, so its fixtures have no type here
from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from workflow_logger.cli import main

REPOSITORY = Path(__file__).resolve().parents[3]
ATTEMPT = ["--result", "PASS", "--reason-code", "PASS_ALL_CRITERIA"]


@pytest.fixture(autouse=True)
def _own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ORCHESTRATOR_HOME", str(tmp_path / "home"))


def run(*arguments: str) -> int:
    return main(["--project-id", "ford-ai-flow", *arguments])


def answer(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out.splitlines()[-1])


@pytest.mark.slow
def test_the_commands_of_seed_004_work_from_init_to_import(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("init") == 0
    attempt = [
        *("attempt", "--task-id", "T-013", "--r", "0", "--s", "0"),
        *("--acceptance", "AC-1: tests pass", "--acceptance", "AC-2"),
        *("--code-change-summary", "Implement API + tests"),
        *("--code-content", "def handler(): return {'ok': True}"),
        *("--executed-file", "src/api.py", "--executed-file", "tests/test_api.py"),
        *("--executed-command", "python -m unittest tests.test_api"),
        *("--test-results", "0 failed, 12 passed", *ATTEMPT),
        *("--reason-detail", "Acceptance reached.", "--next-action", "Close task"),
    ]
    assert run(*attempt) == 0
    assert run("close", "--task-id", "T-013", "--final-status", "accepted", "--summary", "Ok") == 0
    assert run("verify", "--task-id", "T-013", "--strict") == 0
    assert run("export", "--archive", "./ford-ai-flow.zip") == 0
    target = ["--archive", "./ford-ai-flow.zip", "--target-project-id", "migrated"]
    assert main(["--root-dir", "./workflow", "import", *target]) == 0
    capsys.readouterr()
    assert main(["--project-id", "migrated", "show", "--seq", "0", "--json"]) == 0
    body = answer(capsys)["entry"]["body"]
    assert body["acceptance_snapshot"] == ["AC-1: tests pass", "AC-2"]
    assert body["executed_files"] == ["src/api.py", "tests/test_api.py"]
    assert main(["--project-id", "migrated", "verify", "--strict", "--json"]) == 0
    assert answer(capsys)["anchored"] is True


def test_an_attempt_that_the_protocol_refuses_exits_with_6(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("attempt", "--task-id", "T-1", "--r", "1", "--s", "0", *ATTEMPT) == 6
    assert "allowed: R0/S0 (first)" in capsys.readouterr().err
    assert run("attempt", "--task-id", "T-1", "--r", "1", "--s", "0", *ATTEMPT, "--json") == 6
    assert answer(capsys)["error"]["mend"] == "number the attempt by the R/S protocol"


def test_a_ledger_that_does_not_verify_exits_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    run("attempt", "--task-id", "T-1", "--r", "0", "--s", "0", *ATTEMPT)
    path = Path("workflow/ford-ai-flow/events.jsonl")
    path.write_bytes(path.read_bytes().replace(b"PASS_ALL", b"FAIL_ALL"))
    capsys.readouterr()
    assert run("verify") == 1
    out = capsys.readouterr().out
    assert "error: entry.edited: workflow/ford-ai-flow/events.jsonl:1" in out
    assert "DOES NOT VERIFY" in out
    assert run("verify", "--json") == 1
    assert answer(capsys)["ok"] is False
    assert run("log") == 1


def test_a_ledger_without_trust_fails_only_when_it_is_asked_to_be_strict(
    capsys: pytest.CaptureFixture[str],
) -> None:
    run("attempt", "--task-id", "T-1", "--r", "0", "--s", "0", *ATTEMPT)
    Path("home/trusted/ford-ai-flow.vkey").unlink()
    assert run("verify") == 0
    assert "1 not anchored" in capsys.readouterr().out
    assert run("verify", "--strict") == 1


def test_keys_and_anchor_can_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    paths = ["--key", "k/a", "--public-key", "k/b", "--anchor", "k/c"]
    assert run(*paths, "init") == 0
    assert sorted(path.name for path in Path("k").iterdir()) == ["a", "b", "c"]
    assert run(*paths, "verify", "--json") == 0
    assert answer(capsys)["entries"] == 0


def test_code_content_can_be_read_from_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    Path("code.py").write_text("é = 1\n")
    numbers = ["--task-id", "T-1", "--r", "0", "--s", "0"]
    assert run("attempt", *numbers, *ATTEMPT, "--code-content", "@code.py") == 0
    assert run("attempt", *numbers, *ATTEMPT, "--code-content", "@none.py") == 2
    capsys.readouterr()
    run("show", "--seq", "0", "--json")
    assert answer(capsys)["entry"]["body"]["code_content"] == "é = 1\n"


@pytest.mark.slow
def test_log_lists_entries_and_show_renders_a_task(capsys: pytest.CaptureFixture[str]) -> None:
    for s in ("0", "1", "2"):
        run("attempt", "--task-id", "T-1", "--r", "0", "--s", s, *ATTEMPT)
    capsys.readouterr()
    assert run("log", "--last", "2") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["1", "2"]
    assert run("log", "--task-id", "T-9", "--json") == 0
    assert capsys.readouterr().out == ""
    assert run("show", "--task-id", "T-1") == 0
    assert capsys.readouterr().out.startswith("# T-1")


def test_show_proves_that_an_entry_is_in_the_tree(capsys: pytest.CaptureFixture[str]) -> None:
    from base64 import b64decode

    from workflow_logger.merkle import verify_inclusion

    for s in ("0", "1", "2"):
        run("attempt", "--task-id", "T-1", "--r", "0", "--s", s, *ATTEMPT)
    capsys.readouterr()
    assert run("show", "--seq", "1", "--proof", "--json") == 0
    given = answer(capsys)["inclusion"]
    line = Path("workflow/ford-ai-flow/events.jsonl").read_bytes().splitlines()[1]
    proof = [b64decode(item) for item in given["proof"]]
    assert verify_inclusion(line, 1, given["size"], proof, b64decode(given["root"]))


@pytest.mark.parametrize(
    "arguments",
    [
        ["verify"],
        ["log"],
        ["show"],
        ["attempt", "--task-id", "T-1"],
        ["attempt", "--task-id", "T-1", "--r", "x", "--s", "0", *ATTEMPT],
        ["attempt", "--task-id", "../T", "--r", "0", "--s", "0", *ATTEMPT],
        ["nonsense"],
        ["show", "--seq", "0"],
    ],
)
def test_a_wrong_question_exits_with_2(arguments: list[str]) -> None:
    assert run(*arguments) == 2


def test_no_project_exits_with_2() -> None:
    assert main(["verify"]) == 2


@pytest.mark.parametrize("module", ["workflow_logger", "workflow_logger.cli"])
@pytest.mark.slow
def test_both_modules_run_and_help_loads_nothing_heavy(module: str) -> None:
    code = (
        "import runpy, sys; sys.argv = ['x', '--help']\n"
        "try: runpy.run_module(sys.argv.pop(0) and "
        f"{module!r}, run_name='__main__')\n"
        "except SystemExit as end: code = end.code\n"
        "heavy = ['cryptography', 'filelock', 'zipfile', 'platformdirs', 'pydantic']\n"
        "print([n for n in heavy if n in sys.modules], code)"
    ).replace("sys.argv.pop(0) and ", "")
    out = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        capture_output=True,
        check=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    ).stdout
    assert "Record attempts at tasks" in out
    assert out.splitlines()[-1] == "[] 0"


@pytest.mark.slow
def test_the_second_verifier_runs_alone(capsys: pytest.CaptureFixture[str]) -> None:
    run("attempt", "--task-id", "T-1", "--r", "0", "--s", "0", *ATTEMPT)
    script = REPOSITORY / "scripts" / "verify_ledger.py"
    command = [
        *(sys.executable, "-I", str(script), "workflow/ford-ai-flow", "--json"),
        *("--public-key", "home/trusted/ford-ai-flow.vkey"),
        *("--anchor", "home/anchors/ford-ai-flow.note"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["anchored_entries"] == 1
    path = Path("workflow/ford-ai-flow/events.jsonl")
    path.write_bytes(b"")
    assert subprocess.run(command, capture_output=True, check=False).returncode == 1
    assert "workflow_logger" not in [
        line.split()[1] for line in script.read_text().splitlines() if line.startswith("import")
    ]
