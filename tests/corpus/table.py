"""What came of the corpora, for people and for machines."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from tests.corpus.book import load
from tests.corpus.run import Result, run_all

Row = dict[str, int]


def by_family(results: Iterable[Result]) -> dict[str, Row]:
    """Count outcomes for each rule family; a refusal counts for the family that refused."""
    rows: dict[str, Row] = {}
    for result in results:
        _count(rows, result.family, result)
        if result.honest and result.outcome == "false refusal":
            blamed = result.found[0].partition(".")[0] if result.found else result.family
            rows[result.family]["false_refusals"] -= 1
            _row(rows, blamed)["false_refusals"] += 1
    return dict(sorted(rows.items()))


def by_gate(results: Iterable[Result]) -> dict[str, Row]:
    """Count outcomes for each type of gate that stood in a pack.

    A false accept counts for every gate that said yes to it, a false refusal or an unknown for
    every gate that said so.
    """
    rows: dict[str, Row] = {}
    for result in results:
        for kind, colour in dict.fromkeys(result.gates):
            row = _row(rows, kind)
            if result.honest:
                row["honest"] += 1
                row["false_refusals"] += colour == "refused" and result.outcome == "false refusal"
                row["unknown"] += colour == "unknown" and result.outcome == "unknown"
            else:
                row["lies"] += 1
                row["false_accepts"] += result.outcome == "false accept"
    return dict(sorted(rows.items()))


def _count(rows: dict[str, Row], name: str, result: Result) -> None:
    row = _row(rows, name)
    row["honest" if result.honest else "lies"] += 1
    key = {
        "false accept": "false_accepts",
        "false refusal": "false_refusals",
        "other reason": "wrong_reason",
        "not put back": "not_put_back",
        "unknown": "unknown",
        "broken": "false_refusals" if result.honest else "wrong_reason",
    }.get(result.outcome)
    if key is not None:
        row[key] += 1


def _row(rows: dict[str, Row], name: str) -> Row:
    empty = {"lies": 0, "false_accepts": 0, "wrong_reason": 0, "not_put_back": 0, "honest": 0,
             "false_refusals": 0, "unknown": 0}  # fmt: skip
    return rows.setdefault(name, empty)


def as_data(results: Sequence[Result], seconds: float) -> dict[str, Any]:
    """Give everything as one JSON object."""
    return {
        "ok": all(result.fine for result in results),
        "seconds": round(seconds, 2),
        "cases": len(results),
        "lies": sum(not result.honest for result in results),
        "honest": sum(result.honest for result in results),
        "outcomes": dict(sorted(Counter(result.outcome for result in results).items())),
        "families": by_family(results),
        "gates": by_gate(results),
        "misses": [result._asdict() for result in results if not result.fine],
        "stale_marks": [result.name for result in results if result.fine and result.known_miss],
        "results": [
            {"name": r.name, "honest": r.honest, "rule": r.rule, "outcome": r.outcome,
             "reason": r.reason, "found": list(r.found), "seconds": r.seconds}
            for r in results
        ],
    }  # fmt: skip


def render(results: Sequence[Result], seconds: float) -> str:
    """Give everything as text for a person."""
    lies = [result for result in results if not result.honest]
    honest = [result for result in results if result.honest]
    lines = [
        f"{len(lies)} lies and {len(honest)} honest changes through the real engine, "
        f"{seconds:.0f} s.",
        "",
        *_table("rule family", by_family(results)),
        "",
        *_table("gate", by_gate(results), gates=True),
    ]
    for title, chosen in (
        ("Known misses", [r for r in results if not r.fine and r.known_miss]),
        ("MISSES", [r for r in results if not r.fine and not r.known_miss]),
        ("Marked as known misses, and right", [r for r in results if r.fine and r.known_miss]),
    ):
        if chosen:
            lines += ["", f"{title}:"]
            for result in chosen:
                lines += _story(result)
    if all(result.fine for result in results):
        lines += ["", "No false accept, no false refusal."]
    return "\n".join(lines)


def _story(result: Result) -> list[str]:
    found = ", ".join(result.found) or "nothing"
    wanted = "to be accepted" if result.honest else result.rule
    lines = [
        f"  {result.name}: {result.outcome}",
        f"    {result.about}",
        f"    expected {wanted}; {result.state} {result.reason}; against it: {found}",
    ]
    lines += [f"    {problem}" for problem in result.problems]
    return lines + ([f"    known: {result.known_miss}"] if result.known_miss else [])


def _table(title: str, rows: dict[str, Row], *, gates: bool = False) -> list[str]:
    keys = ["lies", "false_accepts", "wrong_reason", "not_put_back", "honest", "false_refusals",
            "unknown"]  # fmt: skip
    if gates:  # a lie is refused by one gate and need not be by the others
        keys = [key for key in keys if key not in {"wrong_reason", "not_put_back"}]
    table = [[title, *(key.replace("_", " ") for key in keys)]]
    table += [[name, *(str(row[key]) for key in keys)] for name, row in rows.items()]
    if not gates:
        total = [str(sum(row[key] for row in rows.values())) for key in keys]
        table.append(["all", *total])
    widths = [max(len(line[column]) for line in table) for column in range(len(table[0]))]
    lines = [
        "  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]).rstrip()
        for line in table
    ]
    return [lines[0], "-" * len(lines[0]), *lines[1:]]


def main(argv: Sequence[str]) -> int:
    """Run the corpora and show what came of them; 1 when a verdict was wrong."""
    parser = argparse.ArgumentParser(
        prog="scripts/verdicts",
        description="Runs liars and honest changes through the real engine and counts false "
        "accepts and false refusals.",
        allow_abbrev=False,
    )
    parser.add_argument("names", nargs="*", help="cases to run  [default: all]")
    parser.add_argument("--json", action="store_true", help="for machines")
    parser.add_argument("--list", action="store_true", help="name the cases and run none")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 2, help="processes")
    flags = parser.parse_args(argv)
    if unknown := [name for name in flags.names if name not in load()]:
        parser.error(f"no case is called {', '.join(unknown)}; --list names them")
    if flags.list:
        for case in load().values():
            print(f"{case.name:48} {'honest' if case.honest else case.rule:30} {case.about}")
        return 0
    quiet = flags.json or not sys.stderr.isatty()
    started = time.monotonic()
    results = run_all(
        flags.names or None,
        workers=flags.workers,
        tell=None if quiet else lambda r: print(f"{r.outcome:14} {r.name}", file=sys.stderr),
    )
    seconds = time.monotonic() - started
    if flags.json:
        print(json.dumps(as_data(results, seconds), indent=1, ensure_ascii=False))
    else:
        print(render(results, seconds))
    return 0 if all(result.fine for result in results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
