"""Flags of ``build`` about registries: for bases, pushes and caches alike."""

from pathlib import Path

import click

from pybuild.builder.cli.flags.group import group
from pybuild.builder.cli.flags.values import FilePath
from pybuild.builder.store.store import Store
from pybuild.runtime.values import frozen


@frozen
class RegistryFlags:
    """How a build gets at registries."""

    auth_file: Path | None = None
    tls_verify: bool = True

    def of(self, store: Store) -> Store:
        """Return *store*, which gets at registries in this way from now on."""
        store.auth_file, store.tls_verify = self.auth_file, self.tls_verify
        return store


def read_registry(*, authfile: Path | None, tls_verify: bool) -> RegistryFlags:
    """Return what these flags ask for."""
    return RegistryFlags(auth_file=authfile, tls_verify=tls_verify)


registry_flags = group(
    "registry",
    read_registry,
    click.option(
        "--authfile",
        type=FilePath(exists=True, dir_okay=False),
        metavar="FILE",
        help="Read registry credentials from this file only.",
    ),
    click.option("--tls-verify/--no-tls-verify", default=True, help="Require HTTPS and verify certificates (default)."),
)
"""Adds these flags to a command, which gets what they ask for as ``registry``."""
