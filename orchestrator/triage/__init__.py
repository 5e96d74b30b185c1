"""Which task comes next, which wait and why, and what an edit of the queue means. Pure.

    policy        the order as one static integer, and what keeps a task from being picked
    dependencies  unknown names and cycles
    queue         the order and the waiting in memory: the model that tests hold the store against
    edits         a queue file that a person changed, against what the store knows

The rules in plain words: `docs/triage.md`. Times are integers, milliseconds since 1970 in UTC.
"""
