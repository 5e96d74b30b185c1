"""What a writer of git objects and refs leaves behind when it is killed stops nobody."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from orchestrator.errors import WorkspaceError
from orchestrator.workspace.objects import object_id, write_loose_ref, write_object

REF = "refs/orchestrator/accepted/T-1/A_1"
OID = "a" * 40


def test_a_ref_whose_writer_was_killed_before_the_rename_is_written_again(tmp_path: Path) -> None:
    lock = tmp_path / f"{REF}.lock"
    lock.parent.mkdir(parents=True)
    lock.write_text(OID[:7])
    write_loose_ref(tmp_path, REF, OID)
    assert (tmp_path / REF).read_text() == f"{OID}\n"
    assert not lock.exists()


def test_a_lock_on_a_ref_that_is_there_is_somebody_elses(tmp_path: Path) -> None:
    write_loose_ref(tmp_path, REF, OID)
    (tmp_path / f"{REF}.lock").write_text("")
    with pytest.raises(WorkspaceError, match="is locked"):
        write_loose_ref(tmp_path, REF, "b" * 40)
    assert (tmp_path / REF).read_text() == f"{OID}\n"


def test_an_object_half_written_under_our_own_number_is_written_again(tmp_path: Path) -> None:
    oid = object_id("blob", b"text\n", "sha1")
    half = tmp_path / oid[:2] / f"tmp_obj_{os.getpid()}_{oid[:8]}"
    half.parent.mkdir()
    half.write_bytes(b"x")
    assert write_object(tmp_path, "blob", b"text\n", "sha1", durable=False) == oid
    assert sorted(path.name for path in half.parent.iterdir()) == [oid[2:]]
