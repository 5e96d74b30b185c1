"""Signed checkpoints: a tree's size and root under a name (FORMAT.md 5).

The text form is C2SP tlog-checkpoint, which is a C2SP signed note: origin, size, base64 root, an
empty line, then signature lines `— name base64(key id || signature)`. Only Ed25519 (type 0x01) is
made and accepted. A checkpoint is believed only under a public key handed in from outside; what
a ledger's own folder says about its key is never trusted. Pure, except `generate_key`.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final, NoReturn

from workflow_logger.errors import CheckpointError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )

ORIGIN_PREFIX: Final = "workflow-ledger/"
MAX_NOTE_BYTES: Final = 64 * 1024
MAX_SIGNATURES: Final = 64

_ED25519: Final = b"\x01"
_KEY_BYTES: Final = 32
_SIGNATURE_BYTES: Final = 64
_PRIVATE_HEAD: Final = "PRIVATE+KEY+"
_is_size = re.compile(r"0|[1-9][0-9]{0,15}").fullmatch
_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f]")
_is_name = re.compile(r"[^\s+\x00-\x1f]{1,255}").fullmatch


def origin_of(project_id: str) -> str:
    """Return the origin line, which is also the key's name, of a project."""
    return ORIGIN_PREFIX + project_id


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a checkpoint states: the first `size` entries under `origin` have this `root`."""

    origin: str
    size: int
    root: bytes


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line, not verified."""

    name: str
    key_id: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class Note:
    """A parsed checkpoint whose signatures nobody has verified yet."""

    text: str  # the signed bytes, as text: ends with one newline
    checkpoint: Checkpoint
    signatures: tuple[Signature, ...]


class VerifierKey:
    """A trusted public key with its name. Text form: `name+keyid+base64(0x01 || key)`."""

    __slots__ = ("_loaded", "key_id", "name", "raw")

    def __init__(self, name: str, raw: bytes) -> None:
        if not _is_name(name) or len(raw) != _KEY_BYTES:
            raise ValueError(f"no Ed25519 key of {len(raw)} bytes under the name {name!r}")
        self.name = name
        self.raw = raw
        self.key_id = key_id(name, raw)
        self._loaded: Ed25519PublicKey | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, VerifierKey) and (self.name, self.raw) == (other.name, other.raw)

    def __hash__(self) -> int:
        return hash((self.name, self.raw))

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{_b64(_ED25519 + self.raw)}"

    __repr__ = __str__

    @classmethod
    def parse(cls, text: str, *, where: str = "public key") -> VerifierKey:
        """Return the key that the vkey line `text` spells. Raises CheckpointError."""
        name, _, rest = text.strip().partition("+")
        hex_id, _, encoded = rest.partition("+")
        data = _unb64(encoded)
        if data is None or len(data) != 1 + _KEY_BYTES or data[:1] != _ED25519 or not name:
            _fail("key.malformed", "not an Ed25519 verifier key (name+id+base64)", where)
        if not _is_name(name):
            _fail("key.malformed", f"{name!r} cannot name a key", where)
        key = cls(name, data[1:])
        if key.key_id.hex() != hex_id:
            _fail("key.malformed", f"the key id is {key.key_id.hex()}, not {hex_id[:16]!r}", where)
        return key

    def is_signed(self, message: bytes, signature: bytes) -> bool:
        """Return whether `signature` is this key's over `message`."""
        from cryptography.exceptions import InvalidSignature  # noqa: PLC0415  15 ms to import

        if self._loaded is None:
            from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415
                Ed25519PublicKey,
            )

            self._loaded = Ed25519PublicKey.from_public_bytes(self.raw)
        try:
            self._loaded.verify(signature, message)
        except InvalidSignature:
            return False
        return True


class SigningKey:
    """A private key with its name. Text form: `PRIVATE+KEY+name+keyid+base64(0x01 || seed)`."""

    __slots__ = ("_key", "_seed", "name", "public")

    def __init__(self, name: str, seed: bytes) -> None:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415
            Ed25519PrivateKey,
        )

        if len(seed) != _KEY_BYTES:
            raise ValueError(f"an Ed25519 seed has {_KEY_BYTES} bytes, got {len(seed)}")
        self.name = name
        self._seed = seed
        self._key: Ed25519PrivateKey = Ed25519PrivateKey.from_private_bytes(seed)
        self.public = VerifierKey(name, self._key.public_key().public_bytes_raw())

    def __repr__(self) -> str:
        return f"SigningKey({self.name!r}, key id {self.public.key_id.hex()})"  # never the seed

    def to_text(self) -> str:
        """Return the secret text form, one line without a newline."""
        secret = _b64(_ED25519 + self._seed)
        return f"{_PRIVATE_HEAD}{self.name}+{self.public.key_id.hex()}+{secret}"

    @classmethod
    def parse(cls, text: str, *, where: str = "private key") -> SigningKey:
        """Return the key that `to_text` wrote. Raises CheckpointError, never quoting the secret."""
        name, _, rest = text.strip().removeprefix(_PRIVATE_HEAD).partition("+")
        hex_id, _, encoded = rest.partition("+")
        data = _unb64(encoded)
        if (
            not text.startswith(_PRIVATE_HEAD)
            or not _is_name(name)
            or data is None
            or len(data) != 1 + _KEY_BYTES
            or data[:1] != _ED25519
        ):
            _fail("key.malformed", "not an Ed25519 private key (PRIVATE+KEY+name+id+base64)", where)
        key = cls(name, data[1:])
        if key.public.key_id.hex() != hex_id:
            _fail("key.malformed", "the key id does not fit the key", where)
        return key

    def sign(self, message: bytes) -> bytes:
        """Return the 64 bytes of the signature."""
        return self._key.sign(message)


