"""A task of the queue, seen as an intake task.

A row of the queue is often only a key and a StepPack. What the row leaves out, the pack says.
"""

from __future__ import annotations

from orchestrator.intake.router import AUTO
from orchestrator.protocol.step_pack import StepPack
from orchestrator.protocol.task import IntakeTask, Task


def intake_task(task: Task, pack: StepPack | None = None) -> IntakeTask:
    """Return what intake looks at; the row's own words win over the pack's.

    A row without `execution_route` asks for `auto`: the router decides. A row without `target`
    works on what the pack allows it to touch.
    """
    allowed = pack.allowed_paths if pack else ()
    return IntakeTask(
        task_title=task.title or (pack.step_title or pack.objective if pack else ""),
        target=task.target or ", ".join(allowed),
        execution_route=task.execution_route or AUTO,
        acceptance_criteria=task.acceptance_criteria or (pack.acceptance_criteria if pack else ()),
        description=task.description or (pack.step_description if pack else ""),
        risk=task.risk,
        allowed_paths=allowed,
        forbidden_paths=pack.forbidden_paths if pack else (),
        commands_to_run=pack.commands_to_run if pack else (),
    )
