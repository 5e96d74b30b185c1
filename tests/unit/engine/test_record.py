from __future__ import annotations

from pathlib import Path

from orchestrator.engine.record import save_claim
from orchestrator.kernel.work import WorkerAnswer
from orchestrator.protocol.evidence import WorkerRun
from orchestrator.protocol.step_result import StepResult
from orchestrator.store.evidence import FileEvidence


def test_a_link_that_the_worker_planted_for_its_claim_is_not_followed(tmp_path: Path):
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / "project").mkdir()
    store = FileEvidence(tmp_path / "project")
    place = store.open_round(
        run_id="T-1_run", task_key="T-1", step_id="S1", attempt_id="A_1", revision=0, attempt=0
    )
    planted = Path(place.directory) / "step_result.json"
    planted.symlink_to(victim)
    run = WorkerRun(backend="shim", ending="exited", exit_code=0)
    answer = WorkerAnswer(run, StepResult(task_id="T-1", result="PASS"), None)
    (saved,) = save_claim(store, place, answer)
    assert victim.read_text() == "mine"
    assert not planted.is_symlink()
    assert planted.stat().st_size == saved.size_bytes
