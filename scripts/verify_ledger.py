#!/usr/bin/env python3
"""Verify a ledger without any of the program that wrote it.

A second reader of `instructions/FORMAT.md`: the standard library plus `cryptography`, and nothing
of this repository. It prefers plain code to fast code, and holds the whole ledger in memory.

    verify_ledger.py PROJECT_DIR --public-key FILE [--anchor FILE] [--json]

Exit codes: 0 verifies, 1 does not verify, 2 cannot be asked this way.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import re
import sys
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

MAX_INT = 2**53 - 1
MAX_COUNT = 10**15
MAX_DEPTH = 64
MAX_LINE = 4 * 1024 * 1024
MAX_NOTE = 64 * 1024
SIGNATURES_CHECKED = 1000
FIELDS = {
    "at", "body", "event_hash", "kind", "prev_event_hash", "prev_hash", "project_id", "seq",
    "task_id", "task_seq", "v",
}  # fmt: skip
ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
KIND = re.compile(r"[a-z][a-z0-9_.-]{0,63}")
HEX = re.compile(r"[0-9a-f]{64}")
TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)\.\d{3}Z", re.ASCII)
NAME = re.compile(r"[^\s+\x00-\x1f]{1,255}")
SPECIAL = re.compile(r'["\\\x00-\x1f\ud800-\udfff]')
ESCAPES = {
    '"': '\\"',
    "\\": "\\\\",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
}


# (text, origin, size, root, [(name, key id, signature)])
Note = tuple[str, str, int, bytes, list[tuple[str, bytes, bytes]]]
# (size, root, where it is stated, is it signed by the trusted key)
Stated = tuple[int, bytes, str, bool]


class Bad(Exception):  # noqa: N818  short, as all here
    """Something does not verify."""


class Result:
    """What was found."""

    def __init__(self) -> None:
        self.errors: list[str] = []
        self.warnings: list[str] = []
        self.entries = 0
        self.anchored = 0
        self.root = b""

    def error(self, where: object, what: object) -> None:
        """Add an error."""
        self.errors.append(f"{where}: {what}")

    def warn(self, where: object, what: object) -> None:
        """Add a warning."""
        self.warnings.append(f"{where}: {what}")


# -- FORMAT.md 2: canonical JSON -----------------------------------------------------------


def canonical(value: object, depth: int = MAX_DEPTH) -> str:
    """Return the canonical text of a value."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        if abs(value) > MAX_INT:
            raise Bad("an integer out of range")
        return str(value)
    if isinstance(value, str):
        return '"' + SPECIAL.sub(escape, value) + '"'
    if depth <= 0:
        raise Bad("nested too deep")
    if isinstance(value, list):
        return "[" + ",".join(canonical(item, depth - 1) for item in value) + "]"
    if isinstance(value, dict):
        names = sorted(value, key=utf16)
        pairs = (f"{canonical(name)}:{canonical(value[name], depth - 1)}" for name in names)
        return "{" + ",".join(pairs) + "}"
    raise Bad(f"a {type(value).__name__}")


def escape(found: re.Match[str]) -> str:
    """Return one special character as a canonical string spells it."""
    char = found.group()
    if char >= "\ud800":
        raise Bad("a lone surrogate")
    return ESCAPES.get(char) or f"\\u{ord(char):04x}"


def utf16(name: str) -> bytes:
    """Return the order of a member's name."""
    return name.encode("utf-16-be", "surrogatepass")


def no_number(text: str) -> float:
    """Refuse floats, NaN and infinities."""
    raise Bad(f"the number {text[:40]}")


def whole_number(text: str) -> int:
    """Return an integer that is not absurdly long."""
    if len(text) > len(str(-MAX_INT)):
        raise Bad("an integer out of range")
    return int(text)


