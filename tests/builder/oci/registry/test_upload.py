import random
from collections.abc import Callable

import pytest

from builder.oci import media
from builder.oci.blobs import BlobStore
from builder.oci.errors import BlobNotFound, DigestMismatch, RegistryError
from builder.oci.model import Descriptor
from builder.oci.registry import upload
from builder.oci.registry.parallel import Lanes, Stop
from builder.oci.registry.registry import Registry
from builder.oci.registry.remote import Remote, no_progress
from builder.oci.registry.upload import EXISTED, MOUNTED, PUSHED, Upload
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
    (remote,) = registry._remotes(APP)
    assert isinstance(remote, Remote)

    def run(wanted: Descriptor, *sources: str) -> str:
        return Upload(remote, wanted, source, sources=sources, progress=no_progress, stop=Stop()).run()

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


def test_an_upload_to_another_server_is_refused(
    server: FakeRegistry, send: Callable[..., str], blob: Descriptor
) -> None:
    with FakeRegistry() as other:
        server.answer(START, Answer(status=202, headers={"Location": f"{other.url}/v2/{APP}/blobs/uploads/x"}))
        with pytest.raises(RegistryError, match=r"wants an upload to go to .*, another server"):
            send(blob)
        assert other.requests == []


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
    (remote,) = registry._remotes(APP)
    lanes: Lanes = remote.lanes
    before = lanes.count
    strike(server, "PUT", Fault.BUSY)
    send(blob)
    assert lanes.count == before // 2
