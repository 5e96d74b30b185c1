# ruff: noqa: ANN401  conftest.py cannot be imported, so its fixtures have no type here
"""Every attack on a ledger's files, through both verifiers."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from workflow_logger.errors import LedgerError

Attack = Callable[[Any], None]


def seal(entry: dict[str, Any]) -> bytes:
    from hashlib import sha256

    from workflow_logger.canonical import encode

    rest = {name: value for name, value in entry.items() if name != "event_hash"}
    return encode({**rest, "event_hash": sha256(encode(rest)).hexdigest()}) + b"\n"


def change(line: bytes, **fields: Any) -> bytes:
    """Change fields of a line, leaving its event_hash as it was."""
    from workflow_logger.canonical import encode

    return encode({**json.loads(line), **fields}) + b"\n"


def _edit(name: str, value: Any) -> Attack:
    def attack(ledger: Any) -> None:
        lines = ledger.lines()
        lines[2] = change(lines[2], **{name: value})
        ledger.rewrite(lines)

    return attack


def edited_body(ledger: Any) -> None:
    lines = ledger.lines()
    body = {**json.loads(lines[2])["body"], "result": "PASS"}
    lines[2] = change(lines[2], body=body)
    ledger.rewrite(lines)


def edited_and_rehashed(ledger: Any) -> None:
    lines = ledger.lines()
    lines[2] = seal({**json.loads(lines[2]), "at": "2020-01-01T00:00:00.000Z"})
    ledger.rewrite(lines)


def edited_and_all_rehashed(ledger: Any) -> None:
    lines = ledger.lines()
    lines[2] = change(lines[2], at="2020-01-01T00:00:00.000Z")
    ledger.rewrite(ledger.forge(lines))


def resigned_under_another_key(ledger: Any) -> None:
    edited_and_all_rehashed(ledger)
    ledger.notes.write_text(ledger.sign(ledger.foreign_key()) + "\n")
    ledger.anchor.unlink()


def resigned_with_the_anchor_left(ledger: Any) -> None:
    edited_and_all_rehashed(ledger)
    ledger.notes.write_text(ledger.sign(ledger.foreign_key()) + "\n")


def checkpoint_added_under_another_key(ledger: Any) -> None:
    with ledger.notes.open("a") as file:
        file.write(ledger.sign(ledger.foreign_key()) + "\n")


def anchor_under_another_key(ledger: Any) -> None:
    ledger.anchor.write_text(ledger.sign(ledger.foreign_key()))


def forged_signature(ledger: Any) -> None:
    note = ledger.sign(ledger.foreign_key()).splitlines()
    good = ledger.sign().splitlines()
    from base64 import b64decode, b64encode

    mixed = b64decode(good[4].split()[2])[:4] + b64decode(note[4].split()[2])[4:]
    good[4] = f"{good[4].rsplit(' ', 1)[0]} {b64encode(mixed).decode()}"
    with ledger.notes.open("a") as file:
        file.write("\n".join(good) + "\n\n")


def swapped_lines(ledger: Any) -> None:
    lines = ledger.lines()
    lines[1], lines[2] = lines[2], lines[1]
    ledger.rewrite(lines)


def moved_to_the_end(ledger: Any) -> None:
    lines = ledger.lines()
    lines.append(lines.pop(1))
    ledger.rewrite(lines)


def inserted(ledger: Any) -> None:
    lines = ledger.lines()
    entry = json.loads(lines[3])
    entry["body"]["result"] = "FORGED"
    lines.insert(3, seal(entry))
    ledger.rewrite(lines)


def inserted_and_all_rehashed(ledger: Any) -> None:
    lines = ledger.lines()
    entry = json.loads(lines[0]) | {"task_id": "", "kind": "decision", "body": {"forged": True}}
    lines.insert(1, seal(entry))
    ledger.rewrite(ledger.forge(lines))


def duplicated(ledger: Any) -> None:
    lines = ledger.lines()
    lines.insert(3, lines[2])
    ledger.rewrite(lines)


def duplicated_last(ledger: Any) -> None:
    lines = ledger.lines()
    ledger.rewrite([*lines, lines[-1]])


def removed(ledger: Any) -> None:
    lines = ledger.lines()
    ledger.rewrite(lines[:2] + lines[3:])


def removed_first(ledger: Any) -> None:
    ledger.rewrite(ledger.lines()[1:])


def dropped_tail(ledger: Any) -> None:
    ledger.rewrite(ledger.lines()[:-2])


def dropped_tail_with_checkpoints(ledger: Any) -> None:
    """Only the anchor outside knows."""
    ledger.rewrite(ledger.lines()[:-2])
    notes = ledger.notes.read_bytes().split(b"\n\n")
    ledger.notes.write_bytes(b"\n\n".join(notes[:-5]) + b"\n\n")


def dropped_everything(ledger: Any) -> None:
    ledger.rewrite([])
    ledger.notes.unlink()


def dropped_events_file(ledger: Any) -> None:
    ledger.events.unlink()
    shutil.rmtree(ledger.project / "tasks")


def swapped_task_files(ledger: Any) -> None:
    one, two = ledger.task_file("T-1"), ledger.task_file("T-2")
    first, second = one.read_bytes(), two.read_bytes()
    one.write_bytes(second)
    two.write_bytes(first)


def task_file_edited(ledger: Any) -> None:
    path = ledger.task_file("T-1")
    path.write_bytes(path.read_bytes().replace(b"FAIL", b"PASS"))


def task_file_shortened(ledger: Any) -> None:
    path = ledger.task_file("T-1")
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))


def task_file_lengthened(ledger: Any) -> None:
    path = ledger.task_file("T-1")
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines, lines[-1]]))


def task_file_missing(ledger: Any) -> None:
    ledger.task_file("T-1").unlink()


def task_file_linked(ledger: Any) -> None:
    path = ledger.task_file("T-1")
    other = path.with_name("elsewhere.jsonl")
    path.rename(other)
    path.symlink_to(other)


def task_invented(ledger: Any) -> None:
    path = ledger.task_file("T-9")
    path.parent.mkdir()
    path.write_bytes(ledger.lines()[0])


def entry_moved_to_another_task(ledger: Any) -> None:
    lines = ledger.lines()
    lines[3] = change(lines[3], task_id="T-2")
    ledger.rewrite(ledger.forge(lines))


def entry_after_the_close(ledger: Any) -> None:
    lines = ledger.lines()
    entry = json.loads(lines[1]) | {"kind": "decision"}
    ledger.rewrite(ledger.forge([*lines, seal(entry)]))


def second_close(ledger: Any) -> None:
    lines = ledger.lines()
    ledger.rewrite(ledger.forge([*lines, lines[-1]]))


def attempt_number_skipped(ledger: Any) -> None:
    lines = ledger.lines()
    entry = json.loads(lines[2])
    entry["body"]["s"] = 5
    lines[2] = seal(entry)
    ledger.rewrite(ledger.forge(lines))


def attempt_without_numbers(ledger: Any) -> None:
    lines = ledger.lines()
    entry = json.loads(lines[2])
    del entry["body"]["s"]
    lines[2] = seal(entry)
    ledger.rewrite(ledger.forge(lines))


def _respelled(old: bytes, new: bytes) -> Attack:
    """Spell one line otherwise: the value is the same, the bytes are not canonical."""

    def attack(ledger: Any) -> None:
        lines = ledger.lines()
        assert old in lines[0]
        lines[0] = lines[0].replace(old, new, 1)
        ledger.rewrite(lines)

    return attack


def _raw_line(line: bytes) -> Attack:
    def attack(ledger: Any) -> None:
        ledger.events.write_bytes(b"".join([*ledger.lines(), line]))

    return attack


def float_in_the_body(ledger: Any) -> None:
    lines = ledger.lines()
    lines[0] = lines[0].replace(b'"r":0', b'"r":0.0')
    ledger.rewrite(lines)


def unknown_field(ledger: Any) -> None:
    lines = ledger.lines()
    lines[0] = seal({**json.loads(lines[0]), "extra": 1})
    ledger.rewrite(ledger.forge(lines))


def missing_field(ledger: Any) -> None:
    lines = ledger.lines()
    entry = json.loads(lines[0])
    del entry["kind"]
    ledger.events.write_bytes(b"".join([seal(entry), *lines[1:]]))


def unknown_version(ledger: Any) -> None:
    lines = ledger.lines()
    lines[0] = seal({**json.loads(lines[0]), "v": 2})
    ledger.rewrite(ledger.forge(lines))


def entry_of_another_project(ledger: Any) -> None:
    lines = [seal({**json.loads(line), "project_id": "other"}) for line in ledger.lines()]
    ledger.rewrite(ledger.forge(lines))


def checkpoints_reordered(ledger: Any) -> None:
    notes = ledger.notes.read_bytes().split(b"\n\n")
    # Each note is two blocks: text and signature.
    pairs = [notes[index : index + 2] for index in range(0, len(notes) - 1, 2)]
    pairs[1], pairs[2] = pairs[2], pairs[1]
    ledger.notes.write_bytes(b"\n\n".join(block for pair in pairs for block in pair) + b"\n\n")


def checkpoint_garbled(ledger: Any) -> None:
    data = ledger.notes.read_bytes()
    ledger.notes.write_bytes(data.replace(b"\n1\n", b"\n01\n", 1))


def checkpoint_root_changed(ledger: Any) -> None:
    data = ledger.notes.read_bytes()
    root = data.split(b"\n")[8]
    swapped = (b"A" if root[:1] != b"A" else b"B") + root[1:]
    ledger.notes.write_bytes(data.replace(root, swapped, 1))


def manifest_of_another_project(ledger: Any) -> None:
    path = ledger.project / "manifest" / "project_manifest.json"
    path.write_text(path.read_text().replace('"project_id": "demo"', '"project_id": "other"'))


def manifest_of_another_ledger(ledger: Any) -> None:
    path = ledger.project / "manifest" / "project_manifest.json"
    path.write_text(path.read_text().replace('"ledger_id": "demo"', '"ledger_id": "other"'))


def manifest_missing(ledger: Any) -> None:
    shutil.rmtree(ledger.project / "manifest")


def zero_filled_tail(ledger: Any) -> None:
    with ledger.events.open("ab") as file:
        file.write(b"\0" * 100 + b"\n")


REFUSED: dict[str, tuple[Attack, str]] = {
    "an edited body": (edited_body, "entry.edited"),
    "an edited time": (_edit("at", "2020-01-01T00:00:00.000Z"), "entry.edited"),
    "an edited kind": (_edit("kind", "decision"), "entry.edited"),
    "an edited task": (_edit("task_id", "T-2"), "entry.edited"),
    "an edited seq": (_edit("seq", 7), "entry.edited"),
    "an edited task_seq": (_edit("task_seq", 7), "entry.edited"),
    "an edited prev_hash": (_edit("prev_hash", "0" * 64), "entry.edited"),
    "an edited prev_event_hash": (_edit("prev_event_hash", "0" * 64), "entry.edited"),
    "an edited event_hash": (_edit("event_hash", "0" * 64), "entry.edited"),
    "an edited project": (_edit("project_id", "other"), "entry.edited"),
    "an edited entry with its hash made anew": (edited_and_rehashed, "chain.replaced"),
    "an edited entry with all hashes made anew": (
        edited_and_all_rehashed,
        "checkpoint.root_mismatch",
    ),
    "a history signed again under another key": (
        resigned_under_another_key,
        "checkpoint.foreign_key",
    ),
    "the same with the anchor left": (resigned_with_the_anchor_left, "checkpoint.root_mismatch"),
    "a last checkpoint under another key": (
        checkpoint_added_under_another_key,
        "checkpoint.foreign_key",
    ),
    "an anchor under another key": (anchor_under_another_key, "anchor.foreign_key"),
    "a forged signature": (forged_signature, "checkpoint.bad_signature"),
    "two swapped lines": (swapped_lines, "chain.reordered"),
    "a line moved to the end": (moved_to_the_end, "chain.reordered"),
    "an inserted line": (inserted, "chain.inserted"),
    "an inserted line with all hashes made anew": (
        inserted_and_all_rehashed,
        "checkpoint.root_mismatch",
    ),
    "a duplicated line": (duplicated, "chain.duplicated"),
    "a duplicated last line": (duplicated_last, "chain.duplicated"),
    "a removed line": (removed, "chain.removed"),
    "a removed first line": (removed_first, "chain.removed"),
    "a dropped tail": (dropped_tail, "chain.tail_dropped"),
    "a dropped tail with its checkpoints": (dropped_tail_with_checkpoints, "chain.tail_dropped"),
    "everything dropped": (dropped_everything, "chain.tail_dropped"),
    "no events file": (dropped_events_file, "chain.tail_dropped"),
    "swapped task files": (swapped_task_files, "task.swapped"),
    "an edited task file": (task_file_edited, "task.differs"),
    "a shortened task file": (task_file_shortened, "task.tail_dropped"),
    "a lengthened task file": (task_file_lengthened, "task.differs"),
    "a missing task file": (task_file_missing, "task.missing"),
    "a linked task file": (task_file_linked, "task.differs"),
    "an invented task": (task_invented, "task.extra"),
    "an entry moved to another task": (entry_moved_to_another_task, "checkpoint.root_mismatch"),
    "an entry after the close": (entry_after_the_close, "protocol.iteration"),
    "a second close": (second_close, "protocol.iteration"),
    "a skipped attempt number": (attempt_number_skipped, "protocol.iteration"),
    "an attempt without numbers": (attempt_without_numbers, "protocol.numbers"),
    "a space between members": (_respelled(b'"r":0', b'"r": 0'), "entry.not_canonical"),
    "a needless escape": (_respelled(b"Fix the", b"\\u0046ix the"), "entry.not_canonical"),
    "a negative zero": (_respelled(b'"r":0', b'"r":-0'), "entry.not_canonical"),
    "a carriage return": (_respelled(b"}\n", b"}\r\n"), "entry.not_canonical"),
    "a repeated member": (_respelled(b'"r":0', b'"r":0,"r":0'), "entry.not_canonical"),
    "invalid UTF-8": (_respelled(b"Fix the", b"Fix\xff the"), "entry.not_canonical"),
    "a lone surrogate": (_respelled(b"Fix the", b"\\ud800 the"), "entry.not_canonical"),
    "an empty line": (_raw_line(b"\n"), "entry.malformed"),
    "a line that is no object": (_raw_line(b"[]\n"), "entry.malformed"),
    "a line nested too deep": (_raw_line(b"[" * 100_000 + b"\n"), "entry.not_canonical"),
    "a float": (float_in_the_body, "entry.malformed"),
    "an integer out of range": (_respelled(b'"r":0', b'"r":9007199254740992'), "entry.malformed"),
    "NaN": (_respelled(b'"r":0', b'"r":NaN'), "entry.malformed"),
    "an unknown field": (unknown_field, "entry.unknown_field"),
    "a missing field": (missing_field, "entry.missing_field"),
    "an unknown version": (unknown_version, "entry.unknown_version"),
    "entries of another project": (entry_of_another_project, "chain.foreign_project"),
    "reordered checkpoints": (checkpoints_reordered, "checkpoint.reordered"),
    "a garbled checkpoint": (checkpoint_garbled, "checkpoint.malformed"),
    "a changed root in an old checkpoint": (checkpoint_root_changed, "checkpoint.bad_signature"),
    "a manifest of another project": (manifest_of_another_project, "manifest.broken"),
    "a manifest of another ledger": (manifest_of_another_ledger, "chain.foreign_project"),
    "a missing manifest": (manifest_missing, "manifest.broken"),
    "a zero-filled line": (zero_filled_tail, "entry.malformed"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_ledger_is_refused_by_both_verifiers_for(
    name: str, ledger: Any, second_verifier: ModuleType
) -> None:
    attack, rule = REFUSED[name]
    attack(ledger)
    report = ledger.verify()
    errors = {finding.rule for finding in report.findings if finding.severity == "error"}
    assert rule in errors, report.findings
    assert not report.ok
    key = second_verifier.Key(ledger.trusted.read_text())
    other = second_verifier.verify(ledger.project, key, ledger.anchor)
    assert other.errors
    assert other.root.hex() == report.root


def torn_line(ledger: Any) -> None:
    with ledger.events.open("ab") as file:
        file.write(ledger.lines()[0][:100])


def torn_whole_line(ledger: Any) -> None:
    with ledger.events.open("ab") as file:
        file.write(ledger.lines()[0][:-1])


def torn_task_line(ledger: Any) -> None:
    with ledger.task_file("T-1").open("ab") as file:
        file.write(b'{"at"')


def _torn_note(cut: int) -> Attack:
    def attack(ledger: Any) -> None:
        with ledger.notes.open("ab") as file:
            file.write((ledger.sign() + "\n").encode()[:cut])

    return attack


def anchor_missing(ledger: Any) -> None:
    ledger.anchor.unlink()


def older_anchor(ledger: Any) -> None:
    blocks = ledger.notes.read_bytes().split(b"\n\n")
    ledger.anchor.write_bytes(b"\n\n".join(blocks[:2]) + b"\n")


def no_checkpoints(ledger: Any) -> None:
    ledger.notes.unlink()


def cosigned(ledger: Any) -> None:
    """A second signature by an unknown key is ignored, as C2SP asks."""
    extra = ledger.sign(ledger.foreign_key()).splitlines()[-1]
    with ledger.notes.open("a") as file:
        file.write(ledger.sign() + extra + "\n\n")


ACCEPTED: dict[str, tuple[Attack, str | None]] = {
    "nothing": (lambda _: None, None),
    "a torn last line": (torn_line, "entry.torn"),
    "a last line without its newline": (torn_whole_line, "entry.torn"),
    "a torn line in a task file": (torn_task_line, "task.torn"),
    "a missing anchor": (anchor_missing, "anchor.missing"),
    "an older anchor": (older_anchor, None),
    "no checkpoints inside, an anchor outside": (no_checkpoints, None),
    "a checkpoint with a second signature": (cosigned, None),
    **{
        f"a checkpoint torn after {cut} bytes": (_torn_note(cut), "checkpoint.torn")
        for cut in (5, 22, 24, 68, 69, 70, 71, 72, 100, 180)
    },
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_a_ledger_is_accepted_by_both_verifiers_with(
    name: str, ledger: Any, second_verifier: ModuleType
) -> None:
    attack, rule = ACCEPTED[name]
    attack(ledger)
    report = ledger.verify()
    assert report.ok, report.findings
    if rule is not None:
        assert rule in {finding.rule for finding in report.findings}
    key = second_verifier.Key(ledger.trusted.read_text())
    other = second_verifier.verify(ledger.project, key, ledger.anchor)
    assert not other.errors
    assert (other.entries, other.anchored) == (report.entries, report.anchored_entries)
    assert other.root.hex() == report.root


def test_without_a_trusted_key_every_entry_is_reported_as_unanchored(ledger: Any) -> None:
    report = ledger.verify(key=False)
    assert report.ok
    assert not report.is_anchored
    assert report.unanchored_entries == 6
    rules = {finding.rule for finding in report.findings}
    assert rules >= {"anchor.no_key", "anchor.unanchored_range"}


def test_entries_after_the_last_checkpoint_are_reported_as_unanchored(ledger: Any) -> None:
    blocks = ledger.notes.read_bytes().split(b"\n\n")
    ledger.notes.write_bytes(b"\n\n".join(blocks[:-5]) + b"\n\n")
    ledger.anchor.unlink()
    report = ledger.verify()
    assert report.ok
    assert report.unanchored_entries == 2
    where = [f.where for f in report.findings if f.rule == "anchor.unanchored_range"]
    assert where == [f"{ledger.events}:5-6"]


def test_a_trusted_key_of_another_project_is_refused(ledger: Any) -> None:
    from workflow_logger.checkpoint import SigningKey
    from workflow_logger.verify import verify_project

    key = SigningKey("workflow-ledger/other", b"\1" * 32).public
    report = verify_project(ledger.root, "demo", public_key=key, anchor=ledger.anchor)
    assert "key.other_project" in {finding.rule for finding in report.findings}
    assert not report.ok


@pytest.mark.parametrize("name", ["events", "notes"])
def test_a_pipe_in_the_place_of_a_file_is_refused_and_not_waited_for(
    ledger: Any, name: str
) -> None:
    path = getattr(ledger, name)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(LedgerError, match="not a regular file") as refused:
        ledger.verify()
    assert refused.value.where == str(path)


def test_a_pipe_in_the_place_of_a_tasks_file_is_named(ledger: Any) -> None:
    task = json.loads(ledger.lines()[2])["task_id"]
    ledger.task_file(task).unlink()
    os.mkfifo(ledger.task_file(task))
    assert ("task.differs", "it is not a regular file") in {
        (finding.rule, finding.what) for finding in ledger.verify().findings
    }


def test_findings_name_file_and_line(ledger: Any) -> None:
    edited_body(ledger)
    first = ledger.verify().findings[0]
    assert (first.rule, first.where) == ("entry.edited", f"{ledger.events}:3")


def test_very_many_findings_are_counted_and_not_kept(ledger: Any) -> None:
    ledger.events.write_bytes(b"x\n" * 1000)
    report = ledger.verify()
    assert len(report.findings) == 100
    assert report.findings_dropped >= 900
