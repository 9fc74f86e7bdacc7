import random
from collections.abc import Callable

import pytest

from pybuild.builder.oci import media
from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.errors import BlobNotFound, DigestMismatch, RegistryError, RegistryUnavailable
from pybuild.builder.oci.model import Descriptor
from pybuild.builder.oci.registry.registry import Registry
from pybuild.builder.oci.registry.transfer import upload
from pybuild.builder.oci.registry.transfer.parallel import Lanes, Stop
from pybuild.builder.oci.registry.transfer.remote import Remote, no_progress
from pybuild.builder.oci.registry.transfer.upload import EXISTED, MOUNTED, PUSHED, Upload
from tests.helpers.registry import APP, Answer, FakeRegistry, Fault, Patience, Request

START = f"/v2/{APP}/blobs/uploads/"


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload, "CHUNK", 10_000)
    monkeypatch.setattr(upload, "SMALLEST", 1000)


@pytest.fixture
def blob(source: BlobStore) -> Descriptor:
    return source.put(random.Random(1).randbytes(35_000), media.OCI_LAYER)


@pytest.fixture
def send(registry: Registry, patience: Patience, source: BlobStore) -> Callable[..., str]:
    (remote,) = registry._servers.remotes(APP)
    assert isinstance(remote, Remote)

    def run(wanted: Descriptor, *sources: str) -> str:
        return Upload(remote, wanted, source, sources=sources, progress=no_progress).run(Stop())

    return run


def of(server: FakeRegistry, method: str) -> list[Request]:
    return [request for request in server.requests if request.method == method]


def is_there(server: FakeRegistry, source: BlobStore, blob: Descriptor) -> bool:
    found = server.content.get(f"/v2/{APP}/blobs/{blob.digest}")
    return found is not None and found[1] == source.path(blob.digest).read_bytes()


def strike(server: FakeRegistry, method: str, *faults: Fault) -> None:
    waiting = list(faults)
    server.fault = lambda request: waiting.pop(0) if request.method == method and waiting else None


def test_a_blob_is_sent_in_one_request(
    server: FakeRegistry, send: Callable[..., str], source: BlobStore, blob: Descriptor
) -> None:
    assert send(blob) == PUSHED
    assert is_there(server, source, blob)
    assert [request.method for request in server.requests] == ["HEAD", "POST", "PUT"]
    assert len(of(server, "PUT")[0].body) == blob.size


def test_what_is_there_is_not_sent(server: FakeRegistry, send: Callable[..., str], blob: Descriptor) -> None:
    send(blob)
    server.requests.clear()
    assert send(blob) == EXISTED
    assert [request.method for request in server.requests] == ["HEAD"]


def test_a_length_of_thousands_of_digits_is_another_length(
    server: FakeRegistry, send: Callable[..., str], blob: Descriptor
) -> None:
    send(blob)
    server.answer(f"/v2/{APP}/blobs/{blob.digest}", Answer(headers={"Content-Length": "1" * 5000}))
    assert send(blob) == PUSHED


def test_a_blob_of_another_length_is_sent_again(
    server: FakeRegistry, send: Callable[..., str], source: BlobStore, blob: Descriptor
) -> None:
    server.put(APP, blob, b"short")
    assert send(blob) == PUSHED
    assert is_there(server, source, blob)


def test_an_empty_blob_is_sent(server: FakeRegistry, send: Callable[..., str], source: BlobStore) -> None:
    empty = source.put(b"", media.OCI_LAYER)
    assert send(empty) == PUSHED
    assert is_there(server, source, empty)


def test_a_blob_is_mounted_from_another_repository(
    server: FakeRegistry, send: Callable[..., str], source: BlobStore, blob: Descriptor
) -> None:
    server.put("team/base", blob, source.path(blob.digest).read_bytes())
    assert send(blob, "team/base") == f"{MOUNTED} team/base"
    assert is_there(server, source, blob)
    assert of(server, "PUT") == []


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405])
def test_a_mount_that_is_refused_is_no_failure(
    server: FakeRegistry, send: Callable[..., str], source: BlobStore, blob: Descriptor, status: int
) -> None:
    challenge = {"WWW-Authenticate": 'Basic realm="x"'} if status == 401 else {}
    server.answer(START, Answer(status=status, headers=challenge))
    assert send(blob, "team/base") == PUSHED
    assert is_there(server, source, blob)


