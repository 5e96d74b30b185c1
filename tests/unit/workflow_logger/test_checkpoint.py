from __future__ import annotations

import stat
from pathlib import Path

import pytest

from workflow_logger.checkpoint import (
    Checkpoint,
    SigningKey,
    VerifierKey,
    generate_key,
    parse_note,
    sign_checkpoint,
    verify_note,
)
from workflow_logger.errors import CheckpointError, LedgerError, RefusedError, UsageError
from workflow_logger.files import write_checkpoint
from workflow_logger.keys import (
    create_private_key,
    load_private_key,
    load_public_key,
    save_public_key,
)

ORIGIN = "workflow-ledger/demo"
KEY = SigningKey(ORIGIN, b"\1" * 32)
ROOT = b"\2" * 32
NOTE = sign_checkpoint(ORIGIN, 7, ROOT, KEY)


def test_a_checkpoint_has_the_c2sp_form() -> None:
    lines = NOTE.split("\n")
    assert lines[:4] == [ORIGIN, "7", "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=", ""]
    assert lines[4].startswith(f"— {ORIGIN} ")
    assert lines[5:] == [""]


def test_a_checkpoint_verifies_under_its_key() -> None:
    assert verify_note(NOTE, KEY.public) == Checkpoint(ORIGIN, 7, ROOT)


def test_a_public_vkey_of_another_program_is_read() -> None:
    text = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"
    key = VerifierKey.parse(text + "\n")
    assert (key.name, key.key_id.hex(), str(key)) == ("sum.golang.org", "033de0ae", text)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("\n7\n", "\n8\n"),
        ("\n7\n", "\n07\n"),
        ("\n7\n", "\n-7\n"),
        ("\n7\n", "\n\u0667\n"),
        ("demo\n", "demo2\n"),
        ("AgIC", "BgIC"),
        ("I=\n\n", "J=\n\n"),
        ("\n\n", "\nextension\n\n"),
        ("— ", "- "),
        ("\n7", "\r\n7"),
        ("\n\n", "\n"),
    ],
)
def test_a_changed_checkpoint_is_refused(old: str, new: str) -> None:
    changed = NOTE.replace(old, new, 1)
    assert changed != NOTE
    with pytest.raises(CheckpointError):
        verify_note(changed, KEY.public)


def test_a_signature_of_another_key_is_refused_as_foreign() -> None:
    other = SigningKey(ORIGIN, b"\3" * 32)
    with pytest.raises(CheckpointError) as caught:
        verify_note(NOTE, other.public)
    assert caught.value.rule == "checkpoint.foreign_key"


def test_a_key_does_not_sign_for_another_origin() -> None:
    with pytest.raises(ValueError, match="origin"):
        sign_checkpoint("workflow-ledger/other", 7, ROOT, KEY)


def test_sixteen_signatures_are_accepted_and_too_many_refused() -> None:
    line = NOTE.split("\n")[4]
    stranger = line.replace(ORIGIN, "stranger")
    assert verify_note(NOTE + f"{stranger}\n" * 15, KEY.public).size == 7
    with pytest.raises(CheckpointError):
        parse_note(NOTE + f"{stranger}\n" * 64)


@pytest.mark.parametrize("text", ["", "a+b", "name+00000000+AAAA", "name+zz+AQ==", "a b+1+AQ=="])
def test_a_malformed_public_key_is_refused(text: str) -> None:
    with pytest.raises(CheckpointError):
        VerifierKey.parse(text)


def test_a_private_key_never_shows_its_secret() -> None:
    secret = KEY.to_text()
    assert SigningKey.parse(secret).public == KEY.public
    assert secret.rpartition("+")[2] not in repr(KEY)
    with pytest.raises(CheckpointError) as caught:
        SigningKey.parse(secret.replace("PRIVATE", "PUBLIC"))
    assert secret.rpartition("+")[2] not in str(caught.value)


def test_two_generated_keys_differ() -> None:
    assert generate_key(ORIGIN).public != generate_key(ORIGIN).public


def test_a_private_key_file_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "demo.key"
    key = create_private_key(path, ORIGIN)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_private_key(path).public == key.public
    assert [item.name for item in path.parent.iterdir()] == ["demo.key"]


def test_a_private_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "demo.key"
    create_private_key(path, ORIGIN)
    path.chmod(0o640)
    with pytest.raises(RefusedError, match="0640"):
        load_private_key(path)


def test_an_existing_private_key_is_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "demo.key"
    key = create_private_key(path, ORIGIN)
    with pytest.raises(RefusedError):
        create_private_key(path, ORIGIN)
    assert load_private_key(path).public == key.public


def test_trust_in_another_key_is_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "demo.vkey"
    save_public_key(path, KEY.public)
    save_public_key(path, KEY.public)
    with pytest.raises(RefusedError):
        save_public_key(path, SigningKey(ORIGIN, b"\3" * 32).public)
    assert load_public_key(path) == KEY.public


@pytest.mark.parametrize("load", [load_private_key, load_public_key])
def test_a_missing_key_file_is_named(tmp_path: Path, load: object) -> None:
    with pytest.raises(UsageError) as caught:
        load(tmp_path / "none")  # type: ignore[operator]
    assert caught.value.where == str(tmp_path / "none")


def test_writing_the_last_checkpoint_again_does_nothing(tmp_path: Path) -> None:
    anchor = tmp_path / "outside" / "demo.note"
    assert write_checkpoint(tmp_path, "demo", NOTE, anchor=anchor)
    assert not write_checkpoint(tmp_path, "demo", NOTE, anchor=anchor)
    assert anchor.read_text() == NOTE
    assert (tmp_path / "demo/manifest/checkpoints.log").read_text() == NOTE + "\n"


@pytest.mark.parametrize(("size", "root"), [(6, ROOT), (7, b"\3" * 32)])
def test_a_checkpoint_that_contradicts_the_last_is_refused(
    tmp_path: Path, size: int, root: bytes
) -> None:
    write_checkpoint(tmp_path, "demo", NOTE)
    with pytest.raises(LedgerError):
        write_checkpoint(tmp_path, "demo", sign_checkpoint(ORIGIN, size, root, KEY))


@pytest.mark.parametrize(("size", "root"), [(6, ROOT), (7, b"\3" * 32)])
def test_an_anchor_never_goes_back(tmp_path: Path, size: int, root: bytes) -> None:
    anchor = tmp_path / "demo.note"
    write_checkpoint(tmp_path / "one", "demo", NOTE, anchor=anchor)
    note = sign_checkpoint(ORIGIN, size, root, KEY)
    with pytest.raises(LedgerError):
        write_checkpoint(tmp_path / "two", "demo", note, anchor=anchor)
    assert anchor.read_text() == NOTE


def test_a_torn_checkpoint_is_cut_off_by_the_next(tmp_path: Path) -> None:
    for size in range(1, 40):
        write_checkpoint(tmp_path, "demo", sign_checkpoint(ORIGIN, size, ROOT, KEY))
    path = tmp_path / "demo/manifest/checkpoints.log"
    whole = path.read_bytes()
    last = sign_checkpoint(ORIGIN, 40, ROOT, KEY)
    for cut in (1, 30, 70, 71, 72, 150):
        path.write_bytes(whole + last.encode()[:cut])
        write_checkpoint(tmp_path, "demo", last)
        assert path.read_bytes() == whole + last.encode() + b"\n"
