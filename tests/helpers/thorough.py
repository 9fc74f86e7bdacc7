"""Tests that repeat what a quicker one shows, with more of it: what `make test` leaves out, and what CI leaves out, too."""

from collections.abc import Iterable, Sequence
from typing import Any

import pytest

IN_CI = pytest.mark.thorough
BEFORE_A_RELEASE = [pytest.mark.thorough, pytest.mark.release]


def first_is_quick(values: Iterable[Any]) -> list[Any]:
    """Parameters for ``parametrize``: the first is for every run, the others are for `make release`."""
    first, *rest = values
    return [first, *(pytest.param(value, marks=BEFORE_A_RELEASE) for value in rest)]


def some_in_ci(values: Sequence[Any], step: int) -> list[Any]:
    """Parameters that repeat one rule: each *step*-th is for CI, the others are for `make release`."""
    return [
        value if number % step == 0 else pytest.param(value, marks=BEFORE_A_RELEASE)
        for number, value in enumerate(values)
    ]


def long(name: str) -> pytest.MarkDecorator:
    """Mark a test that takes half a minute of processor time or more: CI draws some of those, by their names."""
    return pytest.mark.drawn("long", name)


def first_in_ci(*sets: Any) -> list[Any]:
    """Sets of parameters that `make test` has no time for: the first is for CI, the others are for `make release`."""
    marks = [IN_CI, *(BEFORE_A_RELEASE for _ in sets[1:])]
    return [
        pytest.param(*(each if isinstance(each, tuple) else (each,)), marks=mark)
        for each, mark in zip(sets, marks, strict=True)
    ]
