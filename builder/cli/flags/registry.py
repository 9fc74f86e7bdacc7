"""Flags of ``build`` about registries: for bases, pushes and caches alike."""

from collections.abc import Callable, Mapping
from typing import Any

import click

from pybuild.builder.cli.flags.values import FilePath
from pybuild.builder.store.store import Store


def registry_flags(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add these flags to a command."""
    options = (
        click.option(
            "--authfile",
            type=FilePath(exists=True, dir_okay=False),
            metavar="FILE",
            help="Look for credentials of registries in this file only.",
        ),
        click.option(
            "--tls-verify/--no-tls-verify", default=True, help="Refuse http and unknown certificates (default)."
        ),
    )
    for option in reversed(options):
        function = option(function)
    return function


def with_access(store: Store, flags: Mapping[str, Any]) -> Store:
    """Let *store* get at registries as *flags* say."""
    store.auth_file, store.tls_verify = flags["authfile"], flags["tls_verify"]
    return store
