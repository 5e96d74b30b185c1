"""`python -m workflow_logger`: the same as `python -m workflow_logger.cli`."""

from __future__ import annotations

import sys

from workflow_logger.cli import main

if __name__ == "__main__":
    sys.exit(main())
