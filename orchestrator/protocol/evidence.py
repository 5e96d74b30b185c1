"""What the controller saw with its own eyes: files, commands, the worker's ending.

Built by the adapters, judged by `qa`, written to `.artifacts/`, named in the ledger by digest.
"""

from __future__ import annotations

from typing import Literal

from orchestrator.protocol.base import Many, Wire
from orchestrator.protocol.changes import Change

# How a process ended; the same words as `runtime.outcome.Ending`.
EndingName = Literal[
    "exited",
    "signalled",
    "runtime_exceeded",
    "silence_exceeded",
    "memory_exceeded",
    "output_exceeded",
    "cancelled",
    "not_started",
]


class Evidence(Wire):
    """One file of evidence, named by content."""

    path: str  # relative to the project root, under .artifacts/
    sha256: str
    size_bytes: int
    kind: str = "file"  # stdout, stderr, step_result, observations, verdict, claim, ...
    truncated: bool = False


class TestCount(Wire):
    """How many tests a runner said it ran; None where its output names no number."""

    runner: str
    executed: int
    passed: int | None = None
    failed: int | None = None
    skipped: int | None = None


class CommandRun(Wire):
    """One command that the controller ran itself.

    `tail` is the end of what it printed, as printable text with times and addresses masked, so
    that it may be quoted to a worker. `changed_paths` are the paths of the tree that the check
    itself changed; None where nobody looked.
    """

    index: int
    command: str
    argv: Many[str]
    used_shell: bool = False
    tree: str  # the tree it ran on
    ending: EndingName
    exit_code: int | None
    signal: int | None = None
    wall_ms: int
    stdout: Evidence | None = None
    stderr: Evidence | None = None
    tail: str = ""
    tests: TestCount | None = None
    always_succeeds: str | None = None  # why this command cannot fail, where that is provable
    failure_masked: str | None = None  # how a failure could be hidden (a pipe without pipefail)
    harness_fault: str | None = None  # why the run says nothing about the product
    tree_after: str | None = None  # differs from `tree` when the check itself changed files
    changed_paths: Many[str] | None = None
    environment_digest: str = ""


class ClaimedFile(Wire):
    """A path that the worker's StepResult names as evidence, and what is there."""

    path: str
    prefix_ok: bool
    exists: bool
    size_bytes: int | None = None
    sha256: str | None = None
    produced_in_attempt: bool = False


class PatternCount(Wire):
    """How many files (or JSON nodes) an `evidence_required` pattern matched."""

    id: str
    pattern: str
    matches: int


class WorkerRun(Wire):
    """How the worker's process ended, and what it used."""

    backend: str
    ending: EndingName
    exit_code: int | None
    signal: int | None = None
    wall_ms: int = 0
    cpu_ms: int = 0
    peak_rss_kb: int = 0
    peak_processes: int = 0
    stragglers_killed: int = 0
    stdout: Evidence | None = None
    stderr: Evidence | None = None
    thread_id: str | None = None
    parse_error: str | None = None  # why its output is not a StepResult


class Observations(Wire):
    """All facts of one attempt; with the pack and the claim, all that a review may read.

    `colliding_paths` are new paths that equal another path of the tree once case and Unicode form
    are folded. `dependencies_added` are names found in a manifest now and not on the base tree;
    None where nobody read the manifests.
    """

    attempt_id: str
    base_tree: str  # the checkpoint
    tree: str  # what the worker left, and what would be accepted
    changes: Many[Change] = ()
    worker: WorkerRun
    commands: Many[CommandRun] = ()
    base_commands: Many[CommandRun] = ()  # the same commands on the base tree, where run
    claimed_files: Many[ClaimedFile] = ()
    patterns: Many[PatternCount] = ()
    control_files_touched: Many[str] = ()  # the controller's own files, changed meanwhile
    colliding_paths: Many[str] = ()
    dependencies_added: Many[str] | None = None
    warnings: Many[str] = ()
    confinement: str = "advisory"
