"""Debian's ``docker-registry`` on a loopback port: plain, with a password, with TLS from an authority of our own."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.helpers.certificates import make_authority, sign
from tests.helpers.serving import on_a_free_port

USER, PASSWORD = "tester", "interop-password"
# What `htpasswd -nbB` says of the two; a cheap cost, because each request is checked.
_HTPASSWD = f"{USER}:$2b$05$abcdefghijklmnopqrstuuwUEJiP5oj5tqIHQ2.VBmuih2Ur5XVl2\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class DockerRegistry:
    """A registry that runs. *name* is how references call it; *certificates* is a ``certs.d`` that knows it."""

    name: str
    storage: Path
    guarded: bool
    encrypted: bool
    certificates: Path

    @property
    def url(self) -> str:
        return f"{'https' if self.encrypted else 'http'}://{self.name}"

    @property
    def own_certificates(self) -> Path:
        """The directory of this one server below *certificates*."""
        return self.certificates / self.name


@contextmanager
def docker_registry(
    directory: Path,
    *,
    guarded: bool = False,
    encrypted: bool = False,
    address: str = "localhost",
    known_clients: bool = False,
) -> Iterator[DockerRegistry]:
    """A registry that runs while the block does, with all its files in *directory*.

    Unless *address* is given it listens on loopback alone. With *known_clients* clients need a certificate, too.
    """
    directory.mkdir(parents=True)
    (directory / "htpasswd").write_text(_HTPASSWD)
    if encrypted:
        make_authority(directory)
        own = "" if address == "localhost" else f",IP:{address}"
        sign(directory, "server", "localhost", f"DNS:localhost,IP:127.0.0.1{own}")

    def of(port: int) -> DockerRegistry:
        return DockerRegistry(
            name=f"{address}:{port}",
            storage=directory / "storage",
            guarded=guarded,
            encrypted=encrypted,
            certificates=directory / "certs.d",
        )

    def start(port: int) -> subprocess.Popen[bytes]:
        (directory / "config.yml").write_text(_configuration(directory, of(port), port, known_clients=known_clients))
        words = ["docker-registry", "serve", os.fspath(directory / "config.yml")]
        return subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    with (directory / "log").open("wb") as log:
        server, port = on_a_free_port(start)
    registry = of(port)
    registry.own_certificates.mkdir(parents=True)
    if encrypted:
        shutil.copy(directory / "ca.pem", registry.own_certificates / "ca.crt")
    if known_clients:
        sign(directory, "client", "tester", "DNS:tester")
        for suffix, name in (("pem", "client.cert"), ("key", "client.key")):
            shutil.copy(directory / f"client.{suffix}", registry.own_certificates / name)
    try:
        yield registry
    finally:
        server.terminate()
        server.wait()


def _configuration(directory: Path, registry: DockerRegistry, port: int, *, known_clients: bool) -> str:
    listens = "127.0.0.1" if registry.name.startswith("localhost:") else "0.0.0.0"
    tls = _tls(directory, known_clients=known_clients) if registry.encrypted else ""
    lines = [
        "version: 0.1",
        "log: {level: error, accesslog: {disabled: true}}",
        f"storage: {{filesystem: {{rootdirectory: {registry.storage}}}, delete: {{enabled: true}}}}",
        f"http: {{addr: '{listens}:{port}'{tls}}}",
    ]
    if registry.guarded:
        lines.append(f"auth: {{htpasswd: {{realm: tests, path: {directory / 'htpasswd'}}}}}")
    return "\n".join(lines) + "\n"


def _tls(directory: Path, *, known_clients: bool) -> str:
    clients = f", clientcas: [{directory / 'ca.pem'}]" if known_clients else ""
    return f", tls: {{certificate: {directory / 'server.pem'}, key: {directory / 'server.key'}{clients}}}"