def load(data: bytes) -> object:
    """Return the value that canonical bytes spell."""
    try:
        value = json.loads(
            data.decode("utf-8"),
            parse_float=no_number,
            parse_constant=no_number,
            parse_int=whole_number,
        )
        again = canonical(value).encode("utf-8")
    except (ValueError, RecursionError) as error:
        raise Bad(f"not JSON: {error}") from error
    if again != data:
        raise Bad("not canonical")
    return value


# -- FORMAT.md 3: entries ------------------------------------------------------------------


def sha256_hex(data: bytes) -> str:
    """Return the digest as hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def genesis(ledger_id: str) -> str:
    """Return the hash that the first entries follow."""
    return sha256_hex(
        canonical({"ledger": "workflow_logger", "project_id": ledger_id, "v": 1}).encode()
    )


def is_match(pattern: re.Pattern[str], value: object) -> bool:
    """Return whether a value is a string of this form."""
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def is_time(value: object) -> bool:
    """Return whether a value is a time in UTC with milliseconds."""
    found = TIME.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return False
    _, month, day, hour, minute, second = map(int, found.groups())
    return 1 <= month <= 12 and 1 <= day <= 31 and hour < 24 and minute < 60 and second < 60  # noqa: PLR2004


def read_entry(line: bytes) -> dict[str, Any]:
    """Return the fields of one line (without newline)."""
    if len(line) + 1 > MAX_LINE:
        raise Bad("too long")
    entry = load(line)
    if not isinstance(entry, dict) or set(entry) != FIELDS:
        raise Bad("not the fields of an entry")
    if entry["v"] != 1 or isinstance(entry["v"], bool):
        raise Bad(f"version {entry['v']!r}")
    for name in ("seq", "task_seq"):
        if type(entry[name]) is not int or not 0 <= entry[name] < MAX_COUNT:
            raise Bad(f"{name} is not a count")
    good = (
        all(is_match(HEX, entry[name]) for name in ("event_hash", "prev_hash", "prev_event_hash"))
        and is_match(ID, entry["project_id"])
        and (entry["task_id"] == "" or is_match(ID, entry["task_id"]))
        and is_match(KIND, entry["kind"])
        and is_time(entry["at"])
        and isinstance(entry["body"], dict)
    )
    if not good:
        raise Bad("a field is malformed")
    rest = {name: value for name, value in entry.items() if name != "event_hash"}
    if sha256_hex(canonical(rest).encode()) != entry["event_hash"]:
        raise Bad("edited: event_hash does not fit")
    return entry


class Task:
    """One task as the project's file has it."""

    def __init__(self, first: str) -> None:
        self.lines: list[bytes] = []
        self.head = first
        self.attempt: tuple[int, int] | None = None
        self.closed = False


def read_events(
    path: Path, ledger_id: str | None, result: Result
) -> tuple[list[bytes], dict[str, Task]]:
    """Return (lines, tasks, ledger_id) of the project's file."""
    data = path.read_bytes() if path.exists() else b""
    *lines, torn = data.split(b"\n")
    if torn:
        (result.error if len(torn) > MAX_LINE else result.warn)(path, "the last line is torn")
    head: str | None = None
    tasks: dict[str, Task] = {}
    for number, line in enumerate(lines, start=1):
        where = f"{path}:{number}"
        try:
            entry = read_entry(line)
        except Bad as error:
            result.error(where, error)
            head = None
            continue
        ledger_id = ledger_id or entry["project_id"]
        if head is None and number == 1:
            head = genesis(ledger_id)
        if entry["seq"] != number - 1 or (head is not None and entry["prev_hash"] != head):
            result.error(where, "the chain is broken here")
        if entry["project_id"] != ledger_id:
            result.error(where, "an entry of another ledger")
        head = entry["event_hash"]
        if entry["task_id"]:
            task = tasks.setdefault(entry["task_id"], Task(genesis(ledger_id)))
            check_task(entry, task, where, result, path.parent)
            task.lines.append(line + b"\n")
    return lines, tasks


