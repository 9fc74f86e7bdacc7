"""All settings of a user for registries, as one value; read when a registry is first needed."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from pybuild.builder.oci.registry.auth.credentials import CredentialFiles
from pybuild.builder.oci.registry.auth.tokens import Credentials
from pybuild.builder.oci.registry.configuration import Configuration, merged, read_own, read_registries_conf
from pybuild.builder.oci.registry.mirrors import MirrorPlace, find_entry, places
from pybuild.builder.oci.registry.wire.certificates import Tls, tls_from, tls_in
from pybuild.builder.oci.registry.wire.origin import Origin, registry_origin


def _nobody(_registry: str, _repository: str) -> Credentials | None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The defaults are those of a host on which nothing is configured."""

    configuration: Configuration = field(default_factory=Configuration)
    certificates: tuple[Path, ...] = ()
    """Directories called ``certs.d``."""
    chosen_certificates: Path | None = None
    """The directory of the command line, which applies to every server."""
    credentials: Callable[[str, str], Credentials | None] = _nobody
    """Called with (registry, repository), when a registry requires authentication."""
    verify: bool = True
    """False: the user permits any certificate, and plain http."""

    def places(self, registry: str, repository: str, *, by_digest: bool) -> tuple[MirrorPlace, ...]:
        """Return the places to look for an image, in order. Raises RegistryError when the registry is blocked."""
        found = places(self.configuration.entries, registry, repository, by_digest=by_digest)
        # --tls-verify=false is about the registry that the user names, not about its mirrors.
        if self.verify:
            return found
        return (*found[:-1], replace(found[-1], insecure=True))

    def origins(self, place: MirrorPlace) -> tuple[Origin, ...]:
        """Return the possible origins of the server of a place: one, or https and then http when it is insecure."""
        plain, encrypted = (registry_origin(place.registry, scheme=scheme) for scheme in ("http", "https"))
        if place.registry in self.configuration.plain:
            return (plain,)
        if place.insecure:
            return (encrypted, plain)
        # On loopback a registry speaks plain http, unless somebody has configured certificates for it.
        if encrypted.is_loopback and self._certificates(encrypted) is not None:
            return (encrypted,)
        return (registry_origin(place.registry),)

    def tls(self, origin: Origin, insecure: frozenset[str]) -> Tls:
        """Return the TLS settings for a server; *insecure* are hosts whose certificates are not verified."""
        found = self._certificates(origin) or Tls()
        return replace(found, verify=False) if f"{origin.host}:{origin.port}" in insecure else found

    def calls_insecure(self, origin: Origin) -> bool:
        """Return whether a file permits plain http and any certificate for a server."""
        if origin.name in self.configuration.plain:
            return True
        entry = find_entry(self.configuration.entries, origin.name)
        return entry is not None and entry.insecure

    def _certificates(self, origin: Origin) -> Tls | None:
        if self.chosen_certificates is not None:
            return tls_in(self.chosen_certificates)
        for name, tls in self.configuration.tls.items():
            if registry_origin(name, scheme="https") == origin:
                return tls
        return tls_from(self.certificates, origin)


def host_settings(
    env: Mapping[str, str], home: Path | None = None, etc: Path = Path("/etc"), auth_file: Path | None = None
) -> Settings:
    """Return the settings of this host and this user; credentials are read from *auth_file* only, if given.

    Raises RegistryError for an invalid file.
    """
    home = home or Path(env.get("HOME") or Path.home())
    config = Path(env.get("XDG_CONFIG_HOME") or home / ".config")
    own = [Path(env["PYBUILD_CONFIG"])] if env.get("PYBUILD_CONFIG") else []
    own += [config / "pybuild" / "pybuild.toml", etc / "pybuild" / "pybuild.toml"]
    return Settings(
        configuration=merged(read_own(own), read_registries_conf(_registries_conf(env, config, etc))),
        certificates=(
            config / "containers" / "certs.d",
            config / "docker" / "certs.d",
            etc / "containers" / "certs.d",
            etc / "docker" / "certs.d",
        ),
        credentials=CredentialFiles(env=env, home=home, chosen=auth_file).find,
    )


def _registries_conf(env: Mapping[str, str], config: Path, etc: Path) -> list[Path]:
    """Return the files in the order in which they are read (containers-registries.conf, "FILES")."""
    chosen = env.get("CONTAINERS_REGISTRIES_CONF") or env.get("REGISTRIES_CONFIG_PATH")
    if chosen:
        return [Path(chosen)]
    own = config / "containers" / "registries.conf"
    main = own if own.exists() else etc / "containers" / "registries.conf"
    directories = (etc / "containers" / "registries.conf.d", config / "containers" / "registries.conf.d")
    dropped = [
        directory / name for directory in directories if directory.is_dir() for name in sorted(os.listdir(directory))
    ]
    return [main, *(path for path in dropped if path.suffix == ".conf")]
