# ruff: noqa: ANN401  conftest.py cannot be imported, so its fixtures have no type here
from __future__ import annotations

import json
import stat
import struct
import zipfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from workflow_logger import WorkflowLogger
from workflow_logger.archive import LISTING, Limits, import_project
from workflow_logger.errors import ArchiveError, LedgerError, LoggerError, RefusedError
from workflow_logger.verify import verify_project

FIELDS: dict[str, Any] = {
    "acceptance_snapshot": ["AC-1"],
    "code_change_summary": "Fix.",
    "result": "PASS",
    "reason_code": "PASS_ALL_CRITERIA",
}
Members = dict[str, bytes]


@pytest.fixture
def archive(ledger: Any, tmp_path: Path) -> Path:
    path: Path = ledger.logger.export_project(tmp_path / "out" / "demo.zip")
    return path


def bring(path: Path, base: Path, name: str | None = None, **options: Any) -> WorkflowLogger:
    return WorkflowLogger.import_project(base / "w", path, name, home=base / "home", **options)


def members_of(path: Path) -> Members:
    with zipfile.ZipFile(path) as source:
        return {name: source.read(name) for name in source.namelist()}


def pack(path: Path, members: Members, *, list_again: bool = True) -> Path:
    """Write members as an archive, the listing made anew as an attacker would."""
    if list_again:
        listing = json.loads(members[LISTING])
        listing["files"] = [
            {"path": name, "sha256": sha256(data).hexdigest(), "size_bytes": len(data)}
            for name, data in members.items()
            if name != LISTING
        ]
        members = {**members, LISTING: json.dumps(listing).encode()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for name, data in members.items():
            target.writestr(name, data)
    return path


def nothing_was_written(base: Path) -> bool:
    return not any((base / "w").iterdir()) and not (base / "home").exists()


def test_an_archive_comes_back_byte_for_byte(ledger: Any, archive: Path, tmp_path: Path) -> None:
    logger = bring(archive, tmp_path / "new")
    assert logger.project_id == "demo"
    for path in ledger.project.rglob("*"):
        if path.is_file() and path.name != ".lock":
            twin = tmp_path / "new/w/demo" / path.relative_to(ledger.project)
            assert twin.read_bytes() == path.read_bytes()
    report = logger.verify_project()
    assert report.ok
    assert not report.is_anchored  # this machine knows no key of it


def test_exporting_twice_gives_the_same_members(ledger: Any, tmp_path: Path) -> None:
    one = members_of(ledger.logger.export_project(tmp_path / "1.zip"))
    two = members_of(ledger.logger.export_project(tmp_path / "2.zip"))
    one.pop(LISTING)
    two.pop(LISTING)
    assert one == two


@pytest.mark.slow
def test_a_renamed_import_keeps_its_history_and_goes_on(
    ledger: Any, archive: Path, second_verifier: Any
) -> None:
    before = ledger.events.read_bytes()
    logger = WorkflowLogger.import_project(ledger.root, archive, "moved", home=ledger.home)
    assert logger.layout.events.read_bytes() == before
    assert logger.verify_project().is_anchored
    entry = logger.log_attempt("T-3", 0, 0, **FIELDS)
    assert entry.project_id == "demo"  # the ledger's own name: its hashes go on
    report = logger.verify_project()
    assert report.is_anchored
    assert (report.project_id, report.ledger_id, report.entries) == ("moved", "demo", 7)
    assert ledger.verify().is_anchored  # the original is as it was
    key = second_verifier.Key(logger.public_key_path.read_text())
    other = second_verifier.verify(logger.layout.project_dir, key, logger.anchor_path)
    assert (other.errors, other.anchored) == ([], 7)


def test_a_renamed_history_under_its_old_key_alone_is_not_trusted(
    ledger: Any, archive: Path
) -> None:
    logger = WorkflowLogger.import_project(ledger.root, archive, "moved", home=ledger.home)
    report = verify_project(
        ledger.root, "moved", public_key=ledger.logger.trusted_key(), anchor=None
    )
    assert not report.ok
    assert logger.verify_project().ok


@pytest.mark.slow
def test_an_artifact_survives_the_journey(empty: Any, tmp_path: Path) -> None:
    content = "x" * 3_000_000  # shrinks a thousandfold: stored, so that no import refuses it
    empty.logger.log_attempt("T-1", 0, 0, **FIELDS, code_content=content)
    logger = bring(empty.logger.export_project(tmp_path / "a.zip"), tmp_path / "new")
    assert logger.verify_project().ok


def test_an_existing_archive_is_not_replaced(ledger: Any, archive: Path) -> None:
    with pytest.raises(RefusedError):
        ledger.logger.export_project(archive)


def test_a_ledger_that_does_not_verify_is_not_exported(ledger: Any, tmp_path: Path) -> None:
    ledger.rewrite(ledger.lines()[:-1])
    with pytest.raises(LedgerError):
        ledger.logger.export_project(tmp_path / "x.zip")
    assert not (tmp_path / "x.zip").exists()


def test_a_link_in_the_project_is_not_exported(ledger: Any, tmp_path: Path) -> None:
    (ledger.project / "tasks" / "T-1" / "artifacts").mkdir(exist_ok=True)
    (ledger.project / "tasks/T-1/artifacts/passwd").symlink_to("/etc/passwd")
    with pytest.raises(ArchiveError, match="symbolic link"):
        ledger.logger.export_project(tmp_path / "x.zip")


def test_an_existing_project_is_not_replaced(ledger: Any, archive: Path) -> None:
    with pytest.raises(RefusedError, match="project demo exists"):
        WorkflowLogger.import_project(ledger.root, archive, home=ledger.home)
    assert ledger.verify().is_anchored


def test_an_older_archive_does_not_take_the_place_of_a_newer_ledger(
    ledger: Any, archive: Path, tmp_path: Path
) -> None:
    ledger.logger.log_attempt("T-3", 0, 0, **FIELDS)
    with pytest.raises(ArchiveError, match="tail was dropped"):
        WorkflowLogger.import_project(tmp_path / "other", archive, home=ledger.home)


# -- attacks -----------------------------------------------------------------------------


def _named(name: str) -> Callable[[Members], Members]:
    return lambda members: {**members, name: b"x"}


def altered(members: Members) -> Members:
    data = members["events.jsonl"]
    return {**members, "events.jsonl": data.replace(b"FAIL", b"PASS")}


def missing(members: Members) -> Members:
    return {name: data for name, data in members.items() if name != "tasks/T-1/events.jsonl"}


def dropped_tail(members: Members) -> Members:
    lines = members["events.jsonl"].splitlines(keepends=True)
    return {**members, "events.jsonl": b"".join(lines[:-1])}


def _listing(**changes: Any) -> Callable[[Members], Members]:
    return lambda members: {
        **members,
        LISTING: json.dumps({**json.loads(members[LISTING]), **changes}).encode(),
    }


UNSAFE = {
    "a name that climbs out": _named("../evil.txt"),
    "a name that climbs out of artifacts": _named("tasks/T-1/artifacts/../../../../evil"),
    "an absolute name": _named("/tmp/evil.txt"),
    "a backslash": _named("tasks\\T-1\\artifacts\\evil"),
    "a drive": _named("C:/evil.txt"),
    "a drive in artifacts": _named("tasks/T-1/artifacts/C:evil"),
    "a dot segment": _named("tasks/T-1/artifacts/./evil"),
    "an empty segment": _named("tasks/T-1/artifacts//evil"),
    "a folder": _named("tasks/T-1/artifacts/"),
    "a hidden file": _named(".lock"),
    "a file no ledger has": _named("manifest/key.pem"),
    "a very deep path": _named("tasks/T-1/artifacts/" + "/".join("abcdefghijklmnopqrst")),
    "a name that differs in case only": _named("EVENTS.jsonl"),
    "an altered entry": altered,
    "a missing member": missing,
    "a dropped tail": dropped_tail,
    "a listing of another format": _listing(format="tar"),
    "a listing of another version": _listing(version=2),
    "a listing of another project": _listing(project_id="../other"),
    "a listing of another ledger": _listing(ledger_id="other"),
}


@pytest.mark.parametrize("name", UNSAFE)
def test_an_import_is_refused_and_writes_nothing_for(
    name: str, archive: Path, tmp_path: Path
) -> None:
    bad = pack(tmp_path / "bad.zip", UNSAFE[name](members_of(archive)))
    with pytest.raises(LoggerError) as caught:
        bring(bad, tmp_path / "new")
    assert caught.value.exit_code in (1, 2)
    assert nothing_was_written(tmp_path / "new")
    assert not (tmp_path / "evil.txt").exists()


@pytest.mark.parametrize("change", [altered, missing, _named("tasks/T-1/artifacts/extra")])
def test_members_that_the_listing_does_not_name_are_refused(
    change: Callable[[Members], Members], archive: Path, tmp_path: Path
) -> None:
    bad = pack(tmp_path / "bad.zip", change(members_of(archive)), list_again=False)
    with pytest.raises(ArchiveError, match=r"altered|not in the archive|not listed"):
        bring(bad, tmp_path / "new")
    assert nothing_was_written(tmp_path / "new")


def test_an_archive_without_a_listing_is_refused(archive: Path, tmp_path: Path) -> None:
    members = members_of(archive)
    del members[LISTING]
    with pytest.raises(ArchiveError, match="there is no archive_manifest"):
        bring(pack(tmp_path / "bad.zip", members, list_again=False), tmp_path / "new")


def test_a_duplicate_name_is_refused(archive: Path, tmp_path: Path) -> None:
    with (
        pytest.warns(UserWarning, match="Duplicate name"),
        zipfile.ZipFile(archive, "a") as target,
    ):
        target.writestr("events.jsonl", b"")
    with pytest.raises(ArchiveError, match="second member of this name"):
        bring(archive, tmp_path / "new")


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFDIR])
def test_a_member_that_is_no_regular_file_is_refused(
    kind: int, archive: Path, tmp_path: Path
) -> None:
    info = zipfile.ZipInfo("tasks/T-1/artifacts/link")
    info.external_attr = (kind | 0o777) << 16
    with zipfile.ZipFile(archive, "a") as target:
        target.writestr(info, "/etc/passwd")
    with pytest.raises(ArchiveError, match="not a regular file"):
        bring(archive, tmp_path / "new")


