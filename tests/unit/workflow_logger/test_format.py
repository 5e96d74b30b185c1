# ruff: noqa: ANN401  conftest.py cannot be imported, so its fixtures have no type here
"""FORMAT.md, the golden ledger and both verifiers agree byte for byte.

`python tests/unit/workflow_logger/test_format.py` writes the golden files anew; do so only when
the format's version changes.
"""

from __future__ import annotations

import base64
import json
import re
import shutil
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from workflow_logger import WorkflowLogger, canonical
from workflow_logger.checkpoint import (
    SigningKey,
    VerifierKey,
    parse_note,
    sign_checkpoint,
    verify_note,
)
from workflow_logger.entry import genesis, make_entry, parse_line
from workflow_logger.errors import EntryError
from workflow_logger.files import append_entries
from workflow_logger.layout import Layout
from workflow_logger.merkle import Frontier, Tree
from workflow_logger.verify import verify_project

REPOSITORY = Path(__file__).resolve().parents[3]
GOLDEN = REPOSITORY / "tests" / "golden" / "ledger"
FORMAT = REPOSITORY / "instructions" / "FORMAT.md"
SEED = bytes(range(32))
KEY = SigningKey("workflow-ledger/golden", SEED)

CANONICAL: list[Any] = [
    {"b": 1, "a": [True, False, None], "": {}},
    {"\u20ac": 1, "\U0001f600": 2, "\ufb33": 3, "\u00f6": 4, "1": 5},
    'tab\tquote"backslash\\slash/del\u007fnul\u0000unit\u001fé',
    [9007199254740991, -9007199254740991, 0],
]


def _clock() -> Callable[[], datetime]:
    moment = datetime(2026, 1, 31, 23, 59, 0, 123000, UTC)

    def tick() -> datetime:
        nonlocal moment
        moment += timedelta(seconds=1)
        return moment

    return tick


def write_ledger(base: Path) -> None:
    """Write the golden ledger below `base`, as the writer of today does."""
    home = base / "home"
    key = home / "keys" / "golden.key"
    key.parent.mkdir(parents=True)
    key.write_text(KEY.to_text() + "\n")
    key.chmod(0o600)
    logger = WorkflowLogger(base / "workflow", "golden", home=home, clock=_clock())
    fields: dict[str, Any] = {
        "acceptance_snapshot": ["AC-1: tests pass", "AC-2: no file outside src/ changed"],
        "code_change_summary": 'A "naïve" fix: ok\n',
        "executed_files": ["src/parser.py"],
        "executed_commands": ["python -m unittest"],
    }
    red = {"result": "FAIL", "reason_code": "TESTS_FAILED", "test_results": "1 failed"}
    green = {"result": "PASS", "reason_code": "PASS_ALL_CRITERIA", "test_results": "0 failed"}
    logger.log_attempt("T-1", 0, 0, **fields, **red, code_content="def parse(): ...\n")
    _project_entry(base)
    logger.log_attempt("T-2", 0, 0, **fields, **green, code_content="x = '\U0001f600'\n" * 400)
    logger.log_attempt("T-1", 0, 1, **fields, **red, next_action="Revise the brief.")
    logger.log_attempt("T-1", 1, 0, **fields, **green)
    logger.close_task("T-1", "accepted", "Done.")
    logger.close_task("T-2", "rejected", "Superseded.")


def _project_entry(base: Path) -> None:
    layout = Layout.of(base / "workflow", "golden")
    last = parse_line(layout.events.read_bytes())
    entry = make_entry(
        last.heads.project,
        genesis("golden"),
        project_id="golden",
        task_id="",
        kind="decision",
        at="2026-01-31T23:59:02.500Z",
        body={
            "decision": "continue",
            "limits": {"rounds": 3},
            "€": None,
            "\U0001f600": [],
            "\ufb33": {},
        },
    )
    append_entries(base / "workflow", "golden", [entry.line])


def make_vectors(base: Path) -> dict[str, Any]:
    """Return what other implementations can check themselves against."""
    lines = Layout.of(base / "workflow", "golden").events.read_bytes().splitlines(keepends=True)
    tree = Tree(line[:-1] for line in lines)
    size = tree.size
    note = sign_checkpoint(KEY.name, size, tree.root(), KEY)
    return {
        "canonical": [
            {"value": value, "bytes_base64": _b64(canonical.encode(value))} for value in CANONICAL
        ],
        "genesis": {"project_id": "golden", "hash": genesis("golden").last_hash},
        "entries": [
            {"event_hash": parse_line(line).hash, "line_base64": _b64(line)} for line in lines
        ],
        "roots": [tree.root(count).hex() for count in range(size + 1)],
        "inclusion": [
            {"index": index, "size": size, "proof": [d.hex() for d in tree.inclusion_proof(index)]}
            for index in range(size)
        ],
        "consistency": [
            {"old": old, "size": size, "proof": [d.hex() for d in tree.consistency_proof(old)]}
            for old in range(size + 1)
        ],
        "checkpoint": {"seed": SEED.hex(), "vkey": str(KEY.public), "note": note},
        "refused": _refused(lines[0]),
    }


def _refused(line: bytes) -> list[dict[str, str]]:
    cases = {
        "entry.edited": line.replace(b"FAIL", b"PASS", 1),
        "entry.not_canonical": line.replace(b'"r":0', b'"r": 0', 1),
        "entry.malformed": line.replace(b'"r":0', b'"r":0.5', 1),
        "entry.unknown_version": line.replace(b'"v":1', b'"v":2', 1),
        "entry.unknown_field": line.replace(b'"v":1', b'"v":1,"w":1', 1),
        "entry.missing_field": line.replace(b',"v":1', b"", 1),
    }
    return [{"rule": rule, "line_base64": _b64(data)} for rule, data in cases.items()]


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


