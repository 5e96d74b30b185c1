"""Export a ledger as a zip, and import one without trusting it (FORMAT.md 7).

The first member, `archive_manifest.json`, lists every other member with its SHA-256 and size. An
import checks all names, kinds and sizes before it unpacks anything, unpacks into a folder of its
own, verifies the digests and the whole ledger there, and only then renames it into place.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import tempfile
import unicodedata
import zipfile
import zlib
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, NoReturn

from workflow_logger.checkpoint import origin_of
from workflow_logger.entry import ID_PATTERN, check_id
from workflow_logger.errors import ArchiveError, LoggerError, RefusedError
from workflow_logger.files import load_manifest
from workflow_logger.keys import load_public_key
from workflow_logger.layout import Layout
from workflow_logger.safefile import replace_file, sync_folder
from workflow_logger.verify import verify_project

if TYPE_CHECKING:
    from workflow_logger.logger import WorkflowLogger

LISTING: Final = "archive_manifest.json"
FORMAT: Final = "workflow_logger/archive"
VERSION: Final = 1

_CHUNK: Final = 1 << 20
_SMALL: Final = 1 << 20  # below this a ratio says nothing
_PART: Final = r"[^/\\:\x00-\x1f]{1,255}"
_is_member = re.compile(
    r"manifest/(?:project_manifest\.json|schema_version\.json|checkpoints\.log)"
    r"|events\.jsonl"
    rf"|tasks/{ID_PATTERN}/(?:events\.jsonl|task_log\.md|artifacts(?:/{_PART}){{1,16}})"
).fullmatch


@dataclass(frozen=True, slots=True)
class Limits:
    """What an import is ready to unpack."""

    max_files: int = 500_000
    max_file_bytes: int = 1 << 30
    max_total_bytes: int = 4 << 30
    max_ratio: int = 250


def export_project(layout: Layout, archive: Path, *, exported_at: str) -> Path:
    """Write the project's files to `archive`; the caller has verified them and holds the lock.

    Raises:
        RefusedError: the archive exists.
        ArchiveError: the project's folder holds a link or an unknown file.
    """
    manifest = load_manifest(layout)
    if archive.exists():
        raise RefusedError(
            "the archive exists", where=str(archive), mend="choose another name, or remove it"
        )
    names = _members_of(layout)
    files = [_describe(layout.project_dir / name, name) for name in names]
    listing = {
        "exported_at": exported_at,
        "files": files,
        "format": FORMAT,
        "ledger_id": manifest["ledger_id"],
        "project_id": manifest["project_id"],
        "version": VERSION,
    }
    archive.parent.mkdir(parents=True, exist_ok=True)
    staged = archive.with_name(f".{archive.name}.{os.getpid()}.tmp")
    try:
        with zipfile.ZipFile(staged, "x", zipfile.ZIP_DEFLATED, allowZip64=True) as target:
            text = json.dumps(listing, indent=1, sort_keys=True)
            target.writestr(_member(LISTING, len(text)), text)
            for item in files:
                name = str(item["path"])
                with (layout.project_dir / name).open("rb") as source:
                    _write_member(target, name, int(str(item["size_bytes"])), source)
        with staged.open("rb") as file:
            os.fsync(file.fileno())
        staged.replace(archive)
    finally:
        staged.unlink(missing_ok=True)
    sync_folder(archive.parent)
    return archive


def _members_of(layout: Layout) -> list[str]:
    names = []
    for folder, folders, files in os.walk(layout.project_dir):
        for name in [*folders, *files]:
            path = Path(folder, name)
            if path.is_symlink():
                _refuse("a symbolic link", str(path))
        for name in files:
            if name.startswith("."):
                continue  # the lock, and what a dead writer staged
            relative = Path(folder, name).relative_to(layout.project_dir).as_posix()
            if not _is_member(relative):
                _refuse("no file of a ledger", str(Path(folder, name)))
            names.append(relative)
    return sorted(names)


def _describe(path: Path, name: str) -> dict[str, object]:
    digest, size = sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
    return {"path": name, "sha256": digest.hexdigest(), "size_bytes": size}


def _member(name: str, size: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)  # its date is fixed: equal ledgers give equal members
    info.external_attr = (stat.S_IFREG | 0o644) << 16
    info.file_size = size
    # A large artifact may shrink beyond the ratio that an import accepts: store it as it is.
    is_stored = "/artifacts/" in name and size >= _SMALL
    info.compress_type = zipfile.ZIP_STORED if is_stored else zipfile.ZIP_DEFLATED
    return info


def _write_member(target: zipfile.ZipFile, name: str, size: int, source: IO[bytes]) -> None:
    with target.open(_member(name, size), "w", force_zip64=size >= 1 << 31) as sink:
        shutil.copyfileobj(source, sink, _CHUNK)


# -- import ------------------------------------------------------------------------------


def import_project(
    cls: type[WorkflowLogger],
    root_dir: Path,
    archive: Path,
    project_id: str | None,
    options: dict[str, Any],
    limits: Limits | None = None,
) -> WorkflowLogger:
    """Unpack `archive` below `root_dir`; see `WorkflowLogger.import_project`."""
    root_dir.mkdir(parents=True, exist_ok=True)
    stage = Path(tempfile.mkdtemp(prefix=".import-", dir=root_dir))
    try:
        source_id = _unpack(archive, stage, limits or Limits())
        target_id = check_id(project_id or source_id, "project_id")
        logger = cls(root_dir, target_id, **options)
        is_renamed = target_id != source_id
        _check_target(logger, is_renamed=is_renamed)
        staged = Layout.of(stage, source_id)
        _verify_staged(cls, stage, source_id, logger, options, is_renamed=is_renamed)
        if is_renamed:
            _rename(staged, target_id)
        try:
            staged.project_dir.rename(logger.layout.project_dir)
        except OSError as error:
            raise _exists(logger) from error
        sync_folder(root_dir)
    finally:
        shutil.rmtree(stage, ignore_errors=True)
    if is_renamed or logger.key_path.exists():
        logger.init()
    return logger


def _check_target(logger: WorkflowLogger, *, is_renamed: bool) -> None:
    if os.path.lexists(logger.layout.project_dir):
        raise _exists(logger)
    if is_renamed and logger.anchor_path.exists():
        raise RefusedError(
            "an earlier project of this name left its anchor",
            where=str(logger.anchor_path),
            mend="choose another --target-project-id, or remove that anchor and its keys",
        )


def _exists(logger: WorkflowLogger) -> RefusedError:
    return RefusedError(
        f"project {logger.project_id} exists",
        where=str(logger.layout.project_dir),
        mend="choose another --target-project-id",
    )


def _verify_staged(
    cls: type[WorkflowLogger],
    stage: Path,
    source_id: str,
    logger: WorkflowLogger,
    options: dict[str, Any],
    *,
    is_renamed: bool,
) -> None:
    """Verify under the source's trusted key, where this machine knows one."""
    source = cls(stage, source_id, home=options.get("home"))
    path = logger.public_key_path
    if is_renamed and not (path.exists() and load_public_key(path).name == origin_of(source_id)):
        path = source.public_key_path
    anchor = None if is_renamed else logger.anchor_path  # an older copy may take a new name
    report = verify_project(
        stage,
        source_id,
        public_key=load_public_key(path) if path.exists() else None,
        anchor=anchor if anchor is not None and anchor.exists() else None,
    )
    for finding in report.findings:
        if finding.severity == "error":
            where = finding.where.replace(f"{stage}{os.sep}", "")
            _refuse(f"its ledger does not verify: {finding.rule}: {finding.what}", where)


