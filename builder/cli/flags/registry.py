"""Flags of ``build`` about registries: for bases, pushes and caches alike."""

from pathlib import Path
from typing import Any

from pybuild.builder.cli.flags.group import option
from pybuild.builder.cli.flags.values import FilePath
from pybuild.builder.store.registries import RegistryAccess
from pybuild.runtime.values import frozen


def authfile() -> Any:
    """Declare the field of ``--authfile``, whose file must exist."""
    return option(
        "--authfile",
        type=FilePath(exists=True, dir_okay=False),
        metavar="FILE",
        help="Read registry credentials from this file only.",
    )


@frozen
class RegistryFlags:
    """Flags about how a build accesses registries."""

    authfile: Path | None = authfile()
    tls_verify: bool = option(
        "--tls-verify/--no-tls-verify",
        default=True,
        help="Require HTTPS and verify certificates (default).",
    )

    def access(self) -> RegistryAccess:
        """Return the access to registries that a store is opened with."""
        return RegistryAccess(auth_file=self.authfile, verify=self.tls_verify)
