"""The address of a Docker daemon, as Docker's client finds it in the environment and in its contexts."""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pybuild.builder.errors import RequestError
from pybuild.runtime.values import frozen

_LIMIT = 1 << 20
# Registered with IANA for Docker.
_SECURE_PORT, _PLAIN_PORT = 2376, 2375


@frozen
class Address:
    """Where a daemon listens: the path of a Unix socket, or a host and a port, by TLS where *tls* is a directory.

    *tls* has ``ca.pem``, and ``cert.pem`` with ``key.pem`` for a daemon that asks for them.
    """

    text: str
    socket: str = ""
    host: str = ""
    port: int = 0
    tls: Path | None = None
    verify: bool = True


DEFAULT = Address(text="unix:///var/run/docker.sock", socket="/var/run/docker.sock")


def chosen_address(context: str, env: Mapping[str, str]) -> Address | None:
    """Return the address of *context*, or else the one that *env* or Docker's configuration names; None for none.

    Raises:
        RequestError: there is no such context, or its address is of a kind that is not supported.
    """
    host = env.get("DOCKER_HOST", "")
    if host and not context:
        certificates = env.get("DOCKER_CERT_PATH") or os.fspath(_configuration(env))
        verify = bool(env.get("DOCKER_TLS_VERIFY"))
        secured = verify or bool(env.get("DOCKER_TLS"))
        return parse_address(host, tls=Path(certificates) if secured else None, verify=verify)
    name = context or env.get("DOCKER_CONTEXT") or _current_context(env)
    return _of_context(name, env) if name not in {"", "default"} else DEFAULT if name and context else None


def parse_address(text: str, *, tls: Path | None = None, verify: bool = True) -> Address:
    """Return the address that *text* is. Raises RequestError for one that no daemon could have, and for ssh."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise RequestError(f"invalid address of a Docker daemon {text!r}: {error}") from error
    if parts.scheme == "unix" and parts.path.startswith("/"):
        return Address(text=text, socket=parts.path)
    if parts.scheme == "ssh":
        hint = "forward its socket: ssh -nNT -L /tmp/docker.sock:/var/run/docker.sock HOST, and use unix:///tmp/docker.sock"
        raise RequestError(f"cannot load into a Docker daemon at {text}: ssh is not supported", hint=hint)
    if parts.scheme not in {"tcp", "http", "https"} or not parts.hostname:
        raise RequestError(f"invalid address of a Docker daemon {text!r}", hint="write unix:///PATH or tcp://HOST:PORT")
    if parts.scheme == "https" and tls is None:
        raise RequestError(f"{text} needs certificates", hint="set DOCKER_TLS_VERIFY=1 and DOCKER_CERT_PATH")
    default = _SECURE_PORT if tls else _PLAIN_PORT
    return Address(text=text, host=parts.hostname, port=port or default, tls=tls, verify=verify)


def _configuration(env: Mapping[str, str]) -> Path:
    return Path(env.get("DOCKER_CONFIG") or Path(env.get("HOME") or "/") / ".docker")


def _current_context(env: Mapping[str, str]) -> str:
    """Return the context that ``docker context use`` chose; "" for none, and for a file that Docker could not read."""
    document = _read(_configuration(env) / "config.json")
    name = document.get("currentContext") if isinstance(document, dict) else None
    return name if isinstance(name, str) else ""


def _of_context(name: str, env: Mapping[str, str]) -> Address:
    directory = hashlib.sha256(name.encode()).hexdigest()
    contexts = _configuration(env) / "contexts"
    document = _read(contexts / "meta" / directory / "meta.json")
    if document is None:
        raise RequestError(f"Docker has no context {name!r}", hint="docker context ls lists them")
    try:
        endpoint = document["Endpoints"]["docker"]
        host, unverified = endpoint["Host"], endpoint.get("SkipTLSVerify", False)
    except (KeyError, TypeError, AttributeError) as error:
        raise RequestError(f"Docker's context {name!r} has no address of a daemon") from error
    if not isinstance(host, str):
        raise RequestError(f"Docker's context {name!r} has no address of a daemon")
    certificates = contexts / "tls" / directory / "docker"
    return parse_address(host, tls=certificates if certificates.is_dir() else None, verify=unverified is not True)


def _read(path: Path) -> Any:
    """Return a JSON document; None for one that is not there, too long, or no JSON."""
    try:
        with path.open("rb") as file:
            return json.loads(file.read(_LIMIT))
    except (OSError, ValueError, RecursionError):
        return None
