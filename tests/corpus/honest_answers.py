"""Honest work with answers of every form that an honest worker may give."""

from __future__ import annotations

import json

from tests.corpus.book import Json, honest
from tests.corpus.hand import Hand
from tests.corpus.project import CHECK, evidence_pack, three_copies

TWO_ROUNDS = {"limits": {"max_rework_rounds": 1, "backoff_sec": 0}}


@honest("claims", pack={"gates": []})
def says_the_minimum(hand: Hand) -> Json:
    """Task and result, nothing else, where no gate asks for more."""
    hand.fix()
    return {"task_id": hand.task_id, "result": "PASS"}


@honest("claims")
def adds_keys_of_its_own(hand: Hand) -> Json:
    """`x_` keys are free."""
    hand.fix()
    return hand.claim(x_model="m-1", x_cost={"tokens": 5, "list": [1, None]})


@honest("claims")
def lists_files_with_a_dot(hand: Hand) -> Json:
    """./app/calc.py is app/calc.py."""
    hand.fix()
    return hand.claim(files_changed=["./app/calc.py"])


@honest("claims")
def lists_absolute_paths(hand: Hand) -> Json:
    """Paths into the tree it worked in."""
    hand.fix()
    return hand.claim(files_changed=[str(hand.base / "app/calc.py")])


@honest("claims")
def lists_lines_of_git_status(hand: Hand) -> Json:
    """Copied from `git status --short`, quoted names and all."""
    hand.fix()
    hand.write("app/data/Größe x.txt", "x\n")
    hand.move("app/names.py", "app/words.py")
    hand.git("add", "-A")
    out = hand.git("status", "--short")
    return hand.claim(files_changed=[line for line in out.splitlines() if line])


@honest("claims")
def lists_a_rename_by_its_new_name(hand: Hand) -> Json:
    """The old end is left out."""
    hand.fix()
    hand.move("app/names.py", "app/words.py")
    return hand.claim(files_changed=["app/calc.py", "app/words.py"])


@honest("claims")
def lists_a_rename_with_an_arrow(hand: Hand) -> Json:
    """`old -> new`, as git writes it."""
    hand.fix()
    hand.move("app/names.py", "app/words.py")
    return hand.claim(files_changed=["app/calc.py", "app/names.py -> app/words.py"])


@honest("claims")
def lists_a_new_folder(hand: Hand) -> Json:
    """`git status` names a new folder once."""
    hand.fix()
    hand.write("app/extra/a.py", "A = 1\n")
    hand.write("app/extra/b.py", "B = 1\n")
    return hand.claim(files_changed=["app/calc.py", "app/extra/"])


@honest("claims")
def lists_its_evidence_too(hand: Hand) -> Json:
    """Evidence and ignored files in files_changed are no lie."""
    hand.fix()
    hand.write(f"{hand.evidence}/notes.md", "notes\n")
    hand.write("build/out.txt", "x\n")
    files = ["app/calc.py", f"{hand.evidence}/notes.md", "build/out.txt"]
    return hand.claim(files_changed=files)


@honest("claims")
def records_more_commands_than_asked(hand: Hand) -> Json:
    """The check red first, then green, and a look at git."""
    hand.fix()
    runs = [(CHECK, 1), ("git status --short", 0), ("rg add app", 1), (CHECK, 0)]
    return hand.claim(commands_executed=[{"command": c, "exit_code": e} for c, e in runs])


@honest("claims")
def rewords_a_criterion(hand: Hand) -> Json:
    """The id is right, the words are shorter; white space differs."""
    hand.fix()
    rows = [{"criteria": "AC1", "met": True}, {"criteria": "AC2:  only app/\nchanges", "met": True}]
    return hand.claim(verification_results=rows)


@honest("claims")
def numbers_its_own_attempts(hand: Hand) -> Json:
    """An attempt id and a thread id of the worker."""
    hand.fix()
    return hand.claim(attempt_id="attempt-7", thread_id="thread-42")


@honest("claims")
def uses_the_other_names(hand: Hand) -> Json:
    """`verdict` and `changed_files`, as seed 004 says in places."""
    hand.fix()
    return {"task_id": hand.task_id, "verdict": "PASS", "changed_files": ["app/calc.py"]}


@honest("worker")
def answers_in_a_fenced_block(hand: Hand) -> None:
    """Prose, one json block, prose."""
    hand.fix()
    text = json.dumps(hand.claim(), indent=2)
    hand.answer_as(f"I repaired `add`.\n\n```json\n{text}\n```\n\nTell me if you need more.\n")


@honest("worker")
def answers_in_eight_sections(hand: Hand) -> None:
    """The text form of seed 004."""
    hand.fix()
    hand.answer_as(
        f"## 1. Step Identification\n- Task ID: {hand.task_id}\n- Step ID: {hand.step_id}\n"
        "- Result: PASS\n- Reason code: PASS_ALL_CRITERIA\n"
        "## 2. Summary of Work\nRepaired add.\n"
        "## 3. Files Changed\n- `app/calc.py`\n"
        f"## 4. Commands Executed\n- `{CHECK}` exit 0\n"
        "## 5. Verification Results\n"
        + "".join(f"- {text} => met\n" for text in hand.criteria())
        + "## 6. Logs / Artifacts\nNone\n## 7. Risks & Limitations\nNone\n"
        "## 8. Reproduction Guide\nRun the check.\n"
    )


@honest("worker")
def answers_as_claude_does(hand: Hand) -> None:
    """The result object of a command line client, with the answer as text inside."""
    hand.fix()
    text = f"Done.\n\n```json\n{json.dumps(hand.claim())}\n```\n"
    wrapped = {"type": "result", "subtype": "success", "is_error": False, "result": text}
    hand.answer_as(json.dumps({**wrapped, "session_id": "s-1", "num_turns": 3}))


@honest("worker")
def talks_a_lot_on_stderr(hand: Hand) -> None:
    """Progress, colours and odd bytes are not the answer."""
    import os

    hand.fix()
    os.write(2, b'\x1b[32mworking\x1b[0m {"result": "FAIL"} \xff\n' * 2000)


@honest("worker")
def leaves_a_server_running(hand: Hand) -> None:
    """A language server that outlives its worker is ended, and told."""
    hand.fix()
    hand.leave_behind(lambda: None, after_sec=600)


@honest("claims", shape=evidence_pack)
def gives_full_evidence(hand: Hand) -> Json:
    """Everything that a pack with an evidence review asks for."""
    hand.fix()
    return hand.full_claim()


@honest("claims", shape=three_copies)
def works_from_a_pack_of_seed_004(hand: Hand) -> Json:
    """Scope, criteria, gates and evidence written three times over."""
    hand.fix()
    return hand.full_claim()


@honest("claims", shape=evidence_pack, settings=TWO_ROUNDS)
def repairs_it_in_the_second_round(hand: Hand) -> Json:
    """Honest red first, rework, then green with new evidence."""
    if not hand.resumed:
        hand.pretend()
        claim = hand.full_claim(thread_id="t-1", result="FAIL", reason_code="AC_NOT_MET")
        for record in claim["commands_executed"]:
            record["exit_code"] = 1
        return claim
    hand.fix()
    return hand.full_claim(thread_id="t-1")


@honest("claims", settings=TWO_ROUNDS)
def mends_its_scope_in_the_second_round(hand: Hand) -> Json:
    """A file too many, taken back when told."""
    if not hand.resumed:
        hand.fix()
        hand.write("notes.txt", "my notes\n")
    else:
        hand.remove("notes.txt")
    return hand.claim(thread_id="t-2")