def check_task(
    entry: dict[str, Any], task: Task, where: object, result: Result, project: Path
) -> None:
    """Check an entry's place in its task."""
    if entry["task_seq"] != len(task.lines) or entry["prev_event_hash"] != task.head:
        result.error(where, "the task's chain is broken here")
    task.head = entry["event_hash"]
    if task.closed:
        result.error(where, "after the task's close")
    elif entry["kind"] == "close":
        task.closed = True
    elif entry["kind"] == "attempt":
        body = entry["body"]
        asked = body.get("r"), body.get("s")
        if not all(type(number) is int for number in asked):
            result.error(where, "an attempt without r and s")
            return
        before = task.attempt
        allowed = {(0, 0)} if before is None else {(before[0], before[1] + 1), (before[0] + 1, 0)}
        if asked not in allowed:
            result.error(where, f"R{asked[0]}/S{asked[1]} does not follow")
        task.attempt = asked
        check_artifact(body.get("code_content"), entry["task_id"], where, result, project)


def check_artifact(
    content: object, task_id: str, where: object, result: Result, project: Path
) -> None:
    """Check the file that stands for a large value."""
    if not isinstance(content, dict):
        return
    name = content.get("artifact")
    if not isinstance(name, str) or not re.fullmatch(r"artifacts(/[^/\\:\x00-\x1f]+)+", name):
        result.error(where, "code_content names no artifact")
        return
    path = project / "tasks" / task_id / name
    try:
        data = b"" if ".." in name.split("/") else path.read_bytes()
    except OSError:
        result.error(path, "cannot be read")
        return
    if (sha256_hex(data), len(data)) != (content.get("sha256"), content.get("size_bytes")):
        result.error(path, "altered")


# -- FORMAT.md 4: the tree -----------------------------------------------------------------


