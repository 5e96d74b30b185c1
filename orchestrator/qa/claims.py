r"""The worker's claims against the facts: criteria, commands, files, evidence.

**Which claims are required follows the pack.** A pack with `evidence_required`, or with a
`qa_evidence_review` gate, wants every criterion answered, every command recorded and every path
backed: what is missing is refused. Any other pack wants the work, and a worker that is a plain
command may say little: what it leaves out is told. What it does say has to be true either way.

A file list is wanted by a `qa_scope_guard_review` gate; once a worker gives one, it has to be the
list that we see. The order does not count, nor do `./`, a final `/`, `\`, quotes, Unicode form,
lines copied from `git status`, absolute paths into the tree, or the old end of a rename.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from typing import Final

from orchestrator.protocol.evidence import ClaimedFile, CommandRun
from orchestrator.protocol.step_pack import criterion_id
from orchestrator.protocol.step_result import CommandClaim, StepResult
from orchestrator.protocol.verdict import Finding, Severity
from orchestrator.qa.case import Case, ends
from orchestrator.qa.findings import finding
from orchestrator.qa.names import claimed_paths, plain, quoted, shown
from orchestrator.qa.shell import without_comment
from orchestrator.vocabulary import ARTIFACTS_ROOT

_PREFIX: Final = ARTIFACTS_ROOT + "/"


def review_claims(case: Case) -> Iterator[Finding]:
    """Give every finding about what the worker says; nothing where it gave no answer."""
    result = case.result
    if result is None:
        return
    yield from _identity(case, result)
    yield from _criteria(case, result)
    yield from _commands(case, result)
    yield from _files(case, result)
    yield from _self_check(case, result)
    yield from _evidence_paths(case, result)
    yield from _map(case, result)
    yield from _patterns(case)


def _optional(required: bool) -> Severity:  # noqa: FBT001  reads as a sentence
    return Severity.REFUSAL if required else Severity.WARNING


def _identity(case: Case, result: StepResult) -> Iterator[Finding]:
    pack = case.pack
    wrong = [
        (name, said, asked)
        for name, said, asked in (
            ("task_id", result.task_id, pack.task_id),
            ("run_id", result.run_id, pack.run_id),
            ("step_id", result.step_id, pack.step_id),
        )
        if said is not None and asked is not None and said != asked
    ]
    for name, said, asked in wrong:
        # "S1" is what the model fills in when a worker does not name its step
        vague = name == "step_id" and said == "S1"
        yield finding(
            "claims.wrong_step",
            name,
            f"the answer says {quoted(said)}, the StepPack {asked}",
            severity=_optional(not vague),
        )
    said_attempt = result.attempt_id
    if said_attempt is not None and said_attempt != case.facts.attempt_id:
        # workers may number their own attempts, so this proves nothing
        yield finding(
            "claims.wrong_step",
            "attempt_id",
            f"the answer says {quoted(said_attempt)}, this is {case.facts.attempt_id}",
            severity=Severity.WARNING,
        )


# ---- criteria


def _criteria(case: Case, result: StepResult) -> Iterator[Finding]:
    by_text = {_text(text): text for text in case.pack.acceptance_criteria}
    answers: dict[str, list[bool]] = {}
    for place, claim in enumerate(result.verification_results):
        where = f"verification_results[{place}]"
        full = by_text.get(_text(claim.criteria))
        if full is None:
            full = case.criteria.get(criterion_id(claim.criteria))
            if full is None:
                yield finding("claims.criterion_unexpected", where, quoted(claim.criteria))
                continue
            yield finding(
                "claims.criterion_reworded", where, quoted(claim.criteria), criteria=[full]
            )
        answers.setdefault(full, []).append(claim.met)
    required = case.asks_evidence or bool(result.verification_results)
    for text in case.pack.acceptance_criteria:
        yield from _answered(case, text, answers.get(text), required=required)


def _answered(
    case: Case, text: str, met: list[bool] | None, *, required: bool
) -> Iterator[Finding]:
    where = shown(criterion_id(text))
    if met is None:
        if case.says_pass:
            yield finding(
                "claims.criterion_missing",
                where,
                "no entry of verification_results",
                severity=_optional(required),
                criteria=[text],
            )
    elif len(set(met)) > 1:
        yield finding("claims.criterion_twice", where, "met and not met", criteria=[text])
    elif case.says_pass and not met[0]:
        yield finding(
            "claims.criterion_unmet", where, "result PASS, but met is false", criteria=[text]
        )


def _text(text: str) -> str:
    return unicodedata.normalize("NFC", " ".join(text.split()))


# ---- commands


def _commands(case: Case, result: StepResult) -> Iterator[Finding]:
    said: dict[str, CommandClaim] = {}
    for claim in result.commands_executed:
        said[_command(claim.command)] = claim  # the last run of a command counts
    required = case.asks_evidence or bool(said)
    runs = {run.index: run for run in case.facts.commands}
    for index, command in enumerate(case.pack.commands_to_run):
        claimed = said.get(_command(command))
        if claimed is None:
            if case.says_pass:
                yield finding(
                    "claims.command_missing",
                    shown(command),
                    "no entry of commands_executed",
                    severity=_optional(required),
                )
        elif (run := runs.get(index)) is not None:
            yield from _exit_code(command, claimed, run)


def _exit_code(command: str, claimed: CommandClaim, run: CommandRun) -> Iterator[Finding]:
    if run.ending != "exited" or run.harness_fault is not None or run.exit_code is None:
        return
    if claimed.exit_code == run.exit_code:
        return
    outputs = [item.path for item in (run.stdout, run.stderr) if item is not None]
    yield finding(
        "claims.exit_code_differs",
        shown(command),
        f"the worker reports {claimed.exit_code}, we saw {run.exit_code}",
        severity=_optional(claimed.exit_code == 0),  # only a made-up success is a lie to gain by
        evidence=outputs,
    )


def _command(text: str) -> str:
    return " ".join(without_comment(text).split())


# ---- files


def _files(case: Case, result: StepResult) -> Iterator[Finding]:
    changed = {plain(path): change for change in case.in_tree for path in ends(change)}
    spared = {plain(change.old_path) for change in case.in_tree if change.old_path is not None} | {
        plain(change.path) for change in case.in_tree if case.is_litter(change)
    }
    covered, extra = _matched(case, result.files_changed, frozenset(changed))
    required = bool(result.files_changed) or case.has_gate("qa_scope_guard_review")
    for path, change in changed.items():
        if path not in covered and path not in spared:
            yield finding(
                "claims.file_missing",
                shown(path),
                f"{change.kind}, and not in files_changed",
                severity=_optional(required),
            )
    for entry in extra:
        yield finding("claims.file_extra", quoted(entry), "in files_changed, and unchanged")


def _matched(
    case: Case, entries: tuple[str, ...], changed: frozenset[str]
) -> tuple[set[str], list[str]]:
    """Match a worker's list with ours: the paths it covers, and the entries that fit nothing."""
    known = changed | {plain(path) for change in case.ignored for path in ends(change)}
    new_folders = _new_folders(case)
    covered: set[str] = set()
    extra = []
    for entry in entries:
        meant = claimed_paths(entry)
        hits = {hit for path in meant for hit in _hits(path, known, new_folders)}
        covered |= hits
        if meant and not hits and not any(case.is_evidence(path) for path in meant):
            extra.append(entry)
    return covered, extra


