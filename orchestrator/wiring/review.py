"""`review-step`: a StepResult held against the present tree, outside any attempt."""

from __future__ import annotations

import subprocess
from pathlib import Path

from orchestrator.engine.controller import review_offline
from orchestrator.errors import WorkspaceError
from orchestrator.kernel.work import CheckpointTaken, WorkerAnswer
from orchestrator.protocol.evidence import WorkerRun
from orchestrator.protocol.reading import read_step_result
from orchestrator.protocol.rework_pack import ReworkPack
from orchestrator.protocol.verdict import Verdict
from orchestrator.wiring.assembly import open_engine
from orchestrator.wiring.flags import RunFlags
from orchestrator.wiring.inputs import load_pack, read_file
from orchestrator.wiring.project import Project
from orchestrator.wiring.workplace import ProjectWorkplace


def review_present_tree(
    project_dir: str | None,
    progress_dir: str | None,
    *,
    step_pack_file: str,
    step_result_file: str,
    base: str | None,
) -> tuple[Verdict, ReworkPack | None]:
    """Look at the present tree, run the pack's checks on it, review. Moves no task."""
    loaded = load_pack(Path(step_pack_file), source=step_pack_file)
    data = read_file(Path(step_result_file), source=step_result_file, what="the StepResult")
    result = read_step_result(data, step_result_file)
    project = Project.open(project_dir, progress_dir=progress_dir, for_running=True)
    try:
        engine = open_engine(project, RunFlags())
        workplace = engine.parts.workplace
        if not isinstance(workplace, ProjectWorkplace):
            raise TypeError("review-step looks at a project's work tree")
        moment = project.now()
        place = engine.parts.evidence.open_round(
            run_id=engine.parts.ids.run_id(f"review-{loaded.pack.task_id}", moment),
            task_key=loaded.pack.task_id,
            step_id=loaded.pack.step_id,
            attempt_id=engine.parts.ids.attempt_id(moment),
            revision=0,
            attempt=0,
        )
        tree = _tree_of(project.root, base or "HEAD")
        noted = workplace.before(place, loaded.pack, CheckpointTaken("", tree))
        run = WorkerRun(backend="none", ending="exited", exit_code=0)
        facts = workplace.observe(
            noted, place, loaded.pack, WorkerAnswer(run, result, None), since_start=False
        )
    finally:
        project.close()
    return review_offline(loaded.pack, loaded.digest, result, facts, rounds_left=1)


def _tree_of(root: Path, name: str) -> str:
    """Return the tree of a commit or tree that a person named."""
    done = subprocess.run(
        ["git", "-C", str(root), "rev-parse", "--verify", "--end-of-options", f"{name}^{{tree}}"],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise WorkspaceError(
            f"git does not know the tree {name!r}: {done.stderr.strip()}",
            where=str(root),
            mend="name a commit or a tree with --base-tree",
        )
    return done.stdout.strip()
