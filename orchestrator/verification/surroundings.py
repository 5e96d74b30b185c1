"""The environment that checks run in: scrubbed, fixed where a result hangs on it, and small.

On top of `runtime.environment`, which drops what steers loaders, interpreters, runners and git:

- `PYTHONHASHSEED=0`, `LC_ALL=C.UTF-8`, `TERM=dumb`, `NO_COLOR=1`: equal runs print equal output;
- `CI=true`: watchers end, snapshot tests compare and never write themselves anew;
- `PYTHONDONTWRITEBYTECODE=1`: a check leaves no bytecode in the tree (`bytecode` removes what the
  worker left);
- `GIT_TERMINAL_PROMPT=0`, `GIT_OPTIONAL_LOCKS=0`: no question, no writing by a mere look;
- `TMPDIR` is private to the run and goes with it.

`HOME` stays the person's by default: toolchains and caches live there (`~/.cargo`, `~/.m2`,
`~/.cache/go-build`), and a check that cannot find them says nothing about the work. What keeps a
worker out of `HOME` is its confinement, and the tier of that is recorded. `home=` gives a private
one, with the user's Python packages off and the toolchains' own folders still named.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from orchestrator.runtime.environment import DEFAULT_ALLOW, environment_digest, scrubbed

# where toolchains are, not what they do
_TOOLCHAINS: Final = (
    "JAVA_HOME", "GOPATH", "GOROOT", "GOCACHE", "GOMODCACHE", "RUSTUP_HOME", "NVM_DIR",
    "VOLTA_HOME", "PNPM_HOME", "BUN_INSTALL", "DENO_DIR", "DOTNET_ROOT", "ANDROID_HOME",
    "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR", "GEM_HOME", "PYENV_ROOT", "ASDF_DIR",
    "ASDF_DATA_DIR", "MISE_DATA_DIR", "UV_CACHE_DIR", "NIX_PATH", "NIX_SSL_CERT_FILE",
    "SSL_CERT_FILE", "SSL_CERT_DIR", "SYSTEMROOT",
)  # fmt: skip
_FIXED: Final = {
    "PYTHONHASHSEED": "0",
    "PYTHONDONTWRITEBYTECODE": "1",
    "LC_ALL": "C.UTF-8",
    "LANG": "C.UTF-8",
    "TERM": "dumb",
    "NO_COLOR": "1",
    "CI": "true",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
}


def check_environment(
    base: Mapping[str, str],
    *,
    temporary: str,
    home: str | None = None,
    extra: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Build the environment of a check.

    Args:
        base: the controller's environment, or one that was scrubbed already.
        temporary: a folder that belongs to this run alone.
        home: a private HOME instead of the person's.
        extra: settings of the project's owner, last; never anything a worker wrote.
    """
    fixed = {**_FIXED, "TMPDIR": temporary}
    if (cargo := base.get("CARGO_HOME", "")).startswith("/"):
        fixed["CARGO_HOME"] = cargo
    if home is not None:
        fixed.update(_private_home(base, home))
    return scrubbed(base, allow=(*DEFAULT_ALLOW, *_TOOLCHAINS), extra={**fixed, **(extra or {})})


def stable_digest(env: Mapping[str, str]) -> str:
    """SHA-256 of an environment without what differs from run to run (`TMPDIR`)."""
    return environment_digest({name: value for name, value in env.items() if name != "TMPDIR"})


def _private_home(base: Mapping[str, str], home: str) -> dict[str, str]:
    real = base.get("HOME", "")
    named = {"HOME": home, "PYTHONNOUSERSITE": "1", "GIT_CONFIG_GLOBAL": "/dev/null"}
    if real.startswith("/"):
        named["CARGO_HOME"] = base.get("CARGO_HOME", f"{real}/.cargo")
        named["RUSTUP_HOME"] = base.get("RUSTUP_HOME", f"{real}/.rustup")
    return named
