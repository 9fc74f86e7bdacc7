"""Certificate authorities and client certificates for a server: ``certs.d`` of Docker and of containers.

<directory>/<host>[:<port>]/*.crt          authorities that are trusted for this server besides the host's own
<directory>/<host>[:<port>]/*.cert *.key   a certificate of ours and its key, under the same name
"""

import os
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pybuild.builder.oci.errors import RegistryError
from pybuild.builder.oci.registry.wire.origin import Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """The TLS settings for one server. Paths are of PEM files."""

    verify: bool = True
    authorities: tuple[str, ...] = ()
    certificate: str = ""
    key: str = ""


def tls_from(directories: Iterable[Path], origin: Origin) -> Tls | None:
    """Return the settings in the first of *directories* that has a directory for the server; None when none has.

    Raises:
        RegistryError: a client certificate has no key, or a key no certificate.
    """
    for directory in directories:
        for name in _names(origin):
            found = directory / name
            if found.is_dir():
                return tls_in(found)
    return None


def _names(origin: Origin) -> tuple[str, ...]:
    """Return the possible names of the directory of a server. `Origin` has checked that a host is not a path."""
    named = f"{origin.host}:{origin.port}"
    return (named, origin.host) if origin.port == origin.default_port else (named,)


def tls_in(directory: Path) -> Tls:
    """Return the settings in the directory of one server. Raises RegistryError like `tls_from`."""
    names = sorted(os.listdir(directory))
    keys = {name.removesuffix(".key") for name in names if name.endswith(".key")}
    certificates = {name.removesuffix(".cert") for name in names if name.endswith(".cert")}
    for name in sorted(keys ^ certificates):
        raise RegistryError(f"{directory}: {name}.cert and {name}.key belong together, and one of them is missing")
    ours = min(keys, default="")
    return Tls(
        authorities=tuple(str(directory / name) for name in names if name.endswith(".crt")),
        certificate=str(directory / f"{ours}.cert") if ours else "",
        key=str(directory / f"{ours}.key") if ours else "",
    )


def tls_context(tls: Tls, *, default_authorities: str) -> ssl.SSLContext:
    """Return the context of connections with *tls*, which also trust the authorities of this host.

    Raises:
        RegistryError: a file with certificates cannot be used.
    """
    context = ssl.create_default_context()
    system = ssl.get_default_verify_paths()
    if not system.cafile and not system.capath:
        # This host has none, as in many small containers: the file *default_authorities* is used.
        context.load_verify_locations(default_authorities)
    bundle = os.environ.get("REQUESTS_CA_BUNDLE")
    try:
        for authority in (*tls.authorities, *([bundle] if bundle else [])):
            context.load_verify_locations(authority)
        if tls.certificate:
            context.load_cert_chain(tls.certificate, tls.key)
    except OSError as error:
        files = ", ".join(filter(None, (*tls.authorities, tls.certificate, bundle)))
        raise RegistryError(f"cannot use the certificates {files}: {error.strerror or error}") from error
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