def test_a_bomb_is_refused_by_its_ratio(archive: Path, tmp_path: Path) -> None:
    members = members_of(archive) | {"tasks/T-1/artifacts/bomb": b"\0" * (8 << 20)}
    with pytest.raises(ArchiveError, match="times its size"):
        bring(pack(tmp_path / "bad.zip", members), tmp_path / "new")
    assert nothing_was_written(tmp_path / "new")


@pytest.mark.parametrize(
    "limits", [Limits(max_files=3), Limits(max_file_bytes=900), Limits(max_total_bytes=900)]
)
def test_an_archive_over_a_limit_is_refused(limits: Limits, archive: Path, tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match=r"at most|declares"):
        import_project(
            WorkflowLogger, tmp_path / "w", archive, None, {"home": tmp_path / "h"}, limits
        )
    assert list((tmp_path / "w").iterdir()) == []


def test_a_member_that_lies_about_its_size_is_refused(archive: Path, tmp_path: Path) -> None:
    data = bytearray(archive.read_bytes())
    start = data.rindex(b"PK\x01\x02")  # the last member of the directory
    (size,) = struct.unpack_from("<I", data, start + 24)
    struct.pack_into("<I", data, start + 24, size - 10)
    archive.write_bytes(data)
    with pytest.raises(ArchiveError):
        bring(archive, tmp_path / "new")
    assert nothing_was_written(tmp_path / "new")