def _rename(staged: Layout, target_id: str) -> None:
    """Give the manifest its new name; the entries and their hashes stay as they are."""
    manifest = json.loads(staged.project_manifest.read_bytes())
    manifest["imported_from"] = {"project_id": manifest["project_id"]}
    manifest["project_id"] = target_id
    text = json.dumps(manifest, indent=2, sort_keys=True, ensure_ascii=False)
    replace_file(staged.project_manifest, text.encode() + b"\n", durable=True)


def _unpack(archive: Path, stage: Path, limits: Limits) -> str:
    """Unpack into `stage/<project>`; return the project's name."""
    try:
        with zipfile.ZipFile(archive) as source:
            members = _checked_members(source, limits)
            listing = _load_listing(source, members, limits)
            project_id = listing["project_id"]
            target = stage / check_id(project_id, "project_id")
            _compare_names(listing["files"], members)
            total = 0
            for item in listing["files"]:
                total += _unpack_member(source, members[item["path"]], item, target)
                if total > limits.max_total_bytes:
                    _refuse(f"more than {limits.max_total_bytes} bytes", str(archive))
            if load_manifest(Layout(target))["ledger_id"] != listing["ledger_id"]:
                _refuse("the listing and the manifest name different ledgers", LISTING)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError) as error:
        if isinstance(error, LoggerError):
            raise
        _refuse(f"not a sound zip: {error}", str(archive))
    except OSError as error:
        raise LoggerError(
            f"cannot be read or unpacked: {error.strerror or error}",
            where=str(archive),
            mend="check the path, the permissions and the room on the disk",
        ) from error
    return str(project_id)


