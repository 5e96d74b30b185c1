"""`python -m orchestrator`."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run the command line and exit with its code."""
    # The first pydantic model would otherwise scan the entry points of all installed packages.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    from orchestrator.cli.main import run  # noqa: PLC0415  after the variable is set

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