def test_a_mount_that_finds_nothing_is_an_upload(
    server: FakeRegistry, send: Callable[..., str], source: BlobStore, blob: Descriptor
) -> None:
    assert send(blob, "team/base") == PUSHED
    assert len(of(server, "POST")) == 1
    assert is_there(server, source, blob)


def test_a_cut_upload_goes_on_in_pieces_where_the_registry_says(
    server: FakeRegistry, send: Callable[..., str], source: BlobStore, blob: Descriptor
) -> None:
    strike(server, "PUT", Fault.CUT)
    assert send(blob) == PUSHED
    assert is_there(server, source, blob)
    starts = [int(request.headers["Content-Range"].partition("-")[0]) for request in of(server, "PATCH")]
    assert starts[0] == blob.size // 2
    assert len(of(server, "POST")) == 1


@pytest.mark.parametrize("fault", [Fault.CUT, Fault.RESET, Fault.LOST, Fault.BROKEN])
def test_a_piece_that_fails_is_sent_again_from_where_the_registry_is(
    server: FakeRegistry, send: Callable[..., str], source: BlobStore, blob: Descriptor, fault: Fault
) -> None:
    server.chunk_limit = 10_000
    strike(server, "PATCH", fault, fault)
    assert send(blob) == PUSHED
    assert is_there(server, source, blob)
    assert sum(len(r.body) for r in of(server, "PATCH")) < 2 * blob.size


def test_a_session_that_is_lost_is_begun_anew(
    server: FakeRegistry, send: Callable[..., str], source: BlobStore, blob: Descriptor, patience: Patience
) -> None:
    server.chunk_limit = 10_000
    strike(server, "PATCH", Fault.FORGOTTEN)
    assert send(blob) == PUSHED
    assert is_there(server, source, blob)
    assert len(of(server, "POST")) == 3
    assert len(patience.waits) == 2


def test_pieces_become_smaller_until_the_registry_takes_them(
    server: FakeRegistry, send: Callable[..., str], source: BlobStore, blob: Descriptor
) -> None:
    server.chunk_limit = 3000
    assert send(blob) == PUSHED
    assert is_there(server, source, blob)


def test_a_registry_that_takes_nothing_is_told(
    server: FakeRegistry, send: Callable[..., str], blob: Descriptor
) -> None:
    server.chunk_limit = 10
    with pytest.raises(RegistryError, match="status 413"):
        send(blob)


@pytest.mark.parametrize("large", [False, True])
def test_an_upload_may_go_to_another_server_but_without_authorization(
    source: BlobStore, blob: Descriptor, large: bool
) -> None:
    session = f"/v2/{APP}/blobs/uploads/s"
    with FakeRegistry(token="secret") as guarded, FakeRegistry() as storage, Registry(guarded.name) as registry:
        storage.sessions["s"] = bytearray()
        storage.chunk_limit = 10_000 if large else 0
        challenge = Answer(status=401, headers={"WWW-Authenticate": guarded.challenge})
        guarded.answer(START, challenge, Answer(status=202, headers={"Location": f"{storage.url}{session}"}))
        guarded.answer(START, *[Answer(status=202, headers={"Location": f"{storage.url}{session}"})] * large)
        (remote,) = registry._servers.remotes(APP)
        upload_ = Upload(remote, blob, source, sources=(), progress=no_progress)
        assert upload_.run(Stop()) == PUSHED
        assert is_there(storage, source, blob)
        assert all("Authorization" not in request.headers for request in storage.requests)
        assert "Authorization" in of(guarded, "POST")[-1].headers


@pytest.mark.parametrize("status", [301, 302, 307, 308])
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_an_upload_follows_redirects(
    server: FakeRegistry, send: Callable[..., str], source: BlobStore, blob: Descriptor, method: str, status: int
) -> None:
    with FakeRegistry() as other:
        redirect = Answer(status=status, headers={"Location": f"{other.url}{START}"})
        if method == "PUT":
            other.sessions["s"] = bytearray()
            server.sessions["s"] = bytearray()
            session = f"{START}s"
            server.answer(START, Answer(status=202, headers={"Location": session}))
            query = f"digest={blob.digest}"
            redirect = Answer(status=status, headers={"Location": f"{other.url}{session}?{query}"})
            server.answer(session, redirect)
        else:
            server.answer(START, redirect)
        assert send(blob) == PUSHED
        assert is_there(other, source, blob)


