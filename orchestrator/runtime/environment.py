"""The environment of a child: an allow-list, never an inheritance.

What steers an interpreter, a loader, a test runner or git from outside is always gone, whatever
the allow-list says: such a variable turns a red check green without touching a file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Final

DEFAULT_ALLOW: Final[tuple[str, ...]] = (
    "PATH",
    "HOME",
    "LANG",
    "LANGUAGE",
    "LC_*",
    "TZ",
    "TMPDIR",
    "USER",
    "LOGNAME",
    "SHELL",
    "TERM",
)

ALWAYS_GONE: Final[tuple[str, ...]] = (
    # the loader and the allocator
    "LD_*",
    "DYLD_*",
    "GLIBC_TUNABLES",
    "GCONV_PATH",
    "MALLOC_*",
    # git and this program
    "GIT_*",
    "ORCHESTRATOR_*",
    # shells
    "BASH_ENV",
    "ENV",
    "BASH_FUNC_*",
    "BASHOPTS",
    "SHELLOPTS",
    "PROMPT_COMMAND",
    "PS4",
    "IFS",
    "CDPATH",
    "ZDOTDIR",
    # Python and its test tools
    "PYTEST_*",
    "PYTHON*",
    "COVERAGE_*",
    "COV_CORE_*",
    "HYPOTHESIS_*",
    # other languages and their build tools
    "NODE_OPTIONS",
    "NODE_PATH",
    "NODE_EXTRA_CA_CERTS",
    "NPM_CONFIG_*",
    "npm_config_*",
    "PERL5*",
    "RUBYOPT",
    "RUBYLIB",
    "JAVA_TOOL_OPTIONS",
    "_JAVA_OPTIONS",
    "JDK_JAVA_OPTIONS",
    "CLASSPATH",
    "MAVEN_*",
    "GRADLE_*",
    "RUSTFLAGS",
    "RUSTC*",
    "CARGO_*",
    "GOFLAGS",
    "GOENV",
    "MAKEFLAGS",
    "MFLAGS",
    "GNUMAKEFLAGS",
    "GCC_EXEC_PREFIX",
    "COMPILER_PATH",
    "LUA_INIT*",
    "PHPRC",
    "PHP_INI_SCAN_DIR",
    "DOTNET_STARTUP_HOOKS",
)


def scrubbed(
    base: Mapping[str, str],
    *,
    allow: Iterable[str] = DEFAULT_ALLOW,
    extra: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Build the whole environment of a child.

    Relative and empty entries of PATH are dropped: they would let a file in the workspace stand
    in for a program.

    Args:
        base: what to choose from, usually the controller's own environment.
        allow: names or patterns (`LC_*`, case counts) that may pass; `ALWAYS_GONE` never does.
        extra: set as given, last. The controller's own word, so it may name anything; never put
            here what a worker wrote.
    """
    wanted = tuple(allow)
    chosen = {
        name: value
        for name, value in base.items()
        if _matches(name, wanted) and not _matches(name, ALWAYS_GONE)
    }
    if "PATH" in chosen:
        chosen["PATH"] = ":".join(p for p in chosen["PATH"].split(":") if p.startswith("/"))
    chosen.update(extra or {})
    return chosen


def environment_digest(env: Mapping[str, str]) -> str:
    """SHA-256 (64 hex digits) over `name=value` and a NUL byte each, sorted by name."""
    digest = hashlib.sha256()
    for name, value in sorted(env.items()):
        digest.update(f"{name}={value}\0".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
