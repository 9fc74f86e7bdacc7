"""Flags of ``docker build`` and ``buildah build`` that pybuild does not support.

Those that change nothing in the image are accepted with a warning; those that would change it are errors.
"""

from collections.abc import Callable
from typing import Any

import click

from pybuild.builder.cli.tools import warn
from pybuild.builder.errors import RequestError
from pybuild.builder.options import is_true
from pybuild.grammar.parse_go import parse_bool

_NOTHING_TO_DO = (
    "--rm",
    "--force-rm",
    "--compress",
    "--no-trunc",
)
_NOT_USED = (
    "--builder",
    "--cgroupns",
    "--hooks-dir",
    "--ipc",
    "--pid",
    "--retry",
    "--retry-delay",
    "--runtime",
    "--runtime-flag",
    "--userns",
    "--uts",
)
_REFUSED = {
    "--attest": "attestations are not supported",
    "--cache-mount": "use --cache-to with mounts=true",
    "--policy": "policies are not supported",
    "--provenance": "attestations are not supported",
    "--sbom": "attestations are not supported",
}
_OFF = frozenset({"", "mode=disabled"})


def add_unsupported_flags(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add these flags, hidden from the help, to a command."""
    for name in _NOTHING_TO_DO:
        function = click.option(name, is_flag=True, hidden=True, expose_value=False, callback=_ignore)(function)
    for name in _NOT_USED:
        function = click.option(name, multiple=True, hidden=True, expose_value=False, callback=_ignore)(function)
    for name in _REFUSED:
        function = click.option(name, multiple=True, hidden=True, expose_value=False, callback=_refuse)(function)
    return function


def _ignore(_ctx: click.Context, option: click.Parameter, value: object) -> None:
    if value is True or any(_items(value)):
        warn(f"{option.opts[0]} has no effect in pybuild")


def _refuse(_ctx: click.Context, option: click.Parameter, value: object) -> None:
    name = option.opts[0]
    # --provenance=false and the like ask for the default; an empty value comes from an unset shell variable. CI systems
    # that turn attestations off write --attest type=provenance,disabled=true.
    if any(not _is_off(item) for item in _items(value)):
        raise RequestError(f"{name}: {_REFUSED[name]}")


def _is_off(item: str) -> bool:
    try:
        return item in _OFF or not parse_bool(item)
    except ValueError:
        fields = (field.partition("=") for field in item.split(","))
        return any(key.strip().lower() == "disabled" and is_true(value) for key, _, value in fields)


def _items(value: object) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, tuple) else ()
