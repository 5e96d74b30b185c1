from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.runtime.environment import environment_digest, scrubbed

STEERING = [
    "PYTEST_ADDOPTS",
    "PYTEST_PLUGINS",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "PYTHONHOME",
    "NODE_OPTIONS",
    "LD_PRELOAD",
    "LD_LIBRARY_PATH",
    "DYLD_INSERT_LIBRARIES",
    "GIT_DIR",
    "GIT_CONFIG_PARAMETERS",
    "BASH_ENV",
    "ENV",
    "BASH_FUNC_test%%",
    "PERL5OPT",
    "RUBYOPT",
    "JAVA_TOOL_OPTIONS",
    "RUSTFLAGS",
    "RUSTC_WRAPPER",
    "ORCHESTRATOR_ATTEMPT",
]


def test_a_name_outside_the_allow_list_does_not_pass() -> None:
    base = {"PATH": "/bin", "AWS_SECRET_ACCESS_KEY": "s", "LC_ALL": "C", "lc_all": "C"}
    assert scrubbed(base) == {"PATH": "/bin", "LC_ALL": "C"}


@pytest.mark.parametrize("name", STEERING)
def test_a_variable_that_steers_a_tool_is_refused_even_when_everything_is_allowed(
    name: str,
) -> None:
    assert scrubbed({name: "x", "KEEP": "y"}, allow=["*", name]) == {"KEEP": "y"}


def test_a_program_in_the_workspace_cannot_stand_in_for_one_on_the_path() -> None:
    base = {"PATH": ":.:bin:/usr/bin:../x:/bin:"}
    assert scrubbed(base) == {"PATH": "/usr/bin:/bin"}


def test_what_the_controller_adds_is_set_last_and_as_given() -> None:
    added = {"PATH": "/opt", "GIT_CONFIG_NOSYSTEM": "1"}
    assert scrubbed({"PATH": "/bin", "TZ": "UTC"}, extra=added) == {"TZ": "UTC", **added}


def test_the_digest_covers_names_and_values_and_not_their_order() -> None:
    one = environment_digest({"A": "1", "B": "2"})
    assert one == environment_digest({"B": "2", "A": "1"})
    assert one == "22ee4d94a93a2f30a119c526110772278f3469e2e234c85c8c13b3c80d88989e"
    assert environment_digest({"A": "1", "C": "2"}) != one


VALUES = st.characters(exclude_characters="\0", exclude_categories=["Cs"])
NAMES = st.characters(exclude_characters="=\0", exclude_categories=["Cs"])


@given(st.dictionaries(st.text(NAMES, min_size=1), st.text(VALUES)), st.text(VALUES, min_size=1))
def test_any_changed_value_changes_the_digest(env: dict[str, str], value: str) -> None:
    changed = {**env, "NAME": env.get("NAME", "") + value}
    assert environment_digest(env) != environment_digest(changed)
