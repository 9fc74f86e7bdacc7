"""Debian's ``docker-registry`` on a loopback port: plain, with a password, with TLS from an authority of our own."""

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.helpers.certificates import make_authority, sign
from tests.helpers.serving import wait_for

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
def docker_registry(directory: Path, *, guarded: bool = False, encrypted: bool = False) -> Iterator[DockerRegistry]:
    """A registry that runs while the block does, with all its files in *directory*."""
    directory.mkdir(parents=True)
    port = _free_port()
    registry = DockerRegistry(
        name=f"localhost:{port}",
        storage=directory / "storage",
        guarded=guarded,
        encrypted=encrypted,
        certificates=directory / "certs.d",
    )
    (directory / "htpasswd").write_text(_HTPASSWD)
    registry.own_certificates.mkdir(parents=True)
    if encrypted:
        make_authority(directory)
        sign(directory, "server", "localhost", "DNS:localhost,IP:127.0.0.1")
        shutil.copy(directory / "ca.pem", registry.own_certificates / "ca.crt")
    (directory / "config.yml").write_text(_configuration(directory, registry, port))
    with (directory / "log").open("wb") as log:
        server = subprocess.Popen(
            ["docker-registry", "serve", directory / "config.yml"], stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        wait_for(port, lambda: server.poll() is None)
        yield registry
    finally:
        server.terminate()
        server.wait()


def _configuration(directory: Path, registry: DockerRegistry, port: int) -> str:
    lines = [
        "version: 0.1",
        "log: {level: error, accesslog: {disabled: true}}",
        f"storage: {{filesystem: {{rootdirectory: {registry.storage}}}, delete: {{enabled: true}}}}",
        f"http: {{addr: '127.0.0.1:{port}'{_tls(directory) if registry.encrypted else ''}}}",
    ]
    if registry.guarded:
        lines.append(f"auth: {{htpasswd: {{realm: tests, path: {directory / 'htpasswd'}}}}}")
    return "\n".join(lines) + "\n"


def _tls(directory: Path) -> str:
    return f", tls: {{certificate: {directory / 'server.pem'}, key: {directory / 'server.key'}}}"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
