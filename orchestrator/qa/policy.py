"""What is protected, what is litter, what steers dependencies: defaults that a caller may replace.

A set is described by names instead of patterns, so that asking it costs a few look-ups. A path is
in a set when its file name is one of `files`, when it lies under one of `folders` at any depth,
when it is or lies under one of `roots`, or when its file name fits `names`.

**Unlocking.** A protected path may change when an allowed pattern matches it *and* names its set:
`tests/**` and `src/**/test_*.py` name the tests, `**` and `src/**` do not, though they match tests
too. A pattern without a wildcard names the file it is. A set that is `locked` cannot be unlocked.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from orchestrator.qa.globs import globs, has_wildcard, representatives


@dataclass(frozen=True, slots=True)
class PathSet:
    """A named set of paths; `rule` is the rule that a change of one of them breaks."""

    rule: str
    title: str
    files: frozenset[str] = frozenset()
    folders: frozenset[str] = frozenset()
    roots: frozenset[str] = frozenset()
    names: str = ""  # regular expression over the whole file name
    locked: bool = False

    def holds(self, path: str) -> bool:
        """Say whether a path is in the set. Case does not count: it does not on every disk."""
        name, lowered, folders, ancestors = _parts(path)
        return (
            lowered in self.files
            or not self.folders.isdisjoint(folders)
            or not self.roots.isdisjoint(ancestors)
            or (bool(self.names) and _regex(self.names).fullmatch(name) is not None)
        )

    def named_by(self, pattern: str) -> bool:
        """Say whether a pattern speaks of this set, and not merely covers it."""
        return any(self.holds(path) for path in representatives(pattern))


@lru_cache(maxsize=4096)
def _parts(path: str) -> tuple[str, str, frozenset[str], frozenset[str]]:
    """Cut a path: name, name in lower case, its folders' names, and every prefix of it."""
    segments = path.lower().split("/")
    prefixes = frozenset("/".join(segments[:end]) for end in range(1, len(segments) + 1))
    return path.rpartition("/")[2], segments[-1], frozenset(segments[:-1]), prefixes


@lru_cache(maxsize=64)
def _regex(text: str) -> re.Pattern[str]:
    return re.compile(text)


def unlocked(path: str, group: PathSet, allowed: tuple[str, ...]) -> bool:
    """Say whether an allowed pattern matches a protected path and names it or its set."""
    if group.locked:
        return False
    return any(
        (_is_the_path(pattern, path) or group.named_by(pattern)) and globs((pattern,)).match(path)
        for pattern in allowed
    ) and globs(allowed).match(path)


def _is_the_path(pattern: str, path: str) -> bool:
    text = pattern.strip().lstrip("/")
    if has_wildcard(text):
        return False
    return text == path or ("/" not in text and text == path.rpartition("/")[2])


_JS: Final = r"[cm]?[jt]sx?"
_TEST_FILES: Final = "|".join(
    (
        r"test_.*\.pyi?",
        r".*_test\.(py|go|rb|exs?|dart|cc|cpp|cxx|c|lua|ml|jl|R)",
        rf".*[.-](test|spec|cy|e2e)\.({_JS}|vue|svelte|coffee)",
        r".*_spec\.(rb|lua|cr)",
        r"(Test.*|.*(Test|Tests|TestCase|IT|Spec))\.(java|kt|kts|groovy|scala|php|cs|fs|vb|swift)",
        r"tests?\.(py|rs|sh)",
        r".*\.(bats|snap|feature)",
        r"test-.*\.R",
    )
)

TESTS: Final = PathSet(
    "protected.tests",
    "tests",
    folders=frozenset(
        {"tests", "test", "__tests__", "testdata", "__snapshots__", "e2e", "testsuite"}
    ),
    names=_TEST_FILES,
)

