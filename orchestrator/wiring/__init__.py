"""Reads the settings once, builds the adapters, hands them to the engine.

settings    orchestrator.yaml, as one frozen value
flags       what the command line says about a run, laid over it
project     one project folder, opened: lock, store, queue, ledger, views
assembly    the engine over all adapters of an opened project
system      clock, ids, processes, stop signals: what comes from the machine
inputs      StepPacks and contracts, read from files
workers     the backend port over the worker adapters
workplace   checkpoints, real changes and our own checks over one work tree
places      where a project and its parts are
glance      what status tells, read-only and quick
look        what replay and verify tell
setup       what init makes, doctor looks at and queue-take imports
review      one StepResult against the present tree
dryrun      the exact command of a dispatch
steplog     the attempts of single steps in a ledger of a person's own
"""
