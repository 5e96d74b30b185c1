"""Write the JSON Schemas of the wire models to `schemas/`, or compare with `--check`.

Exit code 0: written, or all equal. 1: `--check` found a difference (named on stderr).
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from orchestrator.process.contract import PhaseContract  # noqa: E402
from orchestrator.protocol.schemas import MODELS, render_schema  # noqa: E402


def rendered() -> dict[str, str]:
    """Return file name -> text of every schema."""
    models = {**MODELS, "phase_contract": PhaseContract}
    return {f"{name}.json": render_schema(name, model) for name, model in models.items()}


def differences(folder: Path) -> list[str]:
    """Name each file that is missing, old, or belongs to no model."""
    wanted = rendered()
    there = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.json")}
    return sorted(
        name for name in wanted.keys() | there.keys() if wanted.get(name) != there.get(name)
    )


def main(argv: list[str]) -> int:
    folder = ROOT / "schemas"
    if "--check" in argv:
        if found := differences(folder):
            print(f"schemas/ is not what the models say: {', '.join(found)}", file=sys.stderr)
            print("run scripts/export_schemas.py and commit the result", file=sys.stderr)
        return 1 if found else 0
    folder.mkdir(exist_ok=True)
    for name, text in rendered().items():
        (folder / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