def _checked_members(source: zipfile.ZipFile, limits: Limits) -> dict[str, zipfile.ZipInfo]:
    infos = source.infolist()
    if len(infos) > limits.max_files:
        _refuse(f"{len(infos)} members, at most {limits.max_files}", "the archive")
    if sum(info.file_size for info in infos) > limits.max_total_bytes:
        _refuse(f"it declares more than {limits.max_total_bytes} bytes", "the archive")
    members: dict[str, zipfile.ZipInfo] = {}
    folded: set[str] = set()
    for info in infos:
        _check_member(info, limits)
        key = unicodedata.normalize("NFC", info.filename).casefold()
        if key in folded:
            _refuse("a second member of this name", info.filename)
        folded.add(key)
        members[info.filename] = info
    return members


def _check_member(info: zipfile.ZipInfo, limits: Limits) -> None:
    name = info.orig_filename
    if name != LISTING and (
        name != info.filename
        or not _is_member(name)
        or any(part in (".", "..") for part in name.split("/"))
    ):
        _refuse("a name that no ledger has: it could leave the folder", name[:200])
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG) or info.is_dir():
        _refuse("not a regular file", name)
    if info.flag_bits & 0x1:
        _refuse("encrypted", name)
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        _refuse(f"compression method {info.compress_type}", name)
    if info.file_size > limits.max_file_bytes:
        _refuse(f"declares {info.file_size} bytes, at most {limits.max_file_bytes}", name)
    if info.file_size > _SMALL and info.file_size > limits.max_ratio * max(1, info.compress_size):
        _refuse(f"unpacks to more than {limits.max_ratio} times its size", name)


def _load_listing(
    source: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], limits: Limits
) -> dict[str, Any]:
    info = members.pop(LISTING, None)
    if info is None:
        _refuse(f"there is no {LISTING}", "the archive")
    most = min(limits.max_file_bytes, 512 * limits.max_files)
    with source.open(info) as file:
        data = file.read(most + 1)
    if len(data) > most:
        _refuse("the listing is too long", LISTING)
    listing = json.loads(data)
    if not isinstance(listing, dict) or listing.get("format") != FORMAT:
        _refuse("not the listing of a ledger", LISTING)
    if listing.get("version") != VERSION or type(listing["version"]) is not int:
        _refuse(f"version {listing.get('version')!r}, this reader knows {VERSION}", LISTING)
    names = (listing.get("project_id"), listing.get("ledger_id"))
    if not all(type(name) is str for name in names) or type(listing.get("files")) is not list:
        _refuse("project_id, ledger_id or files is missing", LISTING)
    for item in listing["files"]:
        if not isinstance(item, dict) or (
            [type(item.get(key)) for key in ("path", "sha256", "size_bytes")] != [str, str, int]
        ):
            _refuse("an item without path, sha256 and size_bytes", LISTING)
    return listing


def _compare_names(items: list[dict[str, Any]], members: dict[str, zipfile.ZipInfo]) -> None:
    listed = [item["path"] for item in items]
    if len(set(listed)) != len(listed):
        _refuse("a file is listed twice", LISTING)
    if missing := sorted(set(listed) - members.keys()):
        _refuse("listed, but not in the archive", missing[0])
    if extra := sorted(members.keys() - set(listed)):
        _refuse("in the archive, but not listed", extra[0])


def _unpack_member(
    source: zipfile.ZipFile, info: zipfile.ZipInfo, item: dict[str, Any], target: Path
) -> int:
    path = target / info.filename
    path.parent.mkdir(parents=True, exist_ok=True)
    digest, size = sha256(), 0
    with source.open(info) as packed, path.open("xb") as file:
        while chunk := packed.read(_CHUNK):
            size += len(chunk)
            if size > item["size_bytes"]:
                break
            digest.update(chunk)
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    if size != item["size_bytes"] or digest.hexdigest() != item["sha256"]:
        _refuse("altered: not the bytes that the listing names", info.filename)
    return size


def _refuse(what: str, where: str) -> NoReturn:
    raise ArchiveError(
        what, where=where, mend="ask for the archive again; do not unpack it by hand"
    )
