"""The life of a task: one table, and pure functions that say what comes next.

    life        states, events, the transition table, the `transitions` machine over it
    journey     what a task has used up over its whole life, and its limits
    decide      verdict + journey -> the next event; retry, rework, stagnation
    campaign    when a campaign stops
    diagram     the machine as Mermaid text, for the docs

Nothing here does input or output.
"""
