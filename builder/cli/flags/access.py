"""The flags by which ``pull`` and ``push`` are told how to get at a registry."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

from pybuild.builder.cli.flags.values import FilePath
from pybuild.builder.cli.tools import note
from pybuild.builder.errors import RequestError
from pybuild.builder.oci.registry.access import Access
from pybuild.builder.oci.registry.auth.tokens import Credentials
from pybuild.builder.transports.places import InRegistry, Place

_R = TypeVar("_R")
_LOGIN = "pybuild login keeps credentials for each"


def tls_options(function: Callable[..., _R]) -> Callable[..., _R]:
    """Add the flags about certificates; *function* gets ``cert_dir`` and ``tls_verify``."""
    folder = click.option(
        "--cert-dir",
        type=FilePath(exists=True, file_okay=False),
        metavar="DIR",
        help="Directory with certificates for the registry (*.crt, *.cert, *.key), instead of certs.d.",
    )
    verify = click.option(
        "--tls-verify/--no-tls-verify",
        " /--insecure",
        default=True,
        help="Require HTTPS and verify certificates (default).",
    )
    return folder(verify(function))


def auth_file_option(function: Callable[..., _R]) -> Callable[..., _R]:
    """Add ``--authfile``, of a file that need not be there yet."""
    option = click.option(
        "--authfile",
        type=FilePath(dir_okay=False),
        metavar="FILE",
        help="File of credentials to use, instead of Docker's.",
    )
    return option(function)


def access_options(function: Callable[..., _R]) -> Callable[..., _R]:
    """Add the flags; *function* gets what they say as ``access``."""

    @click.option("--creds", metavar="NAME:PASSWORD", help="Credentials for the registry, instead of stored ones.")
    @click.option(
        "--authfile",
        type=FilePath(exists=True, dir_okay=False),
        metavar="FILE",
        help="Read registry credentials from this file only.",
    )
    @tls_options
    @wraps(function)
    def with_access(*arguments: Any, creds: str | None, authfile: Path | None, **flags: Any) -> _R:
        who = None if creds is None else credentials(creds)
        verify, folder = flags.pop("tls_verify"), flags.pop("cert_dir")
        access = Access(credentials=who, auth_file=authfile, verify=verify, certificates=folder, tell=note)
        return function(*arguments, access=access, **flags)

    return with_access


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """The ways to two registries: that of the source and that of the target."""

    source: Access
    target: Access

    def check(self, sources: Iterable[Place], target: Place) -> None:
        """Raise RequestError when credentials that were given for one registry would be shown to another one."""
        ours = {place.reference.registry for place in sources if isinstance(place, InRegistry)}
        theirs = {target.reference.registry} if isinstance(target, InRegistry) else set()
        if self.source.credentials is not None and len(ours) > 1:
            raise RequestError(f"credentials for one registry, but there are {', '.join(sorted(ours))}", hint=_LOGIN)
        same = self.source.credentials is not None and self.source.credentials is self.target.credentials
        if same and len(ours | theirs) > 1:
            raise RequestError("--creds with two registries", hint="say whose: --src-creds and --dest-creds")


def two_sides_options(function: Callable[..., _R]) -> Callable[..., _R]:
    """Add the flags for both registries and those for one; *function* gets what they say as ``sides``."""

    @click.option("--src-creds", metavar="NAME:PASSWORD", help="Like --creds, for the source only.")
    @click.option("--dest-creds", metavar="NAME:PASSWORD", help="Like --creds, for the target only.")
    @click.option("--src-tls-verify/--no-src-tls-verify", default=None, help="Like --tls-verify, for the source only.")
    @click.option(
        "--dest-tls-verify/--no-dest-tls-verify", default=None, help="Like --tls-verify, for the target only."
    )
    @access_options
    @wraps(function)
    def with_sides(*arguments: Any, access: Access, **flags: Any) -> _R:
        source = _side(access, flags.pop("src_creds"), flags.pop("src_tls_verify"))
        target = _side(access, flags.pop("dest_creds"), flags.pop("dest_tls_verify"))
        return function(*arguments, sides=Sides(source=source, target=target), **flags)

    return with_sides


def _side(common: Access, creds: str | None, verify: bool | None) -> Access:
    who = common.credentials if creds is None else credentials(creds)
    return replace(common, credentials=who, verify=common.verify if verify is None else verify)


def credentials(given: str) -> Credentials:
    """Return what ``NAME:PASSWORD`` stands for; the password may have colons. Raises RequestError."""
    name, colon, password = given.partition(":")
    if not name or not colon or not password:
        # The text itself is not shown: it may well be the password.
        raise RequestError("invalid --creds: expected NAME:PASSWORD", hint="pybuild login keeps credentials in a file")
    return Credentials(name, password)
