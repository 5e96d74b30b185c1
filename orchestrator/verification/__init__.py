"""Our own runs of the checks: what a command string means, what it did, what a worker left.

commands      a command string -> argv, without a shell where it can be
forces        static: can this command fail at all, can it hide a failure (pure)
runners       counts of tests from the output of a test runner (pure)
surroundings  the environment that checks run in
checks        CheckRunner: runs the commands, keeps their output, names harness faults
claims        looks at the evidence that a worker names
manifests     which dependencies a change adds (pure)
"""