def generate_key(name: str) -> SigningKey:
    """Return a new key from the system's random source."""
    from secrets import token_bytes  # noqa: PLC0415  only here

    return SigningKey(name, token_bytes(_KEY_BYTES))


def key_id(name: str, raw: bytes) -> bytes:
    """Return the four bytes that tell keys of one name apart (C2SP signed-note)."""
    return sha256(name.encode() + b"\n" + _ED25519 + raw).digest()[:4]


def sign_checkpoint(origin: str, size: int, root: bytes, private_key: SigningKey) -> str:
    """Return a signed checkpoint as text.

    Raises:
        ValueError: the size or the root is not one, or the key bears another name than `origin`.
    """
    if size < 0 or len(root) != sha256().digest_size:
        raise ValueError(f"no tree has size {size} and a root of {len(root)} bytes")
    if private_key.name != origin:
        raise ValueError(f"the key is named {private_key.name!r}, the origin is {origin!r}")
    text = f"{origin}\n{size}\n{_b64(root)}\n"
    signature = _b64(private_key.public.key_id + private_key.sign(text.encode()))
    return f"{text}\n— {private_key.name} {signature}\n"


def parse_note(note: str, *, where: str = "checkpoint") -> Note:
    """Split a checkpoint into its text and signature lines; nothing is verified.

    Raises:
        CheckpointError: `checkpoint.malformed`.
    """
    if len(note) > MAX_NOTE_BYTES or _CONTROL.search(note):
        _fail("checkpoint.malformed", "too long, or it holds control characters", where)
    head, gap, tail = note.rpartition("\n\n")
    if not gap or not tail.endswith("\n"):
        _fail("checkpoint.malformed", "no empty line before the signatures, or a torn end", where)
    lines = head.split("\n")
    if len(lines) != 3 or not lines[0]:  # noqa: PLR2004  origin, size, root; no extension lines
        _fail("checkpoint.malformed", "the text is not origin, size and root", where)
    root = _unb64(lines[2])
    if not _is_size(lines[1]) or root is None or len(root) != sha256().digest_size:
        _fail("checkpoint.malformed", "the size or the root is not well formed", where)
    signature_lines = tail[:-1].split("\n")
    if len(signature_lines) > MAX_SIGNATURES:
        _fail("checkpoint.malformed", f"more than {MAX_SIGNATURES} signatures", where)
    signatures = tuple(_parse_signature(line, where) for line in signature_lines)
    return Note(head + "\n", Checkpoint(lines[0], int(lines[1]), root), signatures)


def _parse_signature(line: str, where: str) -> Signature:
    dash, _, rest = line.partition(" ")
    name, _, encoded = rest.partition(" ")
    data = _unb64(encoded)
    if dash != "—" or not _is_name(name) or data is None or len(data) <= len(b"keyid") - 1:
        _fail("checkpoint.malformed", "a signature line is not `— name base64`", where)
    return Signature(name, data[:4], data[4:])


def verify_note(note: Note | str, key: VerifierKey, *, where: str = "checkpoint") -> Checkpoint:
    """Return the checkpoint when `key` signed it.

    Raises:
        CheckpointError: `checkpoint.malformed`, `checkpoint.foreign_key` (no signature by this
            key) or `checkpoint.bad_signature`.
    """
    parsed = parse_note(note, where=where) if isinstance(note, str) else note
    if parsed.checkpoint.origin != key.name:
        origin = parsed.checkpoint.origin
        _fail("checkpoint.foreign_key", f"origin {origin!r}, the key is {key.name!r}", where)
    own = [s for s in parsed.signatures if (s.name, s.key_id) == (key.name, key.key_id)]
    if not own:
        names = ", ".join(f"{s.name}+{s.key_id.hex()}" for s in parsed.signatures)
        trusted = f"{key.name}+{key.key_id.hex()}"
        _fail("checkpoint.foreign_key", f"signed by {names}; trusted is {trusted}", where)
    message = parsed.text.encode()
    for signature in own:
        if len(signature.value) != _SIGNATURE_BYTES or not key.is_signed(message, signature.value):
            _fail("checkpoint.bad_signature", "the trusted key did not sign this text", where)
    return parsed.checkpoint


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _unb64(text: str) -> bytes | None:
    """Return the bytes, or None unless `text` is exactly their standard spelling."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return data if _b64(data) == text else None


def _fail(rule: str, what: str, where: str) -> NoReturn:
    raise CheckpointError(
        rule, what, where=where, mend="compare with the copy kept outside the project folder"
    )