def test_a_file_that_is_no_zip_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bad.zip"
    path.write_bytes(b"PK\x03\x04 not really")
    with pytest.raises(ArchiveError, match="not a sound zip"):
        bring(path, tmp_path / "new")


@pytest.mark.parametrize("cut", [0.2, 0.5, 0.9, 0.99])
def test_a_truncated_archive_is_refused(archive: Path, tmp_path: Path, cut: float) -> None:
    data = archive.read_bytes()
    archive.write_bytes(data[: int(len(data) * cut)])
    with pytest.raises(ArchiveError):
        bring(archive, tmp_path / "new")
    assert nothing_was_written(tmp_path / "new")


def test_a_history_signed_again_is_refused_where_the_key_is_known(
    ledger: Any, tmp_path: Path
) -> None:
    forged = ledger.logger.export_project(tmp_path / "demo.zip")
    members = members_of(forged)
    lines = [line.replace(b"FAIL", b"PASS") for line in ledger.lines()]
    ledger.rewrite(ledger.forge(lines))
    for path in ledger.project.rglob("events.jsonl"):
        members[path.relative_to(ledger.project).as_posix()] = path.read_bytes()
    note = ledger.sign(ledger.foreign_key()) + "\n"
    members["manifest/checkpoints.log"] = note.encode()
    bad = pack(tmp_path / "bad.zip", members)
    with pytest.raises(ArchiveError, match=r"checkpoint\.foreign_key"):
        WorkflowLogger.import_project(tmp_path / "w", bad, "moved", home=ledger.home)