TEST_CONFIG: Final = PathSet(
    "protected.test_config",
    "test runner configuration",
    files=frozenset(
        {
            "conftest.py", "pytest.ini", ".pytest.ini", "tox.ini", "noxfile.py", "nose.cfg",
            ".noserc", "unittest.cfg", ".coveragerc", "sitecustomize.py", "usercustomize.py",
            ".mocharc", "karma.conf.js", ".nycrc", ".nycrc.json", "phpunit.xml",
            "phpunit.xml.dist", ".rspec", ".bunfig.toml", "bunfig.toml", "codecov.yml",
            ".codecov.yml", "ctestcustom.cmake", "nextest.toml", "testng.xml",
        }
    ),
    # at the root these stand in for the runner itself: `python -m pytest` looks here first
    roots=frozenset(
        {"pytest.py", "pytest", "_pytest", "unittest.py", "unittest", "coverage.py", "nose2"}
    ),
    names=(
        rf"(jest|vitest|playwright|cypress|ava|wdio|web-test-runner)\.(config|setup|workspace)"
        rf"\.({_JS}|json)|\.mocharc\..*|\.?taprc.*|.*\.pth|\.?babel-plugin-istanbul.*"
    ),
)  # fmt: skip

CI: Final = PathSet(
    "protected.ci",
    "continuous integration",
    files=frozenset(
        {
            ".gitlab-ci.yml", ".gitlab-ci.yaml", ".travis.yml", "azure-pipelines.yml",
            "azure-pipelines.yaml", "bitbucket-pipelines.yml", "jenkinsfile", ".drone.yml",
            "appveyor.yml", ".appveyor.yml", ".cirrus.yml", ".woodpecker.yml", "cloudbuild.yaml",
            "codemagic.yaml", ".semaphore.yml",
        }
    ),
    roots=frozenset({
        ".github/workflows", ".github/actions", ".github/dependabot.yml", ".github/codeowners",
        ".circleci", ".buildkite", ".gitlab", ".ci", ".semaphore", ".woodpecker", ".tekton",
        "codeowners",
    }),
)  # fmt: skip

HOOKS: Final = PathSet(
    "protected.hooks",
    "git hooks",
    files=frozenset(
        {
            ".pre-commit-config.yaml", ".pre-commit-config.yml", ".pre-commit-hooks.yaml",
            "lefthook.yml", ".lefthook.yml", "lefthook.yaml", ".overcommit.yml", ".huskyrc",
            ".huskyrc.json", ".lintstagedrc", ".envrc",
        }
    ),
    roots=frozenset({".githooks", ".husky", ".hooks"}),
)  # fmt: skip

AGENT_CONFIG: Final = PathSet(
    "protected.agent_config",
    "agent configuration",
    files=frozenset(
        {
            "claude.md", "claude.local.md", "agents.md", "agents.override.md", "gemini.md",
            "opencode.json", "opencode.jsonc", ".mcp.json", "mcp.json", ".cursorrules",
            ".windsurfrules", ".clinerules", ".aider.conf.yml", ".aiderignore", ".roomodes",
            "copilot-instructions.md", ".goosehints",
        }
    ),
    folders=frozenset(
        {
            ".claude", ".codex", ".cursor", ".gemini", ".opencode", ".windsurf", ".roo",
            ".clinerules", ".continue", ".aider", ".agents", ".kiro", ".amp", ".vscode",
        }
    ),
)  # fmt: skip

GIT_CONFIG: Final = PathSet(
    "protected.git_config",
    "git settings",
    files=frozenset({".gitattributes", ".gitmodules", ".gitconfig"}),
)

SECRETS: Final = PathSet(
    "protected.secrets",
    "secrets",
    files=frozenset(
        {
            ".env", ".netrc", ".npmrc", ".pypirc", ".git-credentials", "id_rsa", "id_ed25519",
            "credentials.json", ".htpasswd",
        }
    ),
    folders=frozenset({".ssh", ".aws", ".gnupg", ".kube"}),
    names=r"\.env\.(?!example$|sample$|template$|dist$|test$).+|.*\.(pem|p12|pfx|keystore|jks)",
)  # fmt: skip

CONTROLLER: Final = PathSet(
    "protected.controller",
    "the controller's state and settings",
    roots=frozenset(
        {"progress", "workflow", ".orchestrator", "orchestrator.yaml", "orchestrator.yml"}
    ),
    locked=True,
)

CONTRACTS: Final = PathSet(
    "protected.controller",
    "contracts",
    roots=frozenset(
        {
            "contracts",
        }
    ),
)

