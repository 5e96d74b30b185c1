"""Which task comes next, which wait and why, and what an edit of the queue means. Pure.

    policy        the order as one static integer, and what keeps a task from being picked
    dependencies  unknown names, cycles, and what a failed task holds up
    queue         the order and the waiting in memory: the store's model, and the dry run
    edits         a queue file that a person changed, against what the store knows

The rules in plain words: `docs/triage.md`. Times are integers, milliseconds since 1970 in UTC.
"""
