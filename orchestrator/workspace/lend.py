"""A git directory for a copy of a tree, so that checks which ask git get an answer.

Packs ask for `git status --short` or `git diff --check` as evidence. In a bare copy of the files
git would say that there is no repository. What is lent says what the worker's own tree says: `HEAD`
is the tree from which the attempt started, the index holds it, and the work lies in the files.
Objects are borrowed from the user's store for reading; whatever a check writes stays in the copy.
"""

from __future__ import annotations

from pathlib import Path

from orchestrator.workspace.git import Git
from orchestrator.workspace.objects import commit_bytes, write_object
from orchestrator.workspace.repository import ATTRIBUTES, Repository

_CONFIG = """\
[core]
\trepositoryformatversion = {version}
\tbare = false
\thooksPath = /dev/null
{extensions}"""


def lend_git(git: Git, repository: Repository, copy: Path, tree: str) -> None:
    """Make `copy/.git` a repository whose one commit holds `tree`. Costs one process."""
    place = copy / ".git"
    for part in ("objects/info", "refs/heads", "info"):
        (place / part).mkdir(parents=True, exist_ok=True)
    form = repository.object_format
    extensions = "" if form == "sha1" else f"[extensions]\n\tobjectFormat = {form}\n"
    config = _CONFIG.format(version=1 if extensions else 0, extensions=extensions)
    (place / "config").write_text(config)
    (place / "info" / "exclude").write_bytes(repository.excludes)
    (place / "info" / "attributes").write_text(ATTRIBUTES)
    (place / "objects" / "info" / "alternates").write_text(f"{repository.objects}\n")
    body = commit_bytes(tree, "base\n", None, 0)
    oid = write_object(place / "objects", "commit", body, form, durable=False)
    (place / "refs" / "heads" / "base").write_text(f"{oid}\n")
    (place / "HEAD").write_text("ref: refs/heads/base\n")
    git.run(["read-tree", tree], extra={"GIT_INDEX_FILE": str(place / "index")})