def tree_root(leaves: list[bytes]) -> bytes:
    """Return the root over leaf hashes, level by level."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    level = leaves
    while len(level) > 1:
        pairs = [
            hashlib.sha256(b"\x01" + level[index] + level[index + 1]).digest()
            for index in range(0, len(level) - 1, 2)
        ]
        level = pairs + level[len(pairs) * 2 :]  # an odd one moves up unchanged
    return level[0]


# -- FORMAT.md 5: checkpoints --------------------------------------------------------------


def unbase64(text: str) -> bytes:
    """Return the bytes that standard base64 spells."""
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise Bad("not base64") from error
    if base64.b64encode(data).decode() != text:
        raise Bad("not the standard spelling of base64")
    return data


class Key:
    """A trusted public key."""

    def __init__(self, text: str) -> None:
        name, _, rest = text.strip().partition("+")
        key_id, _, encoded = rest.partition("+")
        data = unbase64(encoded)
        if len(data) != 33 or data[0] != 1 or not is_match(NAME, name):  # noqa: PLR2004
            raise Bad("not an Ed25519 verifier key")
        self.name = name
        self.id = hashlib.sha256(name.encode() + b"\n" + data).digest()[:4]
        if self.id.hex() != key_id:
            raise Bad("the key's id does not fit")
        self.public = Ed25519PublicKey.from_public_bytes(data[1:])


def parse_note(note: str) -> Note:
    """Return (text, origin, size, root, signatures) of a checkpoint."""
    if len(note) > MAX_NOTE or re.search(r"[\x00-\x09\x0b-\x1f]", note):
        raise Bad("malformed")
    text, gap, tail = note.rpartition("\n\n")
    lines = text.split("\n")
    if not gap or not tail.endswith("\n") or len(lines) != 3 or not lines[0]:  # noqa: PLR2004
        raise Bad("malformed")
    if not re.fullmatch(r"0|[1-9][0-9]{0,15}", lines[1], re.ASCII):
        raise Bad("malformed size")
    root = unbase64(lines[2])
    signatures = []
    for line in tail[:-1].split("\n"):
        parts = line.split(" ")
        if len(parts) != 3 or parts[0] != "\u2014" or not is_match(NAME, parts[1]):  # noqa: PLR2004
            raise Bad("malformed signature line")
        data = unbase64(parts[2])
        if len(data) < 5:  # noqa: PLR2004
            raise Bad("malformed signature")
        signatures.append((parts[1], data[:4], data[4:]))
    if len(root) != 32 or len(signatures) > 64:  # noqa: PLR2004
        raise Bad("malformed")
    return text + "\n", lines[0], int(lines[1]), root, signatures


def is_own(parsed: Note, key: Key) -> bool:
    """Return whether the trusted key signed; raise when its signature is wrong."""
    text, origin, _, _, signatures = parsed
    own = [value for name, key_id, value in signatures if (name, key_id) == (key.name, key.id)]
    if origin != key.name or not own:
        return False
    for value in own:
        try:
            key.public.verify(value, text.encode())
        except InvalidSignature as error:
            raise Bad("the trusted key did not sign this") from error
    return True


def split_notes(data: bytes) -> tuple[list[str], bool]:
    """Return the notes of a checkpoint file, and whether a torn one follows."""
    blocks: list[list[bytes]] = [[]]
    lines = data.split(b"\n")
    dash = "\u2014".encode()
    for index, line in enumerate(lines[:-1]):
        if line == b"" and blocks[-1] and not lines[index + 1].startswith(dash):
            blocks.append([])
        else:
            blocks[-1].append(line)
    rest = blocks.pop()
    is_torn = bool(rest) or lines[-1] != b""
    while blocks and not any(line.startswith(dash) for line in blocks[-1][1:]):
        blocks.pop()
        is_torn = True
    return [
        "\n".join(b.decode("utf-8", "replace") for b in block) + "\n" for block in blocks
    ], is_torn


def read_checkpoints(path: Path, key: Key | None, result: Result) -> list[Stated]:
    """Return [(size, root, where, is_trusted)] of the ledger's own file."""
    notes, is_torn = split_notes(path.read_bytes() if path.exists() else b"")
    if is_torn:
        result.warn(path, "the last checkpoint is torn")
    parsed = []
    for index, note in enumerate(notes):
        try:
            parsed.append((parse_note(note), f"{path}, note {index + 1}"))
        except Bad as error:
            result.error(f"{path}, note {index + 1}", error)
    found: list[Stated] = []
    sizes: dict[str, int] = {}
    foreign: str | None = None
    for index, (signed, where) in enumerate(parsed):
        _, origin, size, root, _ = signed
        if size < sizes.get(origin, 0):
            result.error(where, "fewer entries than the checkpoint before")
        sizes[origin] = size
        is_checked = index >= len(parsed) - SIGNATURES_CHECKED
        is_trusted = False
        try:
            if key is not None and is_checked:
                is_trusted = is_own(signed, key)
                foreign = None if is_trusted else where
        except Bad as error:
            result.error(where, error)
        found.append((size, root, where, is_trusted))
    if foreign is not None:
        result.error(foreign, "the last checkpoint is signed under another key")
    return found


def read_anchor(path: Path | None, key: Key | None, result: Result) -> list[Stated]:
    """Return [(size, root, where, is_trusted)] of the copy kept outside."""
    if path is None:
        return []
    if not path.exists():
        result.warn(path, "there is no anchor")
        return []
    try:
        parsed = parse_note(path.read_bytes().decode("utf-8"))
        if key is not None and not is_own(parsed, key):
            result.error(path, "signed under another key")
            return []
    except (Bad, UnicodeDecodeError) as error:
        result.error(path, error)
        return []
    return [(parsed[2], parsed[3], str(path), key is not None)]


# -- FORMAT.md 6: everything together ------------------------------------------------------


