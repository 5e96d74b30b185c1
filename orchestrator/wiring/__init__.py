"""Reads the settings once, builds the adapters, hands them to the engine.

settings    orchestrator.yaml and flags, as one frozen value
system      clock, ids, processes, stop signals: what comes from the machine
inputs      StepPacks and contracts, read from files
workers     the backend port over the worker adapters
workplace   checkpoints, real changes and our own checks over one work tree
project     all of it for one project folder
"""
