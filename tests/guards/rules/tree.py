"""What the guards look at: the files of a checkout, or of a small tree that a canary planted."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PRODUCT = ("orchestrator", "workflow_logger", "scripts", "examples", "benchmarks")
_SKIPPED = {".git", ".venv", "__pycache__", "node_modules"}


@dataclass(frozen=True)
class Tree:
    """A root, and the files under it that are, or would be, committed."""

    root: Path

    @cached_property
    def paths(self) -> tuple[str, ...]:
        """Names relative to the root, with `/`, sorted. Ignored files are left out."""
        if (self.root / ".git").exists():
            listed = subprocess.run(
                ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                cwd=self.root,
                env={key: value for key, value in os.environ.items() if not key.startswith("GIT_")},
                check=True,
                capture_output=True,
            ).stdout
            names = {os.fsdecode(name) for name in listed.split(b"\0") if name}
        else:
            names = {
                path.relative_to(self.root).as_posix()
                for path in self.root.rglob("*")
                if not _SKIPPED & set(path.parts)
            }
        return tuple(sorted(name for name in names if (self.root / name).is_file()))

    def under(self, *folders: str, suffix: str = "") -> Iterator[str]:
        """Yield the paths in these folders (all, if none is named) that end in `suffix`."""
        for path in self.paths:
            inside = not folders or path.split("/", 1)[0] in folders
            if inside and path.endswith(suffix):
                yield path

    def text(self, path: str) -> str:
        """Return a file's text; bytes that are not UTF-8 are replaced."""
        return (self.root / path).read_text(encoding="utf-8", errors="replace")

    def is_binary(self, path: str) -> bool:
        """Whether the first 8 KiB hold a NUL byte, as git asks."""
        with (self.root / path).open("rb") as file:
            return b"\0" in file.read(8192)


def plant(root: Path, files: dict[str, str], *, executable: tuple[str, ...] = ()) -> Tree:
    """Write `files` under `root`, for a canary."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755 if name in executable else 0o644)
    return Tree(root)
