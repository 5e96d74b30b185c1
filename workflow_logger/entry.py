"""One ledger entry: one line of canonical JSON (FORMAT.md 3). Pure, no input or output.

An entry is chained twice: `prev_hash` names the entry before it in the project, and
`prev_event_hash` the entry before it in its task. `event_hash` is the SHA-256 of the canonical
JSON of all other fields, so no field can change unnoticed. Entries whose `task_id` is the empty
string belong to the project itself and form a chain of their own.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from hashlib import sha256
from typing import Any, Final, NamedTuple, NoReturn

from workflow_logger import canonical
from workflow_logger.errors import CanonicalError, EntryError, UsageError

VERSION: Final = 1
MAX_LINE_BYTES: Final = 4 * 1024 * 1024

FIELDS: Final = (
    "at",
    "body",
    "event_hash",
    "kind",
    "prev_event_hash",
    "prev_hash",
    "project_id",
    "seq",
    "task_id",
    "task_seq",
    "v",
)
_FIELD_SET: Final = frozenset(FIELDS)

ID_PATTERN: Final = r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}"
_is_id = re.compile(ID_PATTERN).fullmatch
_is_kind = re.compile(r"[a-z][a-z0-9_.-]{0,63}").fullmatch
_is_hash = re.compile(r"[0-9a-f]{64}").fullmatch
_TIME: Final = (
    "[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
    "T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9][.][0-9]{3}Z"
)
_is_time = re.compile(_TIME).fullmatch


class ChainHead(NamedTuple):
    """Where a chain ends: how many entries it has, and the `event_hash` of the last one."""

    size: int
    last_hash: str


class Heads(NamedTuple):
    """The two chains that the next entry of one task continues."""

    project: ChainHead
    task: ChainHead


class Entry(NamedTuple):
    """One entry. `line` is what stands on disk, its newline included; `hash` is `event_hash`."""

    line: bytes
    hash: str
    v: int
    project_id: str
    seq: int
    task_id: str
    task_seq: int
    kind: str
    at: str
    body: dict[str, Any]
    prev_hash: str
    prev_event_hash: str

    @property
    def heads(self) -> Heads:
        """The two chains after this entry."""
        return Heads(ChainHead(self.seq + 1, self.hash), ChainHead(self.task_seq + 1, self.hash))

    @property
    def leaf(self) -> bytes:
        """What the Merkle tree holds: the line without its newline."""
        return self.line[:-1]


@lru_cache(maxsize=256)
def genesis(project_id: str) -> ChainHead:
    """Return the head of an empty chain: of the project, and of each of its tasks.

    Its hash is the SHA-256 of the canonical JSON `{"ledger":"workflow_logger","project_id":...,
    "v":1}`, so that no entry of one project can begin a chain of another.
    """
    check_id(project_id, "project_id")
    header = canonical.encode({"ledger": "workflow_logger", "project_id": project_id, "v": VERSION})
    return ChainHead(0, sha256(header).hexdigest())


def check_id(value: str, name: str) -> str:
    """Return `value` when it is safe as a folder's name. Raises UsageError."""
    if not _is_id(value):
        raise UsageError(
            f"{name} {value[:140]!r} is not an identifier",
            where=name,
            mend="use 1 to 128 letters, digits, '.', '_' or '-', starting with a letter or digit",
        )
    return value


def make_entry(
    project_head: ChainHead,
    task_head: ChainHead,
    *,
    project_id: str,
    task_id: str,
    kind: str,
    at: str,
    body: dict[str, Any],
) -> Entry:
    """Make the entry that continues both chains.

    Args:
        project_head: the project's chain so far; `genesis(project_id)` when it is empty.
        task_head: the task's chain so far; `genesis(project_id)` when it is empty.
        project_id: the ledger's identity.
        task_id: the task, or the empty string for an entry of the project itself.
        kind: a lower-case token, such as `attempt`, `close` or `decision`.
        at: RFC 3339 in UTC with milliseconds: `2026-01-31T23:59:59.123Z`.
        body: canonical JSON values only.

    Raises:
        UsageError: an identifier, the kind, the time or a head is not of that form.
        CanonicalError: the body holds a value that canonical JSON lacks.
    """
    _check_frame(project_id, task_id, kind, at)
    _check_heads(project_head, task_head, project_id)
    if type(body) is not dict:
        raise UsageError(f"body is a {type(body).__name__}", where="body", mend="pass a dict")
    # The fields' order is canonical, and every value but `body` needs no escape.
    before = b'{"at":"%b","body":%b' % (at.encode(), canonical.encode(body))
    after = (
        f',"kind":"{kind}","prev_event_hash":"{task_head[1]}","prev_hash":"{project_head[1]}",'
        f'"project_id":"{project_id}","seq":{project_head[0]},"task_id":"{task_id}",'
        f'"task_seq":{task_head[0]},"v":{VERSION}}}'
    ).encode()
    event_hash = sha256(before + after).hexdigest()
    line = b'%b,"event_hash":"%b"%b\n' % (before, event_hash.encode(), after)
    if len(line) > MAX_LINE_BYTES:
        raise UsageError(
            f"the entry has {len(line)} bytes, at most {MAX_LINE_BYTES}",
            where=f"{task_id or project_id} {kind}",
            mend="store the large part as an artifact and record its digest",
        )
    return Entry(
        line,
        event_hash,
        VERSION,
        project_id,
        project_head[0],
        task_id,
        task_head[0],
        kind,
        at,
        body,
        project_head[1],
        task_head[1],
    )