def _hits(path: str, known: frozenset[str], new_folders: dict[str, list[str]]) -> list[str]:
    if path in known:
        return [path]
    if path.startswith("/"):  # an absolute path into the worker's copy of the tree
        return [tail for tail in _tails(path) if tail in known][:1]
    return new_folders.get(path, [])


def _tails(path: str) -> Iterator[str]:
    """Give the relative paths that an absolute one may end with, the longest first."""
    while path:
        _, _, path = path.partition("/")
        if path:
            yield path


def _new_folders(case: Case) -> dict[str, list[str]]:
    """Give the folders in which every change is a new file: `git status` names them once."""
    inside: dict[str, list[str]] = {}
    old: set[str] = set()
    for change in case.facts.changes:
        for path in ends(change):
            folder = plain(path)
            while folder := folder.rpartition("/")[0]:
                if change.kind == "added":
                    inside.setdefault(folder, []).append(plain(path))
                else:
                    old.add(folder)
    return {folder: paths for folder, paths in inside.items() if folder not in old}


def _self_check(case: Case, result: StepResult) -> Iterator[Finding]:
    check = result.scope_guard.self_check
    paths = [path for c in case.in_tree if not case.is_litter(c) for path in ends(c)]
    forbidden = any(case.forbidden.match(path) for path in paths)
    within = all(case.allowed.match(path) for path in paths) and not forbidden
    for name, said, seen in (
        ("all_changed_files_within_allowed", check.all_changed_files_within_allowed, within),
        ("any_changed_files_in_forbidden", check.any_changed_files_in_forbidden, forbidden),
    ):
        if said is None or said == seen:
            continue
        flattering = said if name.startswith("all") else not said
        yield finding(
            "claims.self_check",
            name,
            f"the answer says {str(said).lower()}, we see {str(seen).lower()}",
            severity=_optional(flattering),
        )


