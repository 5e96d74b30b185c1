"""Agent backends: one dispatch in, how the process ended and what it claims out.

    request.DispatchRequest, DispatchAnswer, Worker   the port's values and its shape
    shim_adapter.ShimAdapter                          gxd-subagent-shim create|resume
    command_adapter.CommandAdapter                    any program: pack in, StepResult out
    answer.parse_answer                               stdout -> StepResult; pure, strict
    envelope, sections, plain                         its parts: wrappers, Markdown, JSON

A worker that fails, lies or prints garbage is an ordinary day and comes back as a value. Only a
worker that could not be run at all raises (`WorkerError`, exit code 7).
"""
