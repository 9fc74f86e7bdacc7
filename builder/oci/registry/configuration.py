"""Configuration files for registries: ``registries.conf`` of containers, and our own ``pybuild.toml``.

Ours has BuildKit's table, where a registry is named by its host:

    [registry."docker.io"]
    mirrors = ["mirror.example.com", "cache.example.com/hub"]

    [registry."registry.example.com:5000"]
    http = false          # true: plain http only
    insecure = false      # true: any certificate, or plain http
    ca = ["/etc/ssl/example.pem"]
    [[registry."registry.example.com:5000".keypair]]
    cert = "client.pem"
    key = "client.key"
"""

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pybuild.builder.oci.errors import InvalidImage, RegistryError
from pybuild.builder.oci.json_documents import Fields
from pybuild.builder.oci.registry.mirrors import ALL, BY_DIGEST, BY_TAG, Mirror, MirrorRule
from pybuild.builder.oci.registry.wire.certificates import Tls

_LIMIT = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """Entries, most important first; *plain* are hosts with http only, *tls* certificates by host."""

    entries: tuple[MirrorRule, ...] = ()
    plain: frozenset[str] = frozenset()
    tls: Mapping[str, Tls] = field(default_factory=dict)


def read_registries_conf(paths: Iterable[Path]) -> Configuration:
    """Read ``registries.conf`` and its drop-ins, in order: a later one replaces entries of the same prefix.

    Raises:
        RegistryError: a file is invalid.
    """
    entries: dict[str, MirrorRule] = {}
    for path in paths:
        document = _read(path)
        with _naming(path):
            for table in document.objects("registry") if document else ():
                entry = _entry(table)
                entries[entry.prefix] = entry
    return Configuration(entries=tuple(entries.values()))


def read_own(paths: Iterable[Path]) -> Configuration:
    """Read the first ``pybuild.toml`` that exists. Raises RegistryError."""
    for path in paths:
        document = _read(path)
        if document is not None:
            with _naming(path):
                return _own(document)
    return Configuration()


def merged(first: Configuration, second: Configuration) -> Configuration:
    """Return both merged; entries of *first* take precedence."""
    return Configuration(
        entries=(*first.entries, *second.entries),
        plain=first.plain | second.plain,
        tls={**second.tls, **first.tls},
    )


def _entry(table: Fields) -> MirrorRule:
    location = table.text("location").rstrip("/")
    prefix = table.text("prefix").rstrip("/") or location
    if not prefix:
        raise table.error("location", "expected string, found nothing")
    by_digest = table.flag("mirror-by-digest-only")
    return MirrorRule(
        prefix=prefix,
        location=location,
        insecure=table.flag("insecure"),
        blocked=table.flag("blocked"),
        mirrors=tuple(_mirror(mirror, BY_DIGEST if by_digest else ALL) for mirror in table.objects("mirror")),
    )


def _mirror(table: Fields, default: str) -> Mirror:
    pull = table.text("pull-from-mirror") or default
    if pull not in {ALL, BY_DIGEST, BY_TAG}:
        raise table.error("pull-from-mirror", f"expected {ALL}, {BY_DIGEST} or {BY_TAG}")
    location = table.text("location", required=True).rstrip("/")
    return Mirror(location=location, insecure=table.flag("insecure"), pull=pull)


def _own(document: Fields) -> Configuration:
    tables = document.nested("registry") or Fields("registry", {})
    hosts = {host: tables.required_nested(host) for host in document.names("registry")}
    return Configuration(
        entries=tuple(
            entry for host, table in hosts.items() if (entry := _own_entry(host, table)) != MirrorRule(prefix=host)
        ),
        plain=frozenset(host for host, table in hosts.items() if table.flag("http")),
        tls={host: tls for host, table in hosts.items() if (tls := _own_tls(table)) is not None},
    )


def _own_entry(host: str, table: Fields) -> MirrorRule:
    return MirrorRule(
        prefix=host,
        insecure=table.flag("insecure"),
        mirrors=tuple(Mirror(location=location.rstrip("/")) for location in table.texts("mirrors") or ()),
    )


def _own_tls(table: Fields) -> Tls | None:
    authorities, pairs = table.texts("ca") or (), table.objects("keypair")
    if not authorities and not pairs:
        return None
    certificate = pairs[0].text("cert", required=True) if pairs else ""
    return Tls(
        authorities=authorities, certificate=certificate, key=pairs[0].text("key", required=True) if pairs else ""
    )


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    try:
        yield
    except InvalidImage as error:
        raise RegistryError(f"{path}: {error}") from None


def _read(path: Path) -> Fields | None:
    try:
        with path.open("rb") as file:
            raw = file.read(_LIMIT + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    if len(raw) > _LIMIT:
        # Part of it could lack what a later line forbids, such as `blocked = true`.
        raise RegistryError(f"{path}: larger than {_LIMIT} bytes")
    try:
        return Fields("", tomllib.loads(raw.decode()))
    except ValueError as error:
        raise RegistryError(f"{path}: {error}") from None