PROTECTED: Final = (
    CONTROLLER, CONTRACTS, SECRETS, HOOKS, GIT_CONFIG, AGENT_CONFIG, CI, TEST_CONFIG, TESTS,
)  # fmt: skip

LOCKFILES: Final = PathSet(
    "dependency.lockfile",
    "lock files",
    files=frozenset(
        {
            "uv.lock", "poetry.lock", "pipfile.lock", "pdm.lock", "pylock.toml", "conda-lock.yml",
            "pixi.lock", "package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml",
            "bun.lock", "bun.lockb", "deno.lock", "cargo.lock", "go.sum", "go.work.sum",
            "gemfile.lock", "composer.lock", "mix.lock", "pubspec.lock", "podfile.lock",
            "package.resolved", "packages.lock.json", "gradle.lockfile", "flake.lock",
            "paket.lock", "rebar.lock", "stack.yaml.lock", "cabal.project.freeze",
            "module.bazel.lock", "buf.lock", "chart.lock",
        }
    ),
    names=r"pylock\..+\.toml|requirements.*\.lock",
)  # fmt: skip

MANIFESTS: Final = PathSet(
    "dependency.manifest",
    "dependency manifests",
    files=frozenset(
        {
            "pyproject.toml", "setup.py", "setup.cfg", "pipfile", "environment.yml",
            "environment.yaml", "pixi.toml", "package.json", "pnpm-workspace.yaml", "deno.json",
            "deno.jsonc", "cargo.toml", "go.mod", "go.work", "gemfile", "composer.json", "mix.exs",
            "pubspec.yaml", "podfile", "package.swift", "pom.xml", "build.gradle",
            "build.gradle.kts", "settings.gradle", "settings.gradle.kts", "libs.versions.toml",
            "directory.packages.props", "packages.config", "paket.dependencies", "rebar.config",
            "stack.yaml", "cabal.project", "module.bazel", "flake.nix",
            "conanfile.txt", "conanfile.py", "vcpkg.json", "constraints.txt", ".yarnrc.yml",
        }
    ),
    names=r".*requirements.*\.(txt|in)|.*\.(gemspec|csproj|fsproj|vbproj|cabal|podspec)",
)  # fmt: skip

ENVIRONMENT: Final = PathSet(
    "scope.environment_changed",
    "the environment of the checks",
    folders=frozenset({".venv", "venv", ".tox", ".nox", "node_modules", "site-packages"}),
)

LITTER: Final = PathSet(
    "scope.litter",
    "caches and leavings of tools",
    files=frozenset(
        {
            ".coverage", "coverage.xml", "coverage.json", "coverage.lcov", "lcov.info",
            ".eslintcache", ".stylelintcache", ".ds_store", "thumbs.db", ".dmypy.json",
            "nosetests.xml", ".package-lock.json", "tsconfig.tsbuildinfo", ".phpunit.result.cache",
            ".testmondata", "desktop.ini",
        }
    ),
    folders=frozenset(
        {
            "__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis",
            ".pyre", ".pytype", ".ipynb_checkpoints", "htmlcov", ".nyc_output", ".cache",
            ".vite", ".vitest", ".turbo", ".parcel-cache", ".swc", ".import_linter_cache",
            ".benchmarks", ".phpunit.cache", ".gradle", ".eggs",
        }
    ),
    names=r".*\.(pyc|pyo|swp|swo|tsbuildinfo)|.*~|\.coverage\..+|\.#.*",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ReviewPolicy:
    """The sets that a review goes by."""

    protected: tuple[PathSet, ...] = PROTECTED
    lockfiles: PathSet = LOCKFILES
    manifests: PathSet = MANIFESTS
    environment: PathSet = ENVIRONMENT
    litter: PathSet = LITTER
    tests: PathSet = TESTS
    test_config: PathSet = TEST_CONFIG
    git_config: PathSet = GIT_CONFIG
    evidence_root: str = ".artifacts"
    control_roots: tuple[str, ...] = field(
        default=("progress", "workflow", ".orchestrator", ".artifacts")
    )


DEFAULT: Final = ReviewPolicy()
