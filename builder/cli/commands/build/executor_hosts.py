"""What Kaniko's flags, variables and files say of registries, as the configuration files that pybuild reads."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pybuild.builder.cli.commands.build.executor_flags import MirrorFlags
from pybuild.builder.errors import RequestError

_HUB = "docker.io"
_KANIKO = Path("/kaniko")
"""Scripts for Kaniko's image put credentials and an authority there."""


@contextmanager
def configured(flags: MirrorFlags, directory: Path) -> Iterator[Mapping[str, tuple[str, ...]]]:
    """Set the variables that name these files, which are written to *directory*, as long as the block runs.

    Yields the mirrors of each registry. Raises RequestError for an invalid value.
    """
    mirrors = _mirrors(flags)
    variables = dict(_found(_KANIKO))
    registries = _registries(flags, mirrors)
    if registries:
        variables["CONTAINERS_REGISTRIES_CONF"] = _write(directory / "registries.conf", registries)
    certificates = "".join((*map(_authority, flags.certificates), *map(_pair, flags.client_certificates)))
    if certificates:
        variables["PYBUILD_CONFIG"] = _write(directory / "pybuild.toml", certificates)
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield mirrors
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _found(place: Path) -> Iterator[tuple[str, str]]:
    """Yield the variables for files of Kaniko's image, as far as the user has set no others."""
    own = {"DOCKER_CONFIG", "REGISTRY_AUTH_FILE", "DOCKER_AUTH_CONFIG"}
    if (place / ".docker" / "config.json").exists() and not own & os.environ.keys():
        yield "DOCKER_CONFIG", os.fspath(place / ".docker")
    authority = place / "ssl" / "certs" / "additional-ca-cert-bundle.crt"
    if authority.exists() and "REQUESTS_CA_BUNDLE" not in os.environ:
        yield "REQUESTS_CA_BUNDLE", os.fspath(authority)


def _mirrors(flags: MirrorFlags) -> dict[str, tuple[str, ...]]:
    """Return the mirrors by registry. Empty values, which variables of CI systems often are, count as not given."""
    maps = (*flags.maps, os.environ.get("KANIKO_REGISTRY_MAP", ""))
    mirrors = (*flags.mirrors, *os.environ.get("KANIKO_REGISTRY_MIRROR", "").split(","))
    pairs = [item for text in maps for item in text.split(";")] + [f"{_HUB}={mirror}" for mirror in mirrors if mirror]
    found: dict[str, tuple[str, ...]] = {}
    for pair in filter(None, pairs):
        name, equals, mirror = pair.partition("=")
        if not (name and equals and mirror):
            raise RequestError(f"invalid --registry-map {pair!r}", hint="use REGISTRY=MIRROR;...")
        name = _HUB if name == f"index.{_HUB}" else name
        found[name] = (*found.get(name, ()), mirror.rstrip("/"))
    return found


def _registries(flags: MirrorFlags, mirrors: Mapping[str, tuple[str, ...]]) -> str:
    """Return the text of a ``registries.conf`` with these mirrors, and with registries that need no HTTPS."""
    text = ""
    for host in dict.fromkeys((*filter(None, flags.insecure_registries), *mirrors)):
        *others, last = (*mirrors.get(host, ()), host)
        if flags.no_fallback and others:
            last = others.pop()
        text += f"[[registry]]\nprefix = {json.dumps(host)}\n{_location(last, flags)}"
        text += "".join(f"[[registry.mirror]]\n{_location(each, flags)}" for each in others)
    return text


def _location(place: str, flags: MirrorFlags) -> str:
    scheme, _, rest = place.rpartition("://")
    plain = scheme == "http" or rest.partition("/")[0] in flags.insecure_registries
    return f"location = {json.dumps(rest)}\n" + ("insecure = true\n" if plain else "")


def _authority(text: str) -> str:
    host, path = _divided(text, "--registry-certificate", "HOST=FILE")
    return f"[registry.{json.dumps(host)}]\nca = [{json.dumps(path)}]\n"


def _pair(text: str) -> str:
    host, paths = _divided(text, "--registry-client-cert", "HOST=CERT,KEY")
    certificate, comma, key = paths.partition(",")
    if not (certificate and comma and key):
        raise RequestError(f"invalid --registry-client-cert {text!r}", hint="use HOST=CERT,KEY")
    return f"[[registry.{json.dumps(host)}.keypair]]\ncert = {json.dumps(certificate)}\nkey = {json.dumps(key)}\n"


def _divided(text: str, flag: str, form: str) -> tuple[str, str]:
    host, _, value = text.partition("=")
    if not (host and value):
        raise RequestError(f"invalid {flag} {text!r}", hint=f"use {form}")
    return host, value


def _write(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return os.fspath(path)
