"""Which paths and words make a task risky, by name alone.

A path is cut into segments and a segment into words at `-`, `_` and `.`, so that `auth/` is found
and `authors.py` is not. What is a glob is read as it stands: `.github/**` is CI.
"""

from __future__ import annotations

import re
from typing import Final, Literal

Kind = Literal["secret", "migration", "ci", "security", "dependency", "infrastructure"]

# The first kind that fits wins, so the graver kinds stand first.
_SEGMENTS: Final[tuple[tuple[Kind, frozenset[str]], ...]] = (
    ("secret", frozenset({".env", ".netrc", ".npmrc", ".pypirc", ".ssh", ".gnupg", "id_rsa"})),
    (
        "ci",
        frozenset(
            {
                ".github",
                ".gitlab-ci.yml",
                ".gitlab",
                ".circleci",
                ".ci",
                ".buildkite",
                ".woodpecker",
                "jenkinsfile",
                "azure-pipelines.yml",
                ".travis.yml",
                "bitbucket-pipelines.yml",
                ".pre-commit-config.yaml",
            }
        ),
    ),
    (
        "dependency",
        frozenset(
            {
                "pyproject.toml",
                "setup.py",
                "setup.cfg",
                "pipfile",
                "pipfile.lock",
                "poetry.lock",
                "uv.lock",
                "package.json",
                "package-lock.json",
                "yarn.lock",
                "pnpm-lock.yaml",
                "cargo.toml",
                "cargo.lock",
                "go.mod",
                "go.sum",
                "gemfile",
                "gemfile.lock",
                "pom.xml",
                "build.gradle",
                "build.gradle.kts",
                "composer.json",
                "composer.lock",
            }
        ),
    ),
    (
        "infrastructure",
        frozenset({"dockerfile", "docker-compose.yml", "compose.yaml", "procfile"}),
    ),
)
_WORDS: Final[tuple[tuple[Kind, frozenset[str]], ...]] = (
    ("secret", frozenset({"secret", "secrets", "credential", "credentials", "vault"})),
    ("migration", frozenset({"migration", "migrations", "migrate", "alembic", "flyway"})),
    (
        "security",
        frozenset(
            {
                "auth",
                "oauth",
                "authn",
                "authz",
                "authentication",
                "authorization",
                "security",
                "crypto",
                "permission",
                "permissions",
                "acl",
                "login",
                "password",
                "passwords",
                "jwt",
                "payment",
                "payments",
                "billing",
            }
        ),
    ),
    ("infrastructure", frozenset({"terraform", "kubernetes", "k8s", "helm", "ansible", "infra"})),
)
_SUFFIXES: Final[tuple[tuple[Kind, tuple[str, ...]], ...]] = (
    ("secret", (".pem", ".key", ".p12", ".pfx", ".keystore", ".jks")),
    ("migration", (".sql",)),
    ("infrastructure", (".tf", ".tfvars")),
)
_WORRYING: Final = re.compile(
    r"\b(?:passwords?|secrets?|credentials?|api keys?|private keys?|encrypt(?:ion|ed)?|payments?"
    r"|authenticat\w+|authoriz\w+|permissions?|vulnerabilit\w+|personal data|production data"
    r"|drop table|data loss)\b",
    re.IGNORECASE,
)
_CUT: Final = re.compile(r"[-_.]+")
_WIDE_FIRST: Final = frozenset({"", ".", "*", "**"})


def sensitive_kind(path: str) -> Kind | None:
    """Return what makes `path` (or glob) risky, or None."""
    segments = [part for part in path.casefold().replace("\\", "/").split("/") if part]
    for segment in segments:
        for kind, names in _SEGMENTS:
            if segment in names or (kind == "secret" and segment.startswith(".env.")):
                return kind
    for kind, words in _WORDS:
        if any(words.intersection(_CUT.split(segment)) for segment in segments):
            return kind
    last = segments[-1] if segments else ""
    if last.startswith("requirements") and last.endswith((".txt", ".in")):
        return "dependency"
    return next((kind for kind, ends in _SUFFIXES if last.endswith(ends)), None)


def wide_glob(path: str) -> bool:
    """Say whether `path` is bounded by no folder: `**`, `*`, `.`, `**/*.py`."""
    return path.strip().removeprefix("./").split("/", 1)[0] in _WIDE_FIRST


def top_level(path: str) -> str:
    """Return the folder at the root that `path` reaches into; empty for a file at the root."""
    head, slash, _ = path.strip().removeprefix("./").partition("/")
    return head if slash and head not in _WIDE_FIRST else ""


def worrying_words(text: str) -> list[str]:
    """Return the words of `text` that speak of security, each once, in order, at most five."""
    found = dict.fromkeys(match.group().casefold() for match in _WORRYING.finditer(text))
    return list(found)[:5]
