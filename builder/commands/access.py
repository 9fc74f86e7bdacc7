"""The flags by which ``pull`` and ``push`` are told how to get at a registry."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

from builder.errors import RequestError
from builder.oci.registry.access import Access
from builder.oci.registry.tokens import Credentials

_R = TypeVar("_R")


def access_options(function: Callable[..., _R]) -> Callable[..., _R]:
    """Add the flags; *function* gets what they say as ``access``."""

    @click.option("--creds", metavar="NAME:PASSWORD", help="Who asks, whatever the files of credentials say.")
    @click.option(
        "--authfile",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        metavar="FILE",
        help="Look for credentials in this file only.",
    )
    @click.option("--tls-verify/--no-tls-verify", default=True, help="Refuse http and unknown certificates (default).")
    @wraps(function)
    def with_access(*arguments: Any, creds: str | None, authfile: Path | None, tls_verify: bool, **flags: Any) -> _R:
        who = None if creds is None else credentials(creds)
        access = Access(credentials=who, auth_file=authfile, verify=tls_verify)
        return function(*arguments, access=access, **flags)

    return with_access


def credentials(given: str) -> Credentials:
    """Return what ``NAME:PASSWORD`` stands for; the password may have colons. Raises RequestError."""
    name, colon, password = given.partition(":")
    if not name or not colon or not password:
        # The text itself is not shown: it may well be the password.
        raise RequestError("invalid --creds: expected NAME:PASSWORD", hint="pybuild login keeps credentials in a file")
    return Credentials(name, password)
