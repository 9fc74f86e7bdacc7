"""No-op flags of docker and podman, accepted for compatibility."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

_F = TypeVar("_F", bound=Callable[..., Any])

TRUST = ("--disable-content-trust",)
"""Signatures are never verified."""
RETRY = ("--retry=N", "--retry-delay=TIME")
"""Temporary failures are always retried."""


def add_no_op_flags(*flags: str) -> Callable[[_F], _F]:
    """Add hidden flags without effect: ``--name``, ``-n/--name``, and ``--name=VALUE`` for one with a value."""

    def add(function: _F) -> _F:
        for flag in flags:
            names, equals, _ = flag.partition("=")
            function = click.option(
                *names.split("/"), f"_{names.rpartition('-')[2]}", is_flag=not equals, expose_value=False, hidden=True
            )(function)
        return function

    return add