def test_an_upload_that_is_sent_to_a_get_is_refused(
    server: FakeRegistry, send: Callable[..., str], blob: Descriptor
) -> None:
    server.answer(START, Answer(status=303, headers={"Location": "/x"}))
    with pytest.raises(RegistryError, match="status 303"):
        send(blob)


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_what_a_registry_says_in_place_of_201_is_good_enough(
    server: FakeRegistry, send: Callable[..., str], blob: Descriptor, status: int
) -> None:
    session = f"{START}s"
    server.answer(START, Answer(status=202, headers={"Location": session}))
    server.answer(session, Answer(status=status))
    assert send(blob) == PUSHED


@pytest.mark.parametrize(
    "location",
    ["http://10.0.0.1/x", "http://storage.example/x", "https://169.254.169.254/x", "https://[fd00:ec2::254]/x"],
)
@pytest.mark.parametrize("kind", ["Location", "redirect"])
def test_an_upload_does_not_go_where_nothing_should_go(
    server: FakeRegistry, send: Callable[..., str], blob: Descriptor, location: str, kind: str
) -> None:
    server.answer(START, Answer(status=202 if kind == "Location" else 307, headers={"Location": location}))
    with pytest.raises(RegistryError, match="refers to"):
        send(blob)


def test_the_address_that_was_connected_to_counts_for_uploads(
    server: FakeRegistry, send: Callable[..., str], blob: Descriptor, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The registry itself shall be one of the public network, and the storage behind a name a private one.
    monkeypatch.setattr("pybuild.builder.oci.registry.routes.is_private", lambda _address: False)
    monkeypatch.setattr("pybuild.builder.oci.registry.wire.origin.Origin.is_private", property(lambda _origin: False))
    with FakeRegistry() as inner:
        place = f"http://localhost:{inner.port}{START}s"
        server.answer(START, Answer(status=202, headers={"Location": place}))
        with pytest.raises(RegistryError, match=r"refers to (127\.0\.0\.1|::1), an address of a private network"):
            send(blob)
        assert inner.requests == []


def test_the_reason_why_a_registry_is_busy_is_asked_for(
    server: FakeRegistry, send: Callable[..., str], blob: Descriptor, patience: Patience
) -> None:
    path = f"/v2/{APP}/blobs/{blob.digest}"
    told = Answer(status=429, body=b'{"errors":[{"code":"TOOMANYREQUESTS","message":"wait an hour"}]}')
    server.answer(path, *[Answer(status=429), told] * 8)
    with pytest.raises(RegistryUnavailable, match="status 429: toomanyrequests: wait an hour"):
        send(blob)
    assert [request.method for request in server.requests] == ["HEAD", "GET"] * 4


@pytest.mark.parametrize("location", [None, "file:///x", "http://169.254.169.254/x"])
def test_a_session_that_is_nowhere_is_refused(
    server: FakeRegistry, send: Callable[..., str], blob: Descriptor, location: str | None
) -> None:
    server.answer(START, Answer(status=202, headers={"Location": location} if location else {}))
    with pytest.raises(RegistryError):
        send(blob)


def test_damage_in_the_store_is_not_the_fault_of_the_registry(
    send: Callable[..., str], source: BlobStore, blob: Descriptor, patience: Patience
) -> None:
    path = source.path(blob.digest)
    path.write_bytes(b"x" + path.read_bytes()[1:])
    with pytest.raises(DigestMismatch):
        send(blob)
    assert patience.waits == []


def test_damage_on_the_way_is_tried_once_more(
    server: FakeRegistry, send: Callable[..., str], blob: Descriptor, patience: Patience
) -> None:
    honest = server._finish_upload
    server._finish_upload = lambda repository, session, _digest: honest(repository, session, "sha256:wrong")
    with pytest.raises(RegistryError, match="digest invalid"):
        send(blob)
    assert len(of(server, "PUT")) == 2


def test_a_blob_that_is_nowhere_is_an_error_of_the_store(
    send: Callable[..., str], source: BlobStore, blob: Descriptor
) -> None:
    source.remove(blob.digest)
    with pytest.raises(BlobNotFound):
        send(blob)


def test_a_blob_that_the_registry_has_need_not_be_in_the_store(
    send: Callable[..., str], source: BlobStore, blob: Descriptor
) -> None:
    send(blob)
    source.remove(blob.digest)
    assert send(blob) == EXISTED


def test_lanes_become_fewer_when_the_server_asks_for_less(
    server: FakeRegistry, registry: Registry, send: Callable[..., str], blob: Descriptor
) -> None:
    (remote,) = registry._servers.remotes(APP)
    lanes: Lanes = remote.lanes
    before = lanes.count
    strike(server, "PUT", Fault.BUSY)
    send(blob)
    assert lanes.count == before // 2
