import errno
import gzip
import itertools
import os
import socket
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from pybuild.builder.oci import media
from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.errors import InvalidImage, RegistryUnavailable
from pybuild.builder.oci.image import Image
from pybuild.builder.oci.registry.configuration import Configuration
from pybuild.builder.oci.registry.registry import Registry
from pybuild.builder.oci.registry.settings import Settings
from pybuild.builder.oci.registry.wire.http import Reply, Timing, _Pace
from pybuild.builder.oci.registry.wire.origin import origin_of
from tests.helpers.registry import APP, TAG, Answer, FakeRegistry, Fault, Patience, blob_path, pull


def test_a_registry_that_is_not_there_is_an_error(blobs: BlobStore, patience: Patience) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        name = f"127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(RegistryUnavailable, match=f"^http://{name}: Connection refused$"):
            Registry(name, retry=patience.retry).resolve(APP, "1.0", blobs)
    assert len(patience.waits) == 2
    assert sum(patience.waits) <= 2


def test_a_registry_whose_name_is_unknown_is_given_up_soon(
    blobs: BlobStore, patience: Patience, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_arguments: object, **_options: object) -> object:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(RegistryUnavailable, match=r"^https://nowhere\.example: Name or service not known$"):
        # Its budget is short, and the machine may be slow: no time passes but what is waited.
        Registry("nowhere.example", retry=replace(patience.retry, clock=lambda: 0.0)).resolve(APP, "1.0", blobs)
    assert len(patience.waits) == 2
    assert sum(patience.waits) <= 2


