"""The messages that cross a border, as frozen models with JSON Schemas.

    step_pack.StepPack       controller -> worker   what to do, and its bounds
    rework_pack.ReworkPack   controller -> worker   what fell short, deterministic
    step_result.StepResult   worker -> controller   a claim, never evidence
    changes.Change           one changed path, computed by the controller
    evidence.Observations    what the controller itself saw
    verdict.Verdict          three colours, with findings
    task.Task, TaskQueue     the backlog
    reading                  bytes -> model, every fault named file:line:col

Nothing here does input or output.
"""
