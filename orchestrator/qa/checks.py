"""The required commands, as the controller ran them.

What is required: each `required_command_exit_0` gate, and each entry of `commands_to_run` that no
gate speaks of (a command that a person lists is meant to pass). For a
`required_command_evidence_only` gate the exit code does not count and what it printed does: an
empty output is told when the command exited with 0 (a quiet `git diff --check` is an ordinary
answer) and refused otherwise.

A run that could not happen proves nothing: unknown, and never charged. Where the same command ends
by itself on the base tree, a stop at a limit or a missing program is the work's own doing: refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from orchestrator.protocol.evidence import CommandRun
from orchestrator.protocol.step_pack import Gate
from orchestrator.protocol.verdict import Finding, Severity
from orchestrator.qa.case import Case
from orchestrator.qa.findings import finding
from orchestrator.qa.names import shown

_STOPPED: Final = frozenset(
    {"runtime_exceeded", "silence_exceeded", "memory_exceeded", "output_exceeded"}
)
_NO_SUCH_PROGRAM: Final = frozenset({126, 127})


@dataclass(frozen=True, slots=True)
class _Required:
    """One command of the pack, with the gate that asks for it (None: no gate speaks of it)."""

    index: int
    command: str
    gate: Gate | None
    criteria: tuple[str, ...]
    run: CommandRun | None
    base: CommandRun | None

    def finding(
        self, rule: str, what: str, severity: Severity | None = None, mend: str | None = None
    ) -> Finding:
        """Make a finding about this command."""
        run = self.run
        outputs = [] if run is None else [e.path for e in (run.stdout, run.stderr) if e is not None]
        return finding(
            rule,
            shown(self.command),
            what,
            severity=severity,
            mend=mend,
            gate_id=self.gate.gate_id if self.gate else None,
            criteria=self.criteria,
            evidence=outputs,
        )


def review_checks(case: Case) -> Iterator[Finding]:
    """Give every finding about the required commands, in the order of the pack."""
    for one in _required(case):
        if one.run is None:
            if case.facts.worker.ending not in {"cancelled", "not_started"}:
                yield one.finding("check.not_run", _why_not_run(case, one))
        elif one.gate is not None and one.gate.type == "required_command_evidence_only":
            yield from _evidence_only(case, one, one.run)
        else:
            yield from _exit_zero(case, one, one.run)


def _required(case: Case) -> Iterator[_Required]:
    runs = {run.index: run for run in case.facts.commands}
    bases = {run.index: run for run in case.facts.base_commands}
    for index, command in enumerate(case.pack.commands_to_run):
        gates: list[Gate | None] = [
            gate
            for gate in case.pack.gates
            if gate.command_index == index and gate.type.startswith("required_command")
        ]
        run = runs.get(index)
        if run is not None and (run.command != command or not _same_tree(case, run)):
            run = None  # a run of something else, or on another tree, is no run
        for gate in gates or [None]:
            criteria = case.criteria_of(gate) if gate is not None else case.pack.acceptance_criteria
            yield _Required(index, command, gate, criteria, run, bases.get(index))


def _why_not_run(case: Case, one: _Required) -> str:
    for run in case.facts.commands:
        if (run.index, run.command) == (one.index, one.command) and not _same_tree(case, run):
            return "the tree changed while it ran, so it says nothing about the present one"
    return "it was not run by us"


def _same_tree(case: Case, run: CommandRun) -> bool:
    return not case.facts.tree or run.tree == case.facts.tree


def _evidence_only(case: Case, one: _Required, run: CommandRun) -> Iterator[Finding]:
    if (why := _could_not_run(run)) is not None:
        yield one.finding("check.could_not_run", why)
        return
    if run.ending in _STOPPED:
        yield one.finding("check.timed_out", f"ended as {run.ending} after {run.wall_ms} ms")
        return
    printed = sum(item.size_bytes for item in (run.stdout, run.stderr) if item is not None)
    if not printed:
        quiet = run.exit_code == 0
        yield one.finding(
            "check.no_output",
            f"exit code {run.exit_code}, and nothing on stdout or stderr",
            Severity.WARNING if quiet else Severity.REFUSAL,
        )
    yield from _changed_tree(case, one, run)


def _exit_zero(case: Case, one: _Required, run: CommandRun) -> Iterator[Finding]:
    yield from _force(one, run)
    passed = run.ending == "exited" and run.exit_code == 0 and run.harness_fault is None
    if passed:
        yield from _counts(case, one, run)
        yield from _base(case, one, run)
    else:
        yield from _not_passed(one, run)
    yield from _changed_tree(case, one, run)


def _force(one: _Required, run: CommandRun) -> Iterator[Finding]:
    if run.always_succeeds is not None:
        yield one.finding("check.no_force", run.always_succeeds)
    elif run.failure_masked is not None:
        yield one.finding("check.masked", run.failure_masked)


def _not_passed(one: _Required, run: CommandRun) -> Iterator[Finding]:
    """Tell product red from harness red, by the facts and by the base run where there is one."""
    ended_on_base = one.base is not None and _ended_by_itself(one.base)
    if run.ending in _STOPPED:
        what = f"ended as {run.ending} after {run.wall_ms} ms"
        if one.base is not None and ended_on_base and 2 * one.base.wall_ms <= run.wall_ms:
            yield one.finding("check.hangs", f"{what}; on the base tree {one.base.wall_ms} ms")
        else:
            yield one.finding("check.timed_out", what)
        return
    why = _could_not_run(run)
    if why is not None and not (ended_on_base and run.ending == "exited"):
        yield one.finding("check.could_not_run", why)
        return
    if run.tests is not None and run.tests.executed == 0 and not run.tests.failed:
        yield one.finding("check.ran_no_test", f"{run.tests.runner} ran no test")
    if run.ending == "signalled":
        yield one.finding("check.failed", f"ended by signal {run.signal}")
    else:
        failed = run.tests.failed if run.tests is not None else None
        tests = f", {failed} of {_total(run)} tests failed" if failed else ""
        yield one.finding("check.failed", f"exit code {run.exit_code}{tests}")


def _could_not_run(run: CommandRun) -> str | None:
    if run.harness_fault is not None:
        return run.harness_fault
    if run.ending in {"not_started", "cancelled"}:
        return f"ended as {run.ending}"
    if run.ending == "exited" and run.exit_code in _NO_SUCH_PROGRAM:
        return f"exit code {run.exit_code}: the program is missing or may not be run"
    return None


def _ended_by_itself(run: CommandRun) -> bool:
    return run.ending == "exited" and _could_not_run(run) is None


def _counts(case: Case, one: _Required, run: CommandRun) -> Iterator[Finding]:
    tests, base = run.tests, one.base.tests if one.base is not None else None
    if tests is not None and tests.failed:
        yield one.finding("check.failed_inside", f"{tests.failed} of {_total(run)} tests failed")
    if tests is not None and tests.executed == 0:
        yield one.finding("check.ran_no_test", f"{tests.runner} ran no test")
        return
    if base is None or case.pack.allow_fewer_tests or base.executed == 0:
        return
    now = tests.executed if tests is not None else 0
    if now < base.executed:
        yield one.finding("check.fewer_tests", f"{now} tests ran, {base.executed} on the base tree")
    skipped, before = (tests.skipped or 0) if tests is not None else 0, base.skipped or 0
    if skipped > before:
        touched = case.tests_changed
        yield one.finding(
            "check.more_skipped",
            f"{skipped} tests were skipped, {before} on the base tree"
            + ("; tests were changed" if touched else ""),
            Severity.REFUSAL if touched else Severity.WARNING,
        )


def _base(case: Case, one: _Required, run: CommandRun) -> Iterator[Finding]:
    base = one.base
    if base is None or not _ended_by_itself(base):
        if case.pack.red_first:
            why = "was not run" if base is None else _could_not_run(base) or base.ending
            yield one.finding("check.base_not_run", f"on the base tree: {why}")
        return
    changed = case.facts.tree != case.facts.base_tree or bool(case.in_tree)
    refuse = case.pack.red_first  # a pack that asks for red is not satisfied by one more test
    if base.exit_code == 0 and changed and (refuse or not _more_tests(run, base)):
        yield one.finding(
            "check.passes_on_base",
            "exit code 0 on the base tree too",
            Severity.REFUSAL if refuse else Severity.WARNING,
        )


def _more_tests(run: CommandRun, base: CommandRun) -> bool:
    return (
        run.tests is not None
        and base.tests is not None
        and base.tests.executed > 0
        and run.tests.executed > base.tests.executed
    )


def _changed_tree(case: Case, one: _Required, run: CommandRun) -> Iterator[Finding]:
    changed = _own_changes(case, run)
    if changed is None:
        return
    base = _own_changes(case, one.base) if one.base is not None else None
    same_on_base = base is not None and set(changed) <= set(base)
    names = ", ".join(shown(path) for path in changed[:5]) or "the tree's digest differs"
    more = f" and {len(changed) - 5} more" if len(changed) > 5 else ""  # noqa: PLR2004
    yield one.finding(
        "check.changed_tree",
        f"it changed {names}{more}" + ("; on the base tree too" if same_on_base else ""),
        Severity.WARNING if same_on_base else Severity.REFUSAL,
    )


def _own_changes(case: Case, run: CommandRun) -> tuple[str, ...] | None:
    """Give the paths that a check changed without leavings of tools, or None for no change."""
    if run.changed_paths is not None:
        real = tuple(
            path
            for path in run.changed_paths
            if not (case.policy.litter.holds(path) or case.is_evidence(path))
        )
        return real or None
    return () if run.tree_after is not None and run.tree_after != run.tree else None


def _total(run: CommandRun) -> int:
    return run.tests.executed if run.tests is not None else 0
