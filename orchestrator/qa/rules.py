"""Every rule of the review, in one table, in order of weight.

A finding's severity is the first one of its rule unless the family that found it says otherwise;
it may only choose among those listed. `code` is the reason code that a verdict carries when this
is its heaviest finding. Warnings never give the reason.

The order is a decision: how the worker ended explains more than what it left undone, a bound that
was broken more than a check that failed, and a lie more than the fault that it hides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from orchestrator.protocol.verdict import Severity

REFUSAL: Final = Severity.REFUSAL
UNKNOWN: Final = Severity.UNKNOWN
WARNING: Final = Severity.WARNING

ACCEPTED_CODE: Final = "PASS_ALL_CRITERIA"


@dataclass(frozen=True, slots=True)
class Rule:
    """One row: what a finding of this rule may do, what it means, what clears it."""

    severities: tuple[Severity, ...]
    code: str
    meaning: str
    mend: str


def _row(
    code: str, meaning: str, mend: str, *severities: Severity
) -> Rule:  # a row without a severity refuses
    return Rule(severities or (REFUSAL,), code, meaning, mend)


RULES: Final[dict[str, Rule]] = {
    # ---- how the worker ended
    "worker.timeout": _row(
        "WORKER_TIMEOUT",
        "the worker ran longer than its time allows",
        "do less in one attempt, or ask for a longer timeout_sec",
    ),
    "worker.silent": _row(
        "WORKER_SILENT",
        "the worker printed nothing for longer than its policy allows",
        "print progress, or ask for a longer no_output_timeout_sec",
    ),
    "worker.memory": _row(
        "WORKER_MEMORY",
        "the worker used more memory than its policy allows",
        "use less memory, or ask for a higher max_memory_mb",
    ),
    "worker.flooded": _row(
        "WORKER_OUTPUT",
        "the worker printed more than its policy allows",
        "print less, or ask for a higher max_output_mb",
    ),
    "worker.died": _row(
        "WORKER_DIED",
        "a signal that we did not send ended the worker",
        "run it again; when it dies again, look at its stderr",
    ),
    "worker.cancelled": _row(
        "WORKER_CANCELLED",
        "the controller was asked to stop while the worker ran",
        "run the step again",
        UNKNOWN,
    ),
    "worker.not_started": _row(
        "WORKER_NOT_STARTED",
        "the worker's program could not be started",
        "run `orchestrator doctor` and check the backend's command",
        UNKNOWN,
    ),
    "worker.exit_code": _row(
        "WORKER_DIED",
        "the worker's program ended with an exit code other than 0",
        "end with exit code 0; report a failure in the StepResult instead",
    ),
    "worker.unparseable": _row(
        "UNPARSEABLE_RESULT",
        "what the worker answered is not a StepResult",
        "answer with one JSON object that follows schemas/step_result.json",
    ),
    "worker.no_answer": _row(
        "UNPARSEABLE_RESULT",
        "the worker gave no answer",
        "end with one JSON object that follows schemas/step_result.json",
    ),
    # ---- bounds
    "work.control_files": _row(
        "CONTROL_FILES_TOUCHED",
        "the controller's own files changed while the worker ran",
        "leave progress/, workflow/, .orchestrator/ and .artifacts/ to the controller",
    ),
    "scope.path_trick": _row(
        "SCOPE_VIOLATION",
        "a changed path is absolute, climbs out of the tree or enters .git",
        "use plain paths below the project root",
    ),
    "scope.git_internals": _row(
        "SCOPE_VIOLATION",
        "git's own settings or hooks for this repository changed",
        "leave .git to git; a setting or hook there runs programs",
    ),
    "scope.hidden_characters": _row(
        "SCOPE_VIOLATION",
        "a new name holds control, bidirectional or zero-width characters",
        "rename the file so that its name reads as it is written",
    ),
    "scope.name_collision": _row(
        "SCOPE_VIOLATION",
        "a new name equals another path once case or Unicode form are folded",
        "choose a name that differs from the other by more than case or Unicode form",
    ),
    "scope.symlink_escape": _row(
        "SCOPE_VIOLATION",
        "a symbolic link points outside the project, into .git or to the controller's files",
        "point the link at a relative path inside the project",
    ),
    "scope.symlink_unread": _row(
        "SCOPE_UNCLEAR",
        "the target of a symbolic link was not read, so where it leads is not known",
        "let the controller read link targets and review again",
        UNKNOWN,
    ),
    "scope.nested_repo": _row(
        "SCOPE_VIOLATION",
        "a git repository lies inside the tree: its files would not be seen",
        "remove the inner .git, or leave the folder out",
    ),
    "scope.gitlink": _row(
        "SCOPE_VIOLATION",
        "a submodule pointer changed",
        "revert it, or name exactly this path in allowed_paths",
    ),
    "scope.forbidden": _row(
        "SCOPE_VIOLATION",
        "a changed path matches forbidden_paths",
        "revert the path",
    ),
    "scope.nothing_allowed": _row(
        "SCOPE_VIOLATION",
        "the StepPack allows no path, so nothing may change",
        "revert the path, or ask for allowed_paths",
    ),
    "scope.outside_allowed": _row(
        "SCOPE_VIOLATION",
        "a changed path matches no pattern of allowed_paths",
        "revert the path, or ask for a wider StepPack",
    ),
    "scope.litter": _row(
        "SCOPE_VIOLATION",
        "a tool left a cache file that git does not ignore",
        "delete it, or add it to .gitignore",
        WARNING,
        REFUSAL,
    ),
    "scope.ignored_changed": _row(
        "SCOPE_VIOLATION",
        "a file that git ignores changed outside allowed_paths",
        "nothing to do when a tool made it; it is not part of what is accepted",
        WARNING,
    ),
    "scope.environment_changed": _row(
        "PROTECTED_FILE",
        "the environment in which the checks run (.venv, node_modules) changed",
        "leave installed packages alone, or ask for allow_new_dependencies",
        REFUSAL,
        WARNING,
    ),
    "protected.pack": _row(
        "PROTECTED_FILE",
        "a changed path matches protected_paths of the StepPack",
        "revert the path",
    ),
    "protected.controller": _row(
        "PROTECTED_FILE",
        "a file of the controller changed: its settings, contracts, state or ledger",
        "revert the path; only the controller writes there",
    ),
    "protected.secrets": _row(
        "PROTECTED_FILE",
        "a file that holds secrets changed",
        "revert the path, or ask that allowed_paths names it",
    ),
    "protected.hooks": _row(
        "PROTECTED_FILE",
        "a git hook changed: it would run on a person's machine",
        "revert the path, or ask that allowed_paths names it",
    ),
    "protected.git_config": _row(
        "PROTECTED_FILE",
        "git's own settings in the tree changed (.gitattributes, .gitmodules)",
        "revert the path, or ask that allowed_paths names it",
    ),
    "protected.agent_config": _row(
        "PROTECTED_FILE",
        "a file that instructs or configures coding agents changed",
        "revert the path, or ask that allowed_paths names it",
    ),
    "protected.ci": _row(
        "PROTECTED_FILE",
        "a file of continuous integration changed",
        "revert the path, or ask for allow_ci_changes or a pattern that names it",
    ),
    "protected.test_config": _row(
        "PROTECTED_FILE",
        "a file that steers the test runner changed, or one that stands in for it",
        "revert the path, or ask that allowed_paths names it",
    ),
    "protected.check_script": _row(
        "PROTECTED_FILE",
        "a file that a required command runs as the check itself changed",
        "revert the path, or ask that allowed_paths names it",
        REFUSAL,
        WARNING,
    ),
    "protected.tests": _row(
        "PROTECTED_FILE",
        "an existing test changed, and no allowed pattern names the tests",
        "revert the test and change the product, or ask that allowed_paths names the tests",
    ),
    "protected.tests_added": _row(
        "PROTECTED_FILE",
        "a test was added under a pattern that does not name the tests",
        "nothing to do: existing tests are untouched",
        WARNING,
    ),
    "dependency.lockfile": _row(
        "DEPENDENCY_POLICY",
        "a lock file changed, and the dependency policy does not allow it",
        "revert the lock file, or ask for allow_lockfile_changes",
    ),
    "dependency.manifest": _row(
        "DEPENDENCY_POLICY",
        "a dependency manifest changed, and the dependency policy does not allow it",
        "revert the manifest, or ask for allow_dependency_manifest_changes",
    ),
    "dependency.added": _row(
        "DEPENDENCY_POLICY",
        "a dependency was added, and the dependency policy does not allow it",
        "remove the dependency, or ask for allow_new_dependencies",
    ),
    # ---- the work
    "work.nothing_changed": _row(
        "NO_CHANGE",
        "the worker says PASS, and the tree is what it was",
        "do the work, or ask for allow_no_change",
    ),
    "claims.exit_code_differs": _row(
        "CLAIM_MISMATCH",
        "the worker reports another exit code than we saw",
        "run the command on the final tree and report what it returned",
        REFUSAL,
        WARNING,
    ),
    "check.no_force": _row(
        "CHECK_WITHOUT_FORCE",
        "a required command cannot fail, so passing it shows nothing",
        "ask for a command that fails when the work is wrong",
    ),
    "check.ran_no_test": _row(
        "CHECK_WITHOUT_FORCE",
        "the test runner ran no test",
        "make the command run the tests of this step",
    ),
    "check.failed": _row(
        "COMMAND_FAILED",
        "a required command did not exit with 0",
        "run the command and mend what it reports",
    ),
    "check.failed_inside": _row(
        "COMMAND_FAILED",
        "the command exited with 0 although its test runner reports failures",
        "mend the failing tests; the command hides their exit code",
    ),
    "check.hangs": _row(
        "COMMAND_FAILED",
        "the command was stopped at a limit, and ends by itself on the base tree",
        "find what makes the command run on, or use more memory, than before",
    ),
    "check.fewer_tests": _row(
        "TESTS_WEAKENED",
        "the command runs fewer tests than on the base tree",
        "restore the tests, or ask for allow_fewer_tests",
    ),
    "check.more_skipped": _row(
        "TESTS_WEAKENED",
        "the command skips more tests than on the base tree",
        "let the skipped tests run, or ask for allow_fewer_tests",
        WARNING,
        REFUSAL,
    ),
    "check.passes_on_base": _row(
        "CHECK_WITHOUT_FORCE",
        "the command passes on the base tree too, so it does not show this work",
        "add a check that fails without the work",
        WARNING,
        REFUSAL,
    ),
    "check.base_not_run": _row(
        "CHECK_COULD_NOT_RUN",
        "the pack asks for checks that fail on the base tree, and there is no such run",
        "let the controller run the commands on the base tree and review again",
        UNKNOWN,
    ),
    "check.changed_tree": _row(
        "CHECK_CHANGED_TREE",
        "the command itself changed files of the tree",
        "run the command and keep what it writes, or use its checking form",
        REFUSAL,
        WARNING,
    ),
    "check.no_output": _row(
        "EVIDENCE_INVALID",
        "a command whose output is the evidence printed nothing",
        "make the command print what it shows",
        REFUSAL,
        WARNING,
    ),
    "check.masked": _row(
        "CHECK_WITHOUT_FORCE",
        "the command can hide a failure",
        "take the exit code from the command that does the checking",
        WARNING,
    ),
    "check.not_run": _row(
        "CHECK_COULD_NOT_RUN",
        "there is no run of ours of a required command",
        "let the controller run the command and review again",
        UNKNOWN,
    ),
    "check.could_not_run": _row(
        "CHECK_COULD_NOT_RUN",
        "a required command could not run, so it proves nothing",
        "mend the place where checks run: the program, its modules, the disk, the limits",
        UNKNOWN,
    ),
    "check.timed_out": _row(
        "CHECK_COULD_NOT_RUN",
        "a required command did not end in time, so it proves nothing",
        "give it a longer check_timeout_sec, or a smaller job",
        UNKNOWN,
    ),
    # ---- what the worker says
    "claims.criterion_unmet": _row(
        "AC_NOT_MET",
        "the worker itself says that a criterion is not met",
        "meet the criterion",
    ),
    "claims.criterion_missing": _row(
        "AC_NOT_MET",
        "the answer says nothing about a criterion",
        "answer every acceptance criterion, word for word",
        REFUSAL,
        WARNING,
    ),
    "claims.criterion_unexpected": _row(
        "CLAIM_MISMATCH",
        "the answer names a criterion that the StepPack does not have",
        "answer the criteria of the StepPack, no others",
    ),
    "claims.criterion_twice": _row(
        "CLAIM_MISMATCH",
        "the answer says both met and not met of one criterion",
        "answer each criterion once",
    ),
    "claims.criterion_reworded": _row(
        "CLAIM_MISMATCH",
        "the answer has a criterion's id and other words",
        "repeat the criterion word for word",
        WARNING,
    ),
    "claims.wrong_step": _row(
        "CLAIM_MISMATCH",
        "the answer belongs to another task, run or step",
        "answer with the task_id, run_id and step_id of the StepPack",
        REFUSAL,
        WARNING,
    ),
    "claims.file_missing": _row(
        "CLAIM_MISMATCH",
        "a path changed that the answer does not list",
        "list every changed path in files_changed",
        REFUSAL,
        WARNING,
    ),
    "claims.file_extra": _row(
        "CLAIM_MISMATCH",
        "the answer lists a path that did not change",
        "list only paths that changed",
    ),
    "claims.self_check": _row(
        "CLAIM_MISMATCH",
        "the answer's scope self-check is not what we see",
        "check the changed paths against the scope before answering",
        REFUSAL,
        WARNING,
    ),
    "claims.command_missing": _row(
        "EVIDENCE_INVALID",
        "the answer has no record of a command that the StepPack requires",
        "run every entry of commands_to_run and record it",
        REFUSAL,
        WARNING,
    ),
    "claims.evidence_prefix": _row(
        "EVIDENCE_INVALID",
        "an evidence path lies outside .artifacts/agent_runs/",
        "write evidence below .artifacts/agent_runs/",
        REFUSAL,
        WARNING,
    ),
    "claims.evidence_missing": _row(
        "EVIDENCE_INVALID",
        "an evidence path is named and nothing is there",
        "name only files that this attempt wrote",
        REFUSAL,
        WARNING,
    ),
    "claims.evidence_stale": _row(
        "EVIDENCE_INVALID",
        "an evidence file was not produced in this attempt",
        "produce the evidence again in this attempt",
        REFUSAL,
        WARNING,
    ),
    "claims.evidence_unread": _row(
        "EVIDENCE_UNCLEAR",
        "an evidence path or pattern was not looked at, so nothing is known of it",
        "let the controller look at claimed evidence and review again",
        UNKNOWN,
        WARNING,
    ),
    "claims.pattern_unmatched": _row(
        "EVIDENCE_INVALID",
        "an evidence_required pattern matches nothing",
        "leave the evidence that the StepPack asks for",
    ),
    "claims.map_missing": _row(
        "EVIDENCE_INVALID",
        "evidence_map names no evidence for a criterion",
        "map every criterion's id to its evidence",
        REFUSAL,
        WARNING,
    ),
    "claims.map_unknown": _row(
        "EVIDENCE_INVALID",
        "evidence_map names a criterion that the StepPack does not have",
        "use the ids of the StepPack's criteria",
        REFUSAL,
        WARNING,
    ),
    "worker.says_blocked": _row(
        "WORKER_BLOCKED",
        "the worker says that it cannot go on without an answer",
        "answer its question, or change the StepPack",
    ),
    "worker.says_fail": _row(
        "WORKER_REPORTED_FAIL",
        "the worker says itself that the work is not done",
        "finish the work",
    ),
    "worker.left_processes": _row(
        "WORKER_DIED",
        "processes of the worker lived on and were killed",
        "end every process that you start",
        WARNING,
    ),
}

ORDER: Final[dict[str, int]] = {name: place for place, name in enumerate(RULES)}
