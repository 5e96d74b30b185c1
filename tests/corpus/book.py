"""What a case is: who plays it, on which repository, and what has to come of it.

A case is a function that takes a `Hand` and does in the work tree what a worker would do. It
returns the claim that the worker prints, or None for the plain honest claim. Its docstring is its
description. The same module is imported twice: by the runner, for the expectations, and by the
worker's process, which plays the function. So nothing heavy is imported here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from tests.corpus.hand import Hand

Json = dict[str, Any]
Play = Callable[["Hand"], Json | None]
# (project root, accepted files) -> what is wrong with the outcome; the second gives the content
# of a path in the accepted tree, or None.
After = Callable[[Path, Callable[[str], bytes | None]], Sequence[str]]


class Case(NamedTuple):
    """One worker, and what the controller has to make of it."""

    name: str
    honest: bool
    family: str  # rule family that the case is about
    # of a lie: what it must be refused for; "contained": accepted without the lie;
    # "stopped": the controller cannot go on, says so, and accepts nothing
    rule: str
    play: Play
    pack: Mapping[str, Any]  # changes of the default StepPack
    files: Mapping[str, str | bytes | None]  # changes of the default repository
    setup: Callable[[Path], None] | None  # what files cannot say: links, modes, submodules
    after: After | None
    settings: Mapping[str, Any]  # changes of orchestrator.yaml
    shape: Callable[[Json], Json] | None  # last change of the StepPack
    known_miss: str  # why it is expected to go wrong; empty for almost all
    about: str


BOOK: dict[str, Case] = {}


def honest(family: str, **options: object) -> Callable[[Play], Play]:
    """Note an honest worker; `family` is what it comes closest to breaking."""
    return _noted(honest=True, family=family, rule="", options=options)


def lie(rule: str, **options: object) -> Callable[[Play], Play]:
    """Note a liar that has to be refused for `rule`."""
    return _noted(honest=False, family=rule.partition(".")[0], rule=rule, options=options)


def contained(family: str, **options: object) -> Callable[[Play], Play]:
    """Note a liar whose lie must have no effect: the honest part alone may be accepted."""
    return _noted(honest=False, family=family, rule="contained", options=options)


def stops(family: str, **options: object) -> Callable[[Play], Play]:
    """Note a vandal after whom the controller cannot go on: it stops and accepts nothing."""
    return _noted(honest=False, family=family, rule="stopped", options=options)


def _noted(
    *, honest: bool, family: str, rule: str, options: Mapping[str, Any]
) -> Callable[[Play], Play]:
    def note(play: Play) -> Play:
        name = play.__name__
        if name in BOOK:
            raise ValueError(f"two cases are called {name}")
        BOOK[name] = Case(
            name,
            honest,
            family,
            rule,
            play,
            options.get("pack", {}),
            options.get("files", {}),
            options.get("setup"),
            options.get("after"),
            options.get("settings", {}),
            options.get("shape"),
            options.get("known_miss", ""),
            " ".join((play.__doc__ or "").split()),
        )
        return play

    return note


def load() -> dict[str, Case]:
    """Import every module of cases and give all cases by name."""
    from tests.corpus import (
        honest_answers,
        honest_checks,
        honest_files,
        lies_answers,
        lies_checks,
        lies_files,
        lies_git,
        lies_state,
    )

    del honest_answers, honest_checks, honest_files
    del lies_answers, lies_checks, lies_files, lies_git, lies_state
    return BOOK
