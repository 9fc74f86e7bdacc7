"""Tests that repeat what a quicker one shows: the marker ``thorough``, which ``make test`` leaves out."""

from collections.abc import Iterable
from typing import Any

import pytest


def first_is_quick(values: Iterable[Any]) -> list[Any]:
    """Parameters for ``parametrize`` of which all but the first are thorough."""
    first, *rest = values
    return [first, *(pytest.param(value, marks=pytest.mark.thorough) for value in rest)]
