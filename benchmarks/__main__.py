"""`python -m benchmarks [NAME ...] [--json] [--fast]`."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import sys
from typing import Any

from benchmarks.project import home
from benchmarks.rows import FAST, Row, Scale, table

GROUPS = ("floor", "cycle", "store", "verify", "start", "memory")


def measure(names: list[str], scale: Scale) -> list[Row]:
    """Measure the groups, in their order, in one temporary folder."""
    rows: list[Row] = []
    for name in GROUPS:
        if name in names:
            module = importlib.import_module(f"benchmarks.{name}")
            with home() as folder:
                rows += module.measure(folder, scale)
    return rows


def surroundings() -> dict[str, Any]:
    """Say on what machine, and how busy it was."""
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "cores": os.cpu_count() or 0,
        "load": [round(value, 1) for value in os.getloadavg()],
    }


def main(argv: list[str] | None = None) -> int:
    """Measure what is named (everything, without a name) and print it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(GROUPS))
    parser.add_argument("--json", action="store_true", help="one JSON document")
    parser.add_argument("--fast", action="store_true", help="fewer runs, shorter queues")
    given = parser.parse_args(argv)
    unknown = [name for name in given.names if name not in GROUPS]
    if unknown:
        parser.error(f"unknown figure {unknown[0]!r}; known: {', '.join(GROUPS)}")
    rows = measure(given.names or list(GROUPS), FAST if given.fast else Scale())
    if given.json:
        document = {**surroundings(), "rows": [item.as_dict() for item in rows]}
        print(json.dumps(document, indent=1))
    else:
        print(" · ".join(f"{name} {value}" for name, value in surroundings().items()))
        print(table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