def _check_frame(project_id: str, task_id: str, kind: str, at: str) -> None:
    if not _is_id(project_id):
        check_id(project_id, "project_id")
    if task_id and not _is_id(task_id):
        check_id(task_id, "task_id")
    if not _is_kind(kind):
        raise UsageError(
            f"kind {kind!r} is not a token", where="kind", mend="use a-z, 0-9, '_', '.' and '-'"
        )
    if not _is_time(at):
        raise UsageError(
            f"at {at!r} is not a time", where="at", mend="use UTC: 2026-01-31T23:59:59.123Z"
        )


def _check_heads(project_head: ChainHead, task_head: ChainHead, project_id: str) -> None:
    for name, (size, last_hash) in (("project_head", project_head), ("task_head", task_head)):
        if not _is_hash(last_hash) or not 0 <= size < _MAX_COUNT:
            raise UsageError(
                f"{name} ({size}, {last_hash!r}) is not a head", where=name, mend="read it again"
            )
        if size == 0 and last_hash != genesis(project_id)[1]:
            raise UsageError(
                f"{name} is empty but does not start from the genesis of {project_id}",
                where=name,
                mend="start from entry.genesis(project_id)",
            )


class Frame(NamedTuple):
    """What surrounds the body of an entry: enough to place its line in both chains."""

    hash: str
    kind: str
    prev_event_hash: str
    prev_hash: str
    project_id: str
    seq: int
    task_id: str
    task_seq: int


_CUT: Final = b',"event_hash":"'
_CUT_BYTES: Final = len(_CUT) + 64 + 1
_BODY_START: Final = len('{"at":"2026-01-31T23:59:59.123Z","body":')
_HASH: Final = "[0-9a-f]{64}"
_MAX_COUNT: Final = 10**15  # what the frame below can read back
_COUNT: Final = "0|[1-9][0-9]{0,14}"
_is_head = re.compile(rf'\{{"at":"{_TIME}","body":'.encode()).fullmatch
_match_tail = re.compile(
    f',"event_hash":"({_HASH})","kind":"([a-z][a-z0-9_.-]{{0,63}})","prev_event_hash":"({_HASH})",'
    f'"prev_hash":"({_HASH})","project_id":"({ID_PATTERN})","seq":({_COUNT}),'
    f'"task_id":"({ID_PATTERN}|)","task_seq":({_COUNT}),"v":1\\}}'
).fullmatch


_INT_DIGITS: Final = len(str(-canonical.MAX_INT))


def _refuse_number(text: str) -> NoReturn:
    raise ValueError(f"the number {text[:40]} is not an integer")


def _small_int(text: str) -> int:
    value = int(text) if len(text) <= _INT_DIGITS else canonical.MAX_INT + 1
    if not -canonical.MAX_INT <= value <= canonical.MAX_INT:
        raise ValueError(f"the integer {text[:40]} is out of range")
    return value


_decode = json.JSONDecoder(
    parse_float=_refuse_number, parse_constant=_refuse_number, parse_int=_small_int
).decode


def read_frame(line: bytes) -> Frame:
    """Return the frame of a line, its newline included, after checking its `event_hash`.

    The body is not looked into: that is `parse_line`, at eight times the cost.

    Raises:
        EntryError: as `parse_line`.
    """
    text = line[:-1]
    cut = text.rfind(_CUT)
    tail = _match_tail(text[cut:].decode("latin-1")) if cut > 0 else None
    if tail is None or not line.endswith(b"\n"):
        _explain(line)
    groups = tail.groups()
    actual = sha256(text[:cut] + text[cut + _CUT_BYTES :]).hexdigest()
    if actual != groups[0]:
        _explain(line)
    event_hash, kind, prev_event_hash, prev_hash, project_id, seq, task_id, task_seq = groups
    return Frame(
        event_hash, kind, prev_event_hash, prev_hash, project_id, int(seq), task_id, int(task_seq)
    )


