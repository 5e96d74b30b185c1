"""A command string as argv, without a shell where a shell would do nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.verification.commands import prepare


@pytest.mark.parametrize(
    ("command", "argv"),
    [
        ("python -m pytest -q", ("python", "-m", "pytest", "-q")),
        ("pytest tests/test_a.py::test_b  # one", ("pytest", "tests/test_a.py::test_b")),
        ("grep -q 'a b' file", ("grep", "-q", "a b", "file")),
        ('git commit -m "a # b"', ("git", "commit", "-m", "a # b")),
        ("find . -name '*.py'", ("find", ".", "-name", "*.py")),
        ("pytest -k 'a and not b'", ("pytest", "-k", "a and not b")),
        ("test -f x", ("test", "-f", "x")),
        ("find . -exec ls {} \\;", ("find", ".", "-exec", "ls", "{}", ";")),
        ("python -c 'print(\"<b>\")'", ("python", "-c", 'print("<b>")')),
        ("grep 'a | b' c", ("grep", "a | b", "c")),
        ("echo a\\ b", ("echo", "a b")),
        ("'cd' x", ("cd", "x")),
        ("awk '{print $1}' a", ("awk", "{print $1}", "a")),
    ],
)
def test_an_ordinary_command_needs_no_shell(command: str, argv: tuple[str, ...]) -> None:
    prepared = prepare(command)
    assert prepared.argv == argv
    assert not prepared.used_shell
    assert prepared.command == command


@pytest.mark.parametrize(
    "command",
    ["a | b", "a && b", "cd x && y", "A=1 pytest", "ls *.py", "echo $HOME", "a > b", "a; b", "! a",
     "echo `x`", 'echo "$x"', "cat ~/x", "exit 0", "if a; then b; fi", "a\nb", "(a)", "ls [ab]"],
)  # fmt: skip
def test_what_needs_a_shell_gets_one_and_it_is_recorded(command: str) -> None:
    assert prepare(command).argv == ("/bin/sh", "-c", command)
    assert prepare(command).used_shell


@pytest.mark.parametrize(
    "command",
    ["set -o pipefail; a | b", "[[ -f x ]] && y", "diff <(a) <(b)", "source x; y", "a &> b"],
)
def test_what_only_bash_knows_gets_bash(command: str) -> None:
    assert prepare(command).argv[:2] == ("bash", "-c")


@pytest.mark.parametrize(
    "command", ["pytest <path>", "run --id <run_id>", "<command>", "python <module name>.py"]
)
def test_a_placeholder_is_never_run(command: str) -> None:
    prepared = prepare(command)
    assert prepared.argv == ()
    assert "never filled in" in (prepared.fault or "")


@pytest.mark.parametrize("command", ["sort < in > out", "cat <<EOF\nx\nEOF", "python x.py <in"])
def test_a_redirection_is_no_placeholder(command: str) -> None:
    assert prepare(command).fault is None


@pytest.mark.parametrize("command", ["", "   ", "# only a comment", "a 'b"])
def test_what_cannot_be_read_is_a_fault_of_the_pack(command: str) -> None:
    assert prepare(command).fault


@given(st.text(max_size=60))
def test_every_text_is_either_a_command_or_a_fault(command: str) -> None:
    prepared = prepare(command)
    assert bool(prepared.argv) != bool(prepared.fault)
