"""Waiting for what a test expects, however slow and busy the machine is."""

import os
import time
from collections.abc import Callable
from typing import TypeVar

PATIENCE = int(os.environ.get("PYBUILD_TESTS_PATIENCE", "60"))
"""Seconds after which what has not come is taken not to come: far more than it takes on the slowest machine.

The pass of mutants sets less, because its tests are expected to fail.
"""
_PAUSE = 0.02
T = TypeVar("T")


def until(check: Callable[[], T]) -> T:
    """Return what *check* returns, once that is true. Raises AssertionError when it stays false."""
    end = time.monotonic() + PATIENCE
    while not (found := check()):
        assert time.monotonic() < end, f"it never was so: {found!r}"
        time.sleep(_PAUSE)
    return found


def settled(look: Callable[[], T], wanted: T) -> T:
    """Return what *look* returns, once that is *wanted*, or else at the end."""
    end = time.monotonic() + PATIENCE
    while (found := look()) != wanted and time.monotonic() < end:
        time.sleep(_PAUSE)
    return found