def read_manifest(project: Path, result: Result) -> str | None:
    """Return the ledger's own name."""
    try:
        manifest = json.loads((project / "manifest/project_manifest.json").read_bytes())
        schema = json.loads((project / "manifest/schema_version.json").read_bytes())
        names = [manifest[name] for name in ("project_id", "ledger_id", "created_at")]
        version = schema["schema_version"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        result.error(project / "manifest", error)
        return None
    is_ours = all(isinstance(name, str) for name in names) and names[0] == project.name
    if version != 1 or not is_ours or not is_match(ID, names[1]):
        result.error(project / "manifest", "not the manifest of this project, version 1")
        return None
    return str(names[1])


def check_task_files(project: Path, tasks: dict[str, Task], result: Result) -> None:
    """Compare each task's file with the project's."""
    for task_id, task in tasks.items():
        path = project / "tasks" / task_id / "events.jsonl"
        data = path.read_bytes() if path.is_file() and not path.is_symlink() else None
        expected = b"".join(task.lines)
        if data is None:
            result.error(path, "missing")
        elif data != expected:
            rest = data[len(expected) :]
            if data.startswith(expected) and b"\n" not in rest:
                result.warn(path, "the last line is torn")
            else:
                result.error(path, "not the entries that the project has of this task")
    folder = project / "tasks"
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        events = path / "events.jsonl"
        if path.name not in tasks and events.exists() and events.stat().st_size:
            result.error(events, "the project has no entry of this task")


def verify(project: Path, key: Key | None, anchor: Path | None) -> Result:
    """Verify one project's folder."""
    result = Result()
    ledger_id = read_manifest(project, result)
    if key is None:
        result.warn(project, "no trusted public key: no signature counts")
    elif key.name != "workflow-ledger/" + project.name:
        result.error(project, f"the trusted key is of {key.name}")
    stated = read_checkpoints(project / "manifest/checkpoints.log", key, result)
    stated += read_anchor(anchor, key, result)
    lines, tasks = read_events(project / "events.jsonl", ledger_id, result)
    leaves = [hashlib.sha256(b"\x00" + line).digest() for line in lines]
    result.entries, result.root = len(lines), tree_root(leaves)
    for size, root, where, is_trusted in stated:
        if size > len(lines):
            result.error(where, f"{size} entries were signed, {len(lines)} are there")
        elif tree_root(leaves[:size]) != root:
            result.error(where, f"the first {size} entries are not those that were signed")
        elif is_trusted:
            result.anchored = max(result.anchored, size)
    if result.anchored < len(lines):
        result.warn(project, f"entries from {result.anchored} on are not anchored")
    check_task_files(project, tasks, result)
    return result


def main(argv: list[str] | None = None) -> int:
    """Run; return the exit code."""
    parser = argparse.ArgumentParser(description="Verify a ledger from its bytes alone.")
    parser.add_argument("project_dir", type=Path)
    parser.add_argument("--public-key", type=Path, help="file with the trusted vkey line")
    parser.add_argument("--anchor", type=Path, help="the last checkpoint, kept outside")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    if not options.project_dir.is_dir():
        print(f"{options.project_dir}: not a ledger", file=sys.stderr)
        return 2
    try:
        key = Key(options.public_key.read_text()) if options.public_key else None
    except (OSError, ValueError, Bad) as error:
        print(f"{options.public_key}: {error}", file=sys.stderr)
        return 2
    result = verify(options.project_dir, key, options.anchor)
    if options.json:
        answer: dict[str, object] = {"ok": not result.errors, "entries": result.entries}
        answer |= {"anchored_entries": result.anchored, "root": result.root.hex()}
        print(json.dumps(answer | {"errors": result.errors, "warnings": result.warnings}))
    else:
        for kind, items in (("warning", result.warnings), ("error", result.errors)):
            for item in items:
                print(f"{kind}: {item}")
        verdict = "DOES NOT VERIFY" if result.errors else "verifies"
        print(f"{verdict}: {result.entries} entries, {result.anchored} anchored")
    return 1 if result.errors else 0


if __name__ == "__main__":
    sys.exit(main())