def test_passwords_of_netrc_are_sent_to_nobody(
    server: FakeRegistry, registry: Registry, blobs: BlobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password pw\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    pull(registry, blobs)
    assert all("Authorization" not in request.headers for request in server.requests)


def test_a_proxy_is_not_asked_for_loopback(
    registry: Registry, blobs: BlobStore, image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert pull(registry, blobs).image.id == image.id


def test_a_document_that_was_compressed_on_the_way_is_unpacked(
    registry: Registry, server: FakeRegistry, source: BlobStore, blobs: BlobStore, image: Image
) -> None:
    body = gzip.compress(source.read(image.descriptor))
    headers = {"Content-Type": media.OCI_MANIFEST, "Content-Encoding": "gzip"}
    server.answer(TAG, Answer(status=405), Answer(body=body, headers=headers))
    assert registry.resolve(APP, "1.0", blobs).image.id == image.id


class Wire:
    """An answer of *body*, again and again when it has no *end*, as `requests` shows it."""

    status_code, url = 200, ""

    def __init__(self, body: bytes, *, end: bool = True, encoding: str = "") -> None:
        self.headers = {"Content-Encoding": encoding} if encoding else {}
        self.came, self._body, self._end = 0, body, end

    @property
    def raw(self) -> "Wire":
        return self

    def read(self, size: int, **_options: bool) -> bytes:
        piece = self._body[self.came : self.came + size] if self._end else self._body
        self.came += len(piece)
        assert self.came <= 64 << 20, "it is read on and on"
        return piece

    def content(self, limit: int) -> bytes | None:
        return Reply(self, origin_of("https://a.com"), Timing()).content(limit)  # type: ignore[arg-type]


def test_a_document_is_read_to_a_limit() -> None:
    wire = Wire(bytes(1 << 20), end=False)
    assert wire.content(5 << 20) is None
    assert wire.came <= 8 << 20


def test_a_compressed_document_is_unpacked_to_a_limit() -> None:
    packed = gzip.compress(bytes(50_000_000))
    assert Wire(packed, encoding="gzip").content(5 << 20) is None
    assert Wire(packed, encoding="gzip").content(50_000_000) == bytes(50_000_000)


def test_a_compressed_document_has_the_same_limit(registry: Registry, server: FakeRegistry, blobs: BlobStore) -> None:
    body = gzip.compress(bytes(50_000_000))
    server.answer(TAG, Answer(status=405), Answer(body=body, headers={"Content-Encoding": "gzip"}))
    with pytest.raises(InvalidImage, match="larger than"):
        registry.resolve(APP, "1.0", blobs)


def test_a_blob_is_taken_as_it_came_whatever_it_is_said_to_be(
    registry: Registry, server: FakeRegistry, source: BlobStore, blobs: BlobStore, image: Image
) -> None:
    body = source.path(image.manifest.layers[0].digest).read_bytes()
    server.answer(blob_path(image), Answer(body=body, headers={"Content-Encoding": "gzip"}))
    registry.fetch(APP, image.manifest.layers[:1], blobs)
    assert blobs.has(image.manifest.layers[0])


def test_an_answer_that_is_not_http_is_a_passing_failure(blobs: BlobStore, patience: Patience) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for _ in range(8):
                connection, _ = listener.accept()
                with connection:
                    connection.recv(65536)
                    connection.sendall(b"SSH-2.0-x\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(RegistryUnavailable):
            Registry(f"127.0.0.1:{listener.getsockname()[1]}", retry=patience.retry).resolve(APP, "1.0", blobs)
        thread.join()
    assert len(patience.waits) == 7


def test_a_server_that_says_nothing_is_left_after_a_while(blobs: BlobStore, patience: Patience) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        name = f"127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(RegistryUnavailable, match="timed out"):
            Registry(name, retry=patience.retry, timing=Timing(stall=0.01)).resolve(APP, "1.0", blobs)
    assert len(patience.waits) == 7


@pytest.mark.parametrize(("size", "slow"), [(1, True), (10_000, True), (20_000, False)])
def test_a_server_that_dribbles_is_left_after_a_while(size: int, slow: bool) -> None:
    moments = itertools.count(0, 15.0)
    pace = _Pace(Timing(clock=lambda: next(moments)), origin_of("https://a.com"))
    pieces = [pace.measure(lambda: bytes(size)) for _ in range(4)]
    assert [len(piece) for piece in pieces] == [size] * 4
    if slow:
        with pytest.raises(RegistryUnavailable, match=r"too slow: \d+ bytes in 75 seconds"):
            pace.measure(lambda: bytes(1))
    else:
        assert pace.measure(lambda: bytes(size)) == bytes(size)


def test_the_end_of_a_body_is_never_too_slow() -> None:
    moments = itertools.count(0, 1000.0)
    assert _Pace(Timing(clock=lambda: next(moments)), origin_of("https://a.com")).measure(lambda: b"") == b""


def test_time_that_we_take_ourselves_is_no_fault_of_the_server(
    registry: Registry, server: FakeRegistry, blobs: BlobStore, image: Image
) -> None:
    server.fault = lambda request: Fault.DRIBBLE if request.kind == "GET blob" else None
    registry.fetch(APP, image.manifest.layers, blobs)
    assert blobs.has(image.manifest.layers[0])


def test_a_body_that_cannot_be_read_is_not_the_fault_of_the_registry(
    registry: Registry, source: BlobStore, image: Image, monkeypatch: pytest.MonkeyPatch, patience: Patience
) -> None:
    def fail(_fd: int, _size: int, _at: int) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "pread", fail)
    with pytest.raises(OSError, match="Input/output error"):
        registry.push("team/other", ["1"], image.descriptor, source)
    assert patience.waits == []


def test_a_proxy_of_the_environment_is_asked_for_other_hosts(
    blobs: BlobStore, source: BlobStore, image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Configuration(plain=frozenset({"registry.invalid"}))
    with FakeRegistry() as proxy, Registry("registry.invalid", Settings(configuration=plain)) as registry:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        proxy.add(source, APP, "1.0", image.descriptor)
        assert pull(registry, blobs).image.id == image.id
        assert {request.headers["Host"] for request in proxy.requests} == {"registry.invalid"}
