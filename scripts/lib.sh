# Shared by the scripts beside it: find a Python, keep one environment, run named steps.
# Sourced, never run. bash 3.2 or newer. Needs: bash, Python 3.11+, and nothing else.
# shellcheck shell=bash

LIB_DIR="$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)"
ROOT="$(dirname -- "$LIB_DIR")"
VENV="$ROOT/.venv"
VENV_PYTHON="$VENV/bin/python"

# What a caller's shell or a git hook leaves behind must not steer our tests.
unset PYTHONPATH PYTHONHOME PYTHONSTARTUP PYTEST_ADDOPTS PYTEST_PLUGINS VIRTUAL_ENV
unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE GIT_OBJECT_DIRECTORY GIT_COMMON_DIR GIT_PREFIX
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_ROOT_USER_ACTION=ignore

say() { printf '%s\n' "$*" >&2; }

die() { # what, then how to mend it
    say "error: $1"
    say "  mend: $2"
    exit 2
}

_version_ok() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }
_can_make_venv() { "$1" -c 'import venv, ensurepip' >/dev/null 2>&1; }

# Print the path of a Python 3.11+ that can make an environment. $PYTHON, if set, is the only candidate.
find_python() {
    local name old_enough=""
    if [ -n "${PYTHON:-}" ]; then
        set -- "$PYTHON"
    else
        set -- python3.13 python3.12 python3.11 python3 python
    fi
    for name in "$@"; do
        _version_ok "$name" || continue
        old_enough="$name"
        _can_make_venv "$name" || continue
        "$name" -c 'import sys; print(sys.executable)'
        return 0
    done
    if [ -n "$old_enough" ]; then
        die "$old_enough cannot make an environment: its venv or ensurepip module is missing" \
            "install it (Debian, Ubuntu: apt install python3-venv), or set PYTHON to another Python 3.11+"
    fi
    die "no Python 3.11 or newer found (tried: $*)" "install one, or set PYTHON to its path"
}

_digest() {
    "$1" -c 'import hashlib, sys; print(hashlib.sha256(open(sys.argv[1], "rb").read()).hexdigest())' \
        "$ROOT/pyproject.toml"
}

# ensure_env runtime|dev: make or reuse .venv so that it holds what pyproject.toml asks for.
# The stamp names all that the environment depends on; it is written last, so that an
# interrupted installation is repeated. "dev" serves where "runtime" is asked for.
ensure_env() {
    local kind="$1" python want_version="" have digest stamp="$VENV/.orchestrator-stamp"
    local target="." have_stamp=""
    if command -v flock >/dev/null 2>&1; then
        exec 9<"$LIB_DIR" && flock 9 # two scripts started together build it once
    fi
    if [ -n "${PYTHON:-}" ]; then
        python="$(find_python)" || exit $?
        want_version="$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')"
    fi
    have="$("$VENV_PYTHON" -c 'import sys, pip; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)" || have=""
    if [ -n "$have" ] && { _version_ok "$VENV_PYTHON" && [ "${want_version:-$have}" = "$have" ]; }; then
        digest="$(_digest "$VENV_PYTHON")"
        [ ! -f "$stamp" ] || have_stamp="$(cat -- "$stamp")"
        case "$have_stamp" in
            "dev $have $digest $ROOT") _unlock; return 0 ;;
            "runtime $have $digest $ROOT") [ "$kind" = dev ] || { _unlock; return 0; } ;;
            "dev "*) kind=dev ;; # it serves the tests too: bring all of it up to date
        esac
    else
        [ -n "${python:-}" ] || python="$(find_python)" || exit $?
        have="$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')"
        say "== environment: Python $have in .venv"
        "$python" -m venv --clear "$VENV" ||
            die "$python could not make .venv" "read the lines above; is the disk full, or python3-venv missing?"
        digest="$(_digest "$VENV_PYTHON")"
    fi
    [ "$kind" = runtime ] || target=".[dev]"
    say "== environment: installing $target (first run, or pyproject.toml changed)"
    rm -f -- "$stamp"
    (cd -- "$ROOT" && "$VENV_PYTHON" -m pip install --quiet --quiet --editable "$target") </dev/null ||
        die "the packages could not be installed" "read pip's lines above; it needs a package index (PIP_INDEX_URL is honoured)"
    printf '%s' "$kind $have $digest $ROOT" >"$stamp"
    _unlock
}

_unlock() { exec 9<&-; }

compile_bytecode() {
    "$VENV_PYTHON" -m compileall -q "$ROOT/orchestrator" "$ROOT/workflow_logger" >/dev/null || true
}

# step NAME COMMAND...: run it under a headline; remember a failure and go on.
FAILED_STEPS=""
step() {
    local name="$1"
    shift
    printf '\n== %s\n' "$name"
    if ! (cd -- "$ROOT" && "$@") </dev/null; then
        FAILED_STEPS="${FAILED_STEPS:+$FAILED_STEPS, }$name"
        printf '== %s: FAILED\n' "$name"
    fi
}

# The checks that run no test. Called as modules, because a script's first line breaks when a
# checkout moves or its path has a space.
lint_steps() {
    step "format" "$VENV_PYTHON" -m ruff format --check .
    step "lint" "$VENV_PYTHON" -m ruff check .
    step "types" "$VENV_PYTHON" -m mypy
    step "imports" "$VENV_PYTHON" -c 'import sys
from importlinter.cli import lint_imports_command
sys.path.insert(0, "")
lint_imports_command()'
}
