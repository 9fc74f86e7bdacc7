"""Where credentials are searched, and where ``login`` stores them.

Those of the command line (``--creds``, ``--authfile``) take precedence. Otherwise the first of these that has any for
the image is used:

    $DOCKER_AUTH_CONFIG                     the content of a file, as CI systems pass it
    $REGISTRY_AUTH_FILE                     when set, this file and no other
    $DOCKER_CONFIG/config.json              when set, this file and no other
    $XDG_RUNTIME_DIR/containers/auth.json   without the variable: /run/containers/<uid>/auth.json
    ~/.config/containers/auth.json          or below $XDG_CONFIG_HOME
    ~/.docker/config.json
    ~/.dockercfg
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pybuild.builder.oci.errors import HelperMissing
from pybuild.builder.oci.registry.auth.file import AuthFile, forget, keep, read_auth_file, server_key
from pybuild.builder.oci.registry.auth.tokens import Credentials

_INLINE = "DOCKER_AUTH_CONFIG"


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialFiles:
    """The credentials of one user."""

    env: Mapping[str, str]
    home: Path
    run: Path = Path("/run")
    chosen: Path | None = None
    """The file that the command line names, which is used instead of all others."""

    def find(self, registry: str, repository: str = "") -> Credentials | None:
        """Return the credentials for a repository; None when there are none.

        Raises:
            HelperMissing: none were found, but a helper that is not installed may have some.
            CredentialsError: a file or a helper failed.
        """
        missing: HelperMissing | None = None
        for file in self._files():
            try:
                if found := file.find(registry, repository):
                    return found
            except HelperMissing as error:
                missing = error
        if missing is not None:
            raise missing
        return None

    def keep(self, registry: str, credentials: Credentials) -> Path | None:
        """Store credentials where Docker does; return the file when they are in it unencrypted."""
        path = self.own_file()
        file = read_auth_file(path, self.env)
        helper = file.helper_for(registry) if file else None
        if helper is None:
            keep(path, registry, credentials)
            return path
        helper.store(server_key(registry), credentials)
        return None

    def forget(self, registry: str) -> bool:
        """Remove what `keep` stored; return whether there was anything."""
        path = self.own_file()
        file = read_auth_file(path, self.env)
        helper = file.helper_for(registry) if file else None
        known = helper is not None and helper.get(server_key(registry)) is not None
        if helper is not None and known:
            helper.erase(server_key(registry))
        return forget(path, registry) or known

    def own_file(self) -> Path:
        """Return the file that `keep` and `forget` change."""
        return self._only() or self.home / ".docker" / "config.json"

    def _files(self) -> Iterator[AuthFile]:
        if self.chosen is None and (inline := self.env.get(_INLINE)):
            yield AuthFile(inline.encode(), f"${_INLINE}", self.env)
        for path in self._paths():
            file = read_auth_file(path, self.env)
            if file is not None:
                yield file

    def _paths(self) -> tuple[Path, ...]:
        only = self._only()
        if only is not None:
            return (only,)
        runtime = self.env.get("XDG_RUNTIME_DIR")
        directory = Path(runtime) / "containers" if runtime else self.run / "containers" / str(os.getuid())
        config = Path(self.env.get("XDG_CONFIG_HOME") or self.home / ".config")
        return (
            directory / "auth.json",
            config / "containers" / "auth.json",
            self.home / ".docker" / "config.json",
            self.home / ".dockercfg",
        )

    def _only(self) -> Path | None:
        """Return the one file that the command line or the environment names, if they do."""
        if self.chosen is not None:
            return self.chosen
        if chosen := self.env.get("REGISTRY_AUTH_FILE"):
            return Path(chosen)
        directory = self.env.get("DOCKER_CONFIG")
        return Path(directory) / "config.json" if directory else None
