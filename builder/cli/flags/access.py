"""The flags of ``pull``, ``push`` and the like about access to a registry."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import click

from pybuild.builder.cli.flags.group import option, part, takes
from pybuild.builder.cli.flags.registry import authfile
from pybuild.builder.cli.flags.values import FilePath
from pybuild.builder.cli.tools import note
from pybuild.builder.errors import RequestError
from pybuild.builder.oci.registry.access import Access
from pybuild.builder.oci.registry.auth.tokens import Credentials
from pybuild.builder.transports.places import InRegistry, Place
from pybuild.runtime.values import frozen

_R = TypeVar("_R")
_LOGIN = "pybuild login stores credentials for each of them"


@frozen
class TlsFlags:
    """How a registry is verified."""

    cert_dir: Path | None = option(
        "--cert-dir",
        type=FilePath(exists=True, file_okay=False),
        metavar="DIR",
        help="Directory with certificates for the registry (*.crt, *.cert, *.key), instead of certs.d.",
    )
    tls_verify: bool = option(
        "--tls-verify/--no-tls-verify",
        " /--insecure",
        default=True,
        help="Require HTTPS and verify certificates (default).",
    )


def auth_file_option(function: Callable[..., _R]) -> Callable[..., _R]:
    """Add ``--authfile``; the file need not exist yet."""
    option = click.option(
        "--authfile",
        type=FilePath(dir_okay=False),
        metavar="FILE",
        help="File of credentials to use, instead of Docker's.",
    )
    return option(function)


@frozen
class AccessFlags:
    """How to access a registry."""

    creds: str | None = option(
        "--creds", metavar="NAME:PASSWORD", help="Credentials for the registry, instead of stored ones."
    )
    authfile: Path | None = authfile()
    tls: TlsFlags = part(TlsFlags)

    def access(self) -> Access:
        """Return the access to the registry. Raises RequestError."""
        who = None if self.creds is None else parse_credentials(self.creds)
        verify, directory = self.tls.tls_verify, self.tls.cert_dir
        return Access(credentials=who, auth_file=self.authfile, verify=verify, certificates=directory, tell=note)


access_options = takes(AccessFlags, "access", AccessFlags.access)
"""Adds these flags to a command, which gets their values as ``access``."""


@frozen
class Sides:
    """Access to two registries: that of the source and that of the target."""

    source: Access
    target: Access

    def check(self, sources: Iterable[Place], target: Place) -> None:
        """Raise RequestError when credentials for one registry would be sent to another one."""
        ours = {place.reference.registry for place in sources if isinstance(place, InRegistry)}
        theirs = {target.reference.registry} if isinstance(target, InRegistry) else set()
        if self.source.credentials is not None and len(ours) > 1:
            raise RequestError(f"one set of credentials for several registries: {', '.join(sorted(ours))}", hint=_LOGIN)
        same = self.source.credentials is not None and self.source.credentials is self.target.credentials
        if same and len(ours | theirs) > 1:
            raise RequestError("--creds with two registries", hint="use --src-creds and --dest-creds")


@frozen
class SideFlags:
    """How to access two registries: flags for both, and for each of them."""

    src_creds: str | None = option("--src-creds", metavar="NAME:PASSWORD", help="Like --creds, for the source only.")
    dest_creds: str | None = option("--dest-creds", metavar="NAME:PASSWORD", help="Like --creds, for the target only.")
    src_tls_verify: bool | None = option(
        "--src-tls-verify/--no-src-tls-verify", default=None, help="Like --tls-verify, for the source only."
    )
    dest_tls_verify: bool | None = option(
        "--dest-tls-verify/--no-dest-tls-verify", default=None, help="Like --tls-verify, for the target only."
    )
    both: AccessFlags = part(AccessFlags)

    def sides(self) -> Sides:
        """Return the access to both. Raises RequestError."""
        common = self.both.access()
        return Sides(
            source=_side(common, self.src_creds, self.src_tls_verify),
            target=_side(common, self.dest_creds, self.dest_tls_verify),
        )


two_sides_options = takes(SideFlags, "sides", SideFlags.sides)
"""Adds these flags to a command, which gets their values as ``sides``."""


def _side(common: Access, creds: str | None, verify: bool | None) -> Access:
    who = common.credentials if creds is None else parse_credentials(creds)
    return replace(common, credentials=who, verify=common.verify if verify is None else verify)


def parse_credentials(text: str) -> Credentials:
    """Parse ``NAME:PASSWORD``; the password may have colons. Raises RequestError."""
    name, colon, password = text.partition(":")
    if not name or not colon or not password:
        # The text itself is not shown: it may be the password.
        raise RequestError(
            "invalid --creds: expected NAME:PASSWORD", hint="or use pybuild login, which stores credentials"
        )
    return Credentials(name, password)
