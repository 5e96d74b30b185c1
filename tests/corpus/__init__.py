"""Two corpora for the measuring of verdicts: honest changes, and lies.

`book` says what a case is, `hand` is what a case's worker works with, `project` the repository
it works on; `honest_*` and `lies_*` are the cases. `run` puts each through the real engine on
a repository of its own, and `table` prints what came of it. `scripts/verdicts` is the door.
"""