def load_vectors() -> Any:
    return json.loads((GOLDEN / "vectors.json").read_text(encoding="utf-8"))


@pytest.mark.slow
def test_the_writer_of_today_writes_the_golden_bytes(tmp_path: Path) -> None:
    write_ledger(tmp_path)
    assert files_of(tmp_path / "workflow") == files_of(GOLDEN / "workflow")
    assert files_of(tmp_path / "home/trusted") == files_of(GOLDEN / "trusted")
    assert files_of(tmp_path / "home/anchors") == files_of(GOLDEN / "anchors")


def test_the_vectors_are_those_of_today(tmp_path: Path) -> None:
    shutil.copytree(GOLDEN / "workflow", tmp_path / "workflow")
    assert make_vectors(tmp_path) == load_vectors()


def test_both_verifiers_accept_the_golden_ledger(second_verifier: Any) -> None:
    key = VerifierKey.parse((GOLDEN / "trusted/golden.vkey").read_text())
    anchor = GOLDEN / "anchors/golden.note"
    report = verify_project(GOLDEN / "workflow", "golden", public_key=key, anchor=anchor)
    assert report.is_anchored
    assert report.findings == ()
    other = second_verifier.verify(
        GOLDEN / "workflow/golden", second_verifier.Key(str(key)), anchor
    )
    assert (other.errors, other.warnings, other.entries) == ([], [], report.entries)
    assert other.root.hex() == report.root


def test_both_verifiers_spell_the_canonical_vectors(second_verifier: Any) -> None:
    for case in load_vectors()["canonical"]:
        data = base64.b64decode(case["bytes_base64"])
        assert canonical.encode(case["value"]) == data
        assert second_verifier.canonical(case["value"]).encode() == data


def test_both_verifiers_refuse_the_vectors_of_bad_lines(second_verifier: Any) -> None:
    for case in load_vectors()["refused"]:
        line = base64.b64decode(case["line_base64"])
        with pytest.raises(EntryError) as caught:
            parse_line(line)
        assert caught.value.rule == case["rule"]
        with pytest.raises(second_verifier.Bad):
            second_verifier.read_entry(line[:-1])


def test_the_second_verifier_knows_the_same_genesis_and_roots(second_verifier: Any) -> None:
    vectors = load_vectors()
    assert second_verifier.genesis("golden") == vectors["genesis"]["hash"]
    leaves = [
        second_verifier.hashlib.sha256(b"\0" + base64.b64decode(item["line_base64"])[:-1]).digest()
        for item in vectors["entries"]
    ]
    roots = [second_verifier.tree_root(leaves[:size]).hex() for size in range(len(leaves) + 1)]
    assert roots == vectors["roots"]


def blocks(language: str) -> list[str]:
    text = FORMAT.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def test_the_page_shows_a_true_entry_and_its_preimage() -> None:
    (line,) = blocks("entry")
    entry = parse_line(line.encode())
    assert entry.line in (GOLDEN / "workflow/golden/events.jsonl").read_bytes()
    text = FORMAT.read_text(encoding="utf-8")
    assert entry.hash in text
    assert genesis("golden").last_hash in text
    (header,) = blocks("genesis")
    assert canonical.encode(json.loads(header)) == header.strip().encode()


def test_the_page_shows_a_true_checkpoint() -> None:
    (note,) = blocks("checkpoint")
    (vkey,) = blocks("vkey")
    checkpoint = verify_note(note, VerifierKey.parse(vkey))
    frontier = Frontier()
    for line in (GOLDEN / "workflow/golden/events.jsonl").read_bytes().splitlines():
        frontier.append(line)
    assert (checkpoint.size, checkpoint.root) == (frontier.size, frontier.root())
    assert parse_note((GOLDEN / "anchors/golden.note").read_text()).checkpoint == checkpoint
    assert SEED.hex() in FORMAT.read_text(encoding="utf-8")


def test_the_page_names_every_field_and_every_rule() -> None:
    from workflow_logger.entry import FIELDS

    text = FORMAT.read_text(encoding="utf-8")
    assert [name for name in FIELDS if f"`{name}`" not in text] == []
    source = "".join(path.read_text() for path in (REPOSITORY / "workflow_logger").glob("*.py"))
    named = r'"((?:entry|chain|task|protocol|checkpoint|anchor|artifact|manifest|key)\.[a-z_]+)"'
    rules = set(re.findall(named, source)) - {"key.malformed"}
    assert [rule for rule in sorted(rules) if f"`{rule}`" not in text] == []


if __name__ == "__main__":
    sys.path.insert(0, str(REPOSITORY))
    shutil.rmtree(GOLDEN, ignore_errors=True)
    GOLDEN.mkdir(parents=True)
    write_ledger(GOLDEN)
    for name in ("trusted", "anchors"):
        (GOLDEN / "home" / name).rename(GOLDEN / name)
    shutil.rmtree(GOLDEN / "home")
    (GOLDEN / "workflow/golden/.lock").unlink(missing_ok=True)
    text = json.dumps(make_vectors(GOLDEN), indent=1, ensure_ascii=True)
    (GOLDEN / "vectors.json").write_text(text + "\n", encoding="utf-8")
