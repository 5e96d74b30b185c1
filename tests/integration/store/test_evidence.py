from __future__ import annotations

import os
import shutil
from hashlib import sha256
from pathlib import Path

import pytest

from orchestrator.errors import StoreError
from orchestrator.kernel.work import Round
from orchestrator.store.evidence import FileEvidence

ROUND = Path(".artifacts/agent_runs/run/steps/S1/rounds/R0S0")


def open_round(root: Path, attempt_id: str = "A_1", **more: str) -> Round:
    names = {"run_id": "run", "task_key": "T-1", "step_id": "S1", "attempt_id": attempt_id, **more}
    return FileEvidence(root).open_round(**names, revision=0, attempt=0)  # type: ignore[arg-type]


@pytest.mark.parametrize("durable", [False, True])
def test_a_file_is_named_by_its_path_digest_and_size(tmp_path: Path, durable: bool) -> None:
    place = open_round(tmp_path)
    assert (place.prefix, place.name) == (str(ROUND), "R0S0")
    data = b"what we saw\n" * 1000
    saved = FileEvidence(tmp_path).save(place, "review.json", data, kind="review", durable=durable)
    assert saved.path == f"{ROUND}/review.json"
    assert (saved.sha256, saved.size_bytes) == (sha256(data).hexdigest(), len(data))
    assert (tmp_path / saved.path).read_bytes() == data


def test_a_file_in_a_folder_of_the_round_is_saved(tmp_path: Path) -> None:
    saved = FileEvidence(tmp_path).save(open_round(tmp_path), "checks/1/out", b"x", kind="output")
    assert (tmp_path / saved.path).read_bytes() == b"x"


def test_a_folder_that_the_worker_removed_is_made_again(tmp_path: Path) -> None:
    place = open_round(tmp_path)
    shutil.rmtree(tmp_path / ".artifacts")
    saved = FileEvidence(tmp_path).save(place, "review.json", b"x", kind="review")
    assert (tmp_path / saved.path).read_bytes() == b"x"


def test_what_lay_in_the_rounds_folder_is_put_aside(tmp_path: Path) -> None:
    (tmp_path / ROUND).mkdir(parents=True)
    (tmp_path / ROUND / "review.json").write_bytes(b"forged before the attempt")
    place = open_round(tmp_path)
    assert list(Path(place.directory).iterdir()) == []
    kept = (tmp_path / ROUND).with_name("R0S0.before-A_1") / "review.json"
    assert kept.read_bytes() == b"forged before the attempt"


@pytest.mark.parametrize("depth", range(len(ROUND.parts) - 1))
def test_a_link_planted_in_the_path_is_refused(tmp_path: Path, depth: int) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    root = tmp_path / "project"
    planted = root.joinpath(*ROUND.parts[: depth + 1])
    planted.parent.mkdir(parents=True)
    planted.symlink_to(outside)
    with pytest.raises(StoreError, match="symbolic link") as refused:
        open_round(root)
    assert "only written inside the project" in refused.value.mend
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize("depth", range(len(ROUND.parts)))
def test_a_link_planted_while_the_worker_runs_is_refused(tmp_path: Path, depth: int) -> None:
    root = tmp_path / "project"
    root.mkdir()
    place = open_round(root)
    part = root.joinpath(*ROUND.parts[: depth + 1])
    moved = tmp_path / "outside"
    part.rename(moved)
    part.symlink_to(moved)
    with pytest.raises(StoreError, match="symbolic link"):
        FileEvidence(root).save(place, "review.json", b"x", kind="review")
    assert not list(tmp_path.rglob("review.json"))


@pytest.mark.parametrize("planted", ["link", "hard link", "pipe", "file"])
def test_what_was_planted_under_the_files_name_is_removed_and_not_written_to(
    tmp_path: Path, planted: str
) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    place = open_round(tmp_path)
    path = Path(place.directory) / "review.json"
    if planted == "link":
        path.symlink_to(victim)
    elif planted == "hard link":
        path.hardlink_to(victim)
    elif planted == "pipe":
        os.mkfifo(path)
    else:
        path.write_bytes(b"forged")
    FileEvidence(tmp_path).save(place, "review.json", b"ours", kind="review")
    assert victim.read_bytes() == b"precious"
    assert path.read_bytes() == b"ours"
    assert not path.is_symlink()


@pytest.mark.parametrize("name", ["..", ".", "", "a/b", "a\0b", "../../etc"])
def test_a_name_that_climbs_out_makes_no_folder(tmp_path: Path, name: str) -> None:
    for field in ("run_id", "step_id"):
        with pytest.raises(ValueError, match="cannot name a folder"):
            open_round(tmp_path, **{field: name})
    assert list(tmp_path.iterdir()) == []
