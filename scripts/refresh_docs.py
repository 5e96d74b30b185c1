#!/usr/bin/env python3
"""Write the generated parts of the documents anew: what stands between a pair of markers.

.venv/bin/python scripts/refresh_docs.py
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from orchestrator.kernel.diagram import refreshed  # noqa: E402


def main() -> int:
    page = ROOT / "docs" / "task-life.md"
    before = page.read_text(encoding="utf-8")
    after = refreshed(before)
    if after != before:
        page.write_text(after, encoding="utf-8")
        print(f"written: {page.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
