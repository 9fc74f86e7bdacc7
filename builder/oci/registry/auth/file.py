"""One file with credentials: Docker's ``config.json``, containers' ``auth.json``, or the older ``.dockercfg``.

    {"auths": {"<server>": {"auth": base64("<name>:<password>"), "identitytoken": ..., "registrytoken": ...}},
     "credHelpers": {"<server>": "<helper>"}, "credsStore": "<helper>", ...}

A server is a host, with or without scheme and path; in ``auth.json`` also a host and the beginning of a repository.
"""

import base64
import binascii
import json
import os
import secrets
import stat
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from pybuild.builder.oci.errors import CredentialsError, HelperMissing, InvalidImage
from pybuild.builder.oci.json_documents import DOCUMENT_LIMIT, Fields, parse_object
from pybuild.builder.oci.registry.auth.helpers import Helper
from pybuild.builder.oci.registry.auth.tokens import Credentials

DOCKER_HUB = "https://index.docker.io/v1/"
"""Docker's name of its own registry in these files."""

_HUB_NAMES = frozenset({"docker.io", "index.docker.io", "registry-1.docker.io"})
_pipes: dict[tuple[Path, int, int], bytes] = {}
"""What pipes contained, by path, device and inode: a pipe can be read once, and every registry looks for its user."""
_pipes_lock = threading.Lock()


def server_key(registry: str) -> str:
    """Return the key under which Docker stores the credentials of a registry."""
    return DOCKER_HUB if registry in _HUB_NAMES else registry


class AuthFile:
    """The content of one file. *place* names it in errors; changes are written by `keep` and `forget`."""

    def __init__(self, raw: bytes, place: str, env: Mapping[str, str]) -> None:
        self._place, self._env = place, env
        try:
            self._fields = parse_object(raw or b"{}", "")
            old = "auths" not in self._fields.values and place.endswith(".dockercfg")
            self._auths = self._fields if old else (self._fields.nested("auths") or Fields("auths", {}))
            self._helpers = self._fields.text_map("credHelpers")
            self._store = self._fields.text("credsStore")
        except InvalidImage as error:
            raise CredentialsError(f"{place}: {str(error).lstrip(': ')}") from None

    def find(self, registry: str, repository: str = "") -> Credentials | None:
        """Return the credentials for a repository, those of the longest name first.

        Raises:
            HelperMissing: none were found, but a helper that is not installed may have some.
            CredentialsError: they cannot be read, or a helper failed.
        """
        missing: HelperMissing | None = None
        for key in _names(registry, repository):
            # The store of Docker knows hosts, and no parts of names of repositories.
            store = self._store if key == registry else ""
            for name in filter(None, (self._helpers.get(key), store)):
                try:
                    if found := self._helper(name).get(server_key(key)):
                        return found
                except HelperMissing as error:
                    missing = error
            if found := self._inline(key):
                return found
        if missing is not None:
            raise missing
        return None

    def helper_for(self, registry: str) -> Helper | None:
        """Return the helper that stores the credentials of a registry; None when the file itself does."""
        name = self._helpers.get(registry) or self._helpers.get(server_key(registry)) or self._store
        return self._helper(name) if name else None

    def _helper(self, name: str) -> Helper:
        return Helper(name=name, env=self._env)

    def _inline(self, key: str) -> Credentials | None:
        for written in self._auths.values:
            if _plain_name(written) == _plain_name(key):
                try:
                    found = _decode(self._auths.required_nested(written))
                except InvalidImage as error:
                    raise CredentialsError(f"{self._place}: {error}") from None
                if found is not None:
                    return found
        return None


def read_auth_file(path: Path, env: Mapping[str, str]) -> AuthFile | None:
    """Read a file; None when it does not exist. Raises CredentialsError."""
    try:
        raw = _content(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise CredentialsError(f"{path}: {error.strerror}") from error
    return AuthFile(raw, str(path), env)


def _content(path: Path) -> bytes:
    status = path.stat()
    if stat.S_ISREG(status.st_mode):
        return _read(path)
    pipe = path, status.st_dev, status.st_ino
    with _pipes_lock:
        if pipe not in _pipes:
            _pipes[pipe] = _read(path)
        return _pipes[pipe]


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(DOCUMENT_LIMIT + 1)


def keep(path: Path, registry: str, credentials: Credentials) -> None:
    """Write credentials for a registry into a file, which is created if needed; everything else in it stays."""
    document = _document(path)
    entry: dict[str, str] = {}
    if credentials.identity_token:
        entry["identitytoken"] = credentials.identity_token
    else:
        entry["auth"] = base64.b64encode(f"{credentials.username}:{credentials.password}".encode()).decode()
    _auths(document)[server_key(registry)] = entry
    _replace(path, document)


def forget(path: Path, registry: str) -> bool:
    """Remove the credentials for a registry from a file; return whether there were any."""
    document = _document(path)
    auths = _auths(document)
    named = [key for key in auths if _plain_name(key) == _plain_name(server_key(registry))]
    for key in named:
        del auths[key]
    if named:
        _replace(path, document)
    return bool(named)


def _names(registry: str, repository: str) -> Iterator[str]:
    """Yield the possible keys for a repository, the longest first."""
    parts = repository.split("/") if repository else []
    for count in range(len(parts), 0, -1):
        yield "/".join((registry, *parts[:count]))
    yield registry
    if registry in _HUB_NAMES:
        yield DOCKER_HUB
        yield from sorted(_HUB_NAMES - {registry})


def _plain_name(key: str) -> str:
    """Return a key without the scheme and API version that older Docker versions wrote."""
    bare = key.removeprefix("https://").removeprefix("http://").rstrip("/")
    for version in ("/v1", "/v2"):
        bare = bare.removesuffix(version)
    return bare


def _decode(entry: Fields) -> Credentials | None:
    identity, registry_token = entry.text("identitytoken"), entry.text("registrytoken")
    username, password = entry.text("username"), entry.text("password")
    auth = entry.text("auth")
    if auth:
        try:
            # The program base64 divides long lines, and the decoder of Go ignores that.
            plain = base64.b64decode(auth.translate({10: None, 13: None}), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise entry.error("auth", "expected base64 of name:password") from None
        # Docker's client removes NUL bytes at the end of the password, too.
        username, _, password = plain.rstrip("\0").partition(":")
    found = Credentials(username, password, identity, registry_token)
    return found if found.header() or identity or registry_token else None


def _document(path: Path) -> dict[str, object]:
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return {}
    try:
        return dict(parse_object(raw or b"{}", "").values)
    except InvalidImage as error:
        raise CredentialsError(f"{path}: {str(error).lstrip(': ')}") from None


def _auths(document: dict[str, object]) -> dict[str, object]:
    auths = document.setdefault("auths", {})
    if not isinstance(auths, dict):
        raise CredentialsError("auths: expected object")
    return auths


def _replace(path: Path, document: Mapping[str, object]) -> None:
    """Replace a file atomically, readable by its owner only; a symlink is followed and kept."""
    path = Path(os.path.realpath(path))
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Without the user's name, which may already have all of the 255 bytes of NAME_MAX.
    new = path.with_name(f".pybuild-{secrets.token_hex(8)}")
    try:
        handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(document, file, indent="\t")
            file.flush()
            # Before the rename: after a crash the new name could otherwise lead to an empty file, without any login.
            os.fsync(file.fileno())
        new.rename(path)
    except BaseException:
        with suppress(FileNotFoundError):
            new.unlink()
        raise