# ---- evidence


def _claimed(result: StepResult) -> Iterator[tuple[str, str]]:
    """Give (where, path) of every evidence path in an answer."""
    for place, command in enumerate(result.commands_executed):
        if command.evidence_path:
            yield f"commands_executed[{place}].evidence_path", command.evidence_path
    for place, criterion in enumerate(result.verification_results):
        if criterion.evidence_path:
            yield f"verification_results[{place}].evidence_path", criterion.evidence_path
    for name in sorted(result.evidence_map):
        for place, path in enumerate(result.evidence_map[name]):
            yield f"evidence_map[{shown(name)}][{place}]", path


def _evidence_paths(case: Case, result: StepResult) -> Iterator[Finding]:
    seen = {plain(item.path): item for item in case.facts.claimed_files}
    for where, path in _claimed(result):
        yield from _one_path(case, where, path, seen.get(plain(path)))


def _one_path(case: Case, where: str, path: str, seen: ClaimedFile | None) -> Iterator[Finding]:
    severity = _optional(case.asks_evidence)
    if not plain(path).startswith(_PREFIX) or "/../" in f"/{path}/":
        yield finding("claims.evidence_prefix", where, quoted(path), severity=severity)
        return
    if seen is None:
        unread = Severity.UNKNOWN if case.asks_evidence else Severity.WARNING
        yield finding("claims.evidence_unread", where, quoted(path), severity=unread)
    elif not seen.prefix_ok:
        yield finding("claims.evidence_prefix", where, quoted(path), severity=severity)
    elif not seen.exists:
        yield finding("claims.evidence_missing", where, quoted(path), severity=severity)
    elif not seen.produced_in_attempt:
        yield finding("claims.evidence_stale", where, quoted(path), severity=severity)


def _map(case: Case, result: StepResult) -> Iterator[Finding]:
    severity = _optional(case.asks_evidence)
    for name in sorted(result.evidence_map):
        if criterion_id(name) not in case.criteria:
            yield finding("claims.map_unknown", "evidence_map", quoted(name), severity=severity)
    if not case.says_pass or not (case.asks_evidence or result.evidence_map):
        return
    mapped = {criterion_id(name) for name, paths in result.evidence_map.items() if paths}
    for name, text in case.criteria.items():
        if name not in mapped:
            yield finding(
                "claims.map_missing", shown(name), "not in evidence_map", severity=severity,
                criteria=[text],
            )  # fmt: skip


def _patterns(case: Case) -> Iterator[Finding]:
    counted = {item.id: item for item in case.facts.patterns}
    for wanted in case.pack.evidence_required:
        criteria = [case.criteria[name] for name in wanted.required_for if name in case.criteria]
        seen = counted.get(wanted.id)
        if seen is None:
            yield finding(
                "claims.evidence_unread", wanted.id, f"pattern {quoted(wanted.path_pattern)}",
                criteria=criteria,
            )  # fmt: skip
        elif seen.matches == 0:
            yield finding(
                "claims.pattern_unmatched", wanted.id, f"pattern {quoted(wanted.path_pattern)}",
                criteria=criteria,
            )  # fmt: skip
