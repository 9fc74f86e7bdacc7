"""Flags of ``build`` about registries: for bases, pushes and caches alike."""

from pathlib import Path

from pybuild.builder.cli.flags.group import option
from pybuild.builder.cli.flags.values import FilePath
from pybuild.builder.store.store import Store
from pybuild.runtime.values import frozen


@frozen
class RegistryFlags:
    """Flags about how a build accesses registries."""

    authfile: Path | None = option(
        "--authfile",
        type=FilePath(exists=True, dir_okay=False),
        metavar="FILE",
        help="Read registry credentials from this file only.",
    )
    tls_verify: bool = option(
        "--tls-verify/--no-tls-verify",
        default=True,
        help="Require HTTPS and verify certificates (default).",
    )

    def of(self, store: Store) -> Store:
        """Return *store* with this access to registries."""
        store.auth_file, store.tls_verify = self.authfile, self.tls_verify
        return store