def parse_line(line: bytes) -> Entry:
    """Return the entry that `line` spells, its newline included.

    Raises:
        EntryError: `rule` is `entry.not_canonical`, `entry.malformed`, `entry.unknown_field`,
            `entry.missing_field`, `entry.unknown_version` or `entry.edited`.
    """
    frame = read_frame(line)
    cut = line.rfind(_CUT)
    text = line[_BODY_START:cut]
    try:
        body = _decode(text.decode("utf-8"))
        if not _is_head(line[:_BODY_START]) or type(body) is not dict or spell(text, body) != text:
            _explain(line)
    except (ValueError, RecursionError):  # CanonicalError and UnicodeError are ValueErrors
        _explain(line)
    return Entry(
        line,
        frame[0],
        VERSION,
        frame[4],
        frame[5],
        frame[6],
        frame[7],
        frame[1],
        line[7:31].decode("ascii"),
        body,
        frame[3],
        frame[2],
    )


def spell(text: bytes, value: object) -> bytes:
    """Return the canonical bytes of `value`, which was decoded from `text`."""
    # In plain ASCII text with few brackets nothing hides that canonical.encode would refuse
    # (numbers were checked while decoding), so its walk is spared: a third of the time.
    if text.isascii() and text.count(b"{") + text.count(b"[") < canonical.MAX_DEPTH:
        return canonical.sorted_json(value).encode("utf-8")
    return canonical.encode(value)


def _explain(line: bytes) -> NoReturn:
    """Raise the EntryError that names what is wrong with a line outside the plain form."""
    text = line.removesuffix(b"\n")
    if not line.endswith(b"\n"):
        _fail("entry.malformed", "the line has no newline at its end")
    if len(line) > MAX_LINE_BYTES:
        _fail("entry.malformed", f"the line is longer than {MAX_LINE_BYTES} bytes")
    fields = _load(text)
    _check_fields(fields)
    stated = fields.pop("event_hash")
    actual = sha256(canonical.encode(fields)).hexdigest()
    _fail("entry.edited", f"event_hash says {stated}, the fields hash to {actual}")


def _load(text: bytes) -> dict[str, Any]:
    try:
        fields = _decode(text.decode("utf-8"))
        if type(fields) is not dict:
            _fail("entry.malformed", f"the line is a JSON {type(fields).__name__}, not an object")
        again = canonical.encode(fields)
    except UnicodeDecodeError as error:
        _fail("entry.not_canonical", f"not UTF-8: {error.reason} at byte {error.start}")
    except RecursionError:
        _fail("entry.not_canonical", "nested too deep")
    except CanonicalError as error:
        _fail("entry.not_canonical", f"{error.what} at {error.where}")
    except ValueError as error:
        _fail("entry.malformed", f"not JSON of strings and integers: {error}")
    if again != text:
        _fail("entry.not_canonical", "the bytes are not the canonical spelling of their value")
    return fields


def _check_fields(fields: dict[str, Any]) -> None:  # noqa: C901  one branch a rule
    if fields.keys() != _FIELD_SET:
        if unknown := sorted(fields.keys() - _FIELD_SET):
            _fail("entry.unknown_field", f"unknown field {unknown[0]!r}")
        _fail("entry.missing_field", f"field {min(_FIELD_SET - fields.keys())!r} is missing")
    if fields["v"] != VERSION or type(fields["v"]) is not int:
        _fail("entry.unknown_version", f"version {fields['v']!r}, this reader knows {VERSION}")
    for name in ("seq", "task_seq"):
        if type(fields[name]) is not int or not 0 <= fields[name] < _MAX_COUNT:
            _fail("entry.malformed", f"{name} {fields[name]!r} is not a count")
    for name in ("event_hash", "prev_hash", "prev_event_hash"):
        if type(fields[name]) is not str or not _is_hash(fields[name]):
            _fail("entry.malformed", f"{name} is not 64 lower-case hexadecimal digits")
    if type(fields["body"]) is not dict:
        _fail("entry.malformed", "body is not an object")
    for name in ("project_id", "task_id", "kind", "at"):
        if type(fields[name]) is not str:
            _fail("entry.malformed", f"{name} is not a string")
    try:
        _check_frame(fields["project_id"], fields["task_id"], fields["kind"], fields["at"])
    except UsageError as error:
        _fail("entry.malformed", error.what)


def _fail(rule: str, what: str) -> NoReturn:
    raise EntryError(
        rule, what, where="line", mend="restore the file from a copy; do not edit it by hand"
    )
