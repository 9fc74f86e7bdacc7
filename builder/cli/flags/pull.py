"""``--pull`` of a build: a flag as in docker build, a choice as in buildah."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from pybuild.builder.errors import RequestError

_F = TypeVar("_F", bound=Callable[..., Any])
_POLICIES = ("always", "missing", "never", "newer")


def pull_flag(function: _F) -> _F:
    """Add ``--pull[=POLICY]``; *function* gets ``pull``, whether it stands alone, and ``pull_policy``."""
    text = (
        "Ask registries for base images even when the store has them; --pull=always is the same, =missing the default,"
        " =never asks none, =newer takes what the store has when no registry answers."
    )
    policy = click.option("--pull-policy", hidden=True, callback=_policy)
    return click.option("--pull", is_flag=True, help=text)(policy(function))


def _policy(_ctx: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    if value not in {None, *_POLICIES}:
        raise RequestError(f"invalid value for --pull: {value!r}", hint=f"use one of {', '.join(_POLICIES)}")
    return value
