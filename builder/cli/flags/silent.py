"""Flags of docker and podman that ask for what is always so: taken without a word, so that scripts need no change."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

_F = TypeVar("_F", bound=Callable[..., Any])

TRUST = ("--disable-content-trust",)
"""Signatures are never looked at."""
RETRY = ("--retry=N", "--retry-delay=TIME")
"""What fails for a moment is always tried again."""


def taken(*flags: str) -> Callable[[_F], _F]:
    """Add hidden flags without effect: ``--name``, ``-n/--name``, and ``--name=VALUE`` for one with a value."""

    def add(function: _F) -> _F:
        for flag in flags:
            names, equals, _ = flag.partition("=")
            function = click.option(
                *names.split("/"), f"_{names.rpartition('-')[2]}", is_flag=not equals, expose_value=False, hidden=True
            )(function)
        return function

    return add
