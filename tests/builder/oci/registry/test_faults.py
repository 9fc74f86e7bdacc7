"""A registry that fails in every way that passes: no wrong image, no lost blob, no leaked credential."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.errors import DigestMismatch, OciError, RegistryDenied, RegistryError, SizeMismatch
from pybuild.builder.oci.image import Image
from pybuild.builder.oci.model import Descriptor
from pybuild.builder.oci.registry.access import Access
from pybuild.builder.oci.registry.auth.tokens import Credentials
from pybuild.builder.oci.registry.registry import Registry
from pybuild.builder.oci.registry.transfer import download, upload
from pybuild.builder.oci.registry.transfer.push import PushOptions
from pybuild.builder.oci.registry.wire.http import Timing
from pybuild.builder.oci.validate import validate
from tests.helpers.images import AMD64, ARM64, tiny_image, tiny_index
from tests.helpers.registry import APP, Answer, FakeRegistry, Fault, Patience, Request, blob_path, pull
from tests.helpers.thorough import first_is_quick

ME = Credentials("me", "secret-password")
KINDS = (
    "token",
    "HEAD blob",
    "POST uploads",
    "POST mount",
    "PUT session",
    "PATCH session",
    "GET session",
    "PUT manifest",
    "HEAD manifest",
    "GET manifest",
    "GET blob",
)
SEEDS, BATCH = 200, 10
# The patience of a request is eight attempts, so that many faults are survived wherever they strike.
FAULTS = 7


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let tiny blobs be sent and resumed in pieces as large ones are."""
    monkeypatch.setattr(upload, "CHUNK", 16 * 1024)
    monkeypatch.setattr(upload, "SMALLEST", 1024)
    monkeypatch.setattr(upload, "PROGRESS", 1024)
    monkeypatch.setattr(download, "PROGRESS", 1024)


class Trouble:
    """Strikes requests of one kind, or at random, a limited number of times."""

    def __init__(self, server: FakeRegistry) -> None:
        self.struck = 0
        self._server = server

    def first(self, count: int, kind: str, fault: Fault) -> None:
        def decide(request: Request) -> Fault | None:
            if request.kind == kind and self.struck < count:
                self.struck += 1
                return fault
            return None

        self._server.fault = decide

    def at_random(self, seed: int) -> None:
        chance = random.Random(seed)
        rate = chance.choice((0.1, 0.3, 0.6))
        faults = chance.sample(list(Fault), chance.randint(1, len(Fault)))
        self.struck = 0

        def decide(_request: Request) -> Fault | None:
            if self.struck < FAULTS and chance.random() < rate:
                self.struck += 1
                return chance.choice(faults)
            return None

        self._server.fault = decide


@pytest.fixture
def cdn() -> Iterator[FakeRegistry]:
    with FakeRegistry() as fake:
        yield fake


@pytest.fixture
def guarded(cdn: FakeRegistry) -> Iterator[FakeRegistry]:
    with FakeRegistry(token="token") as fake:
        fake.cdn = cdn
        yield fake


def client(server: FakeRegistry, patience: Patience) -> Registry:
    return Registry(server.name, access=Access(credentials=ME), retry=patience.retry, timing=Timing(connect=5, stall=5))


def check_nothing_leaked(server: FakeRegistry, cdn: FakeRegistry) -> None:
    for request in cdn.requests:
        assert not {"Authorization", "Cookie"} & set(request.headers)
    for request in server.requests:
        sent = request.headers.get("Authorization", "")
        assert sent == ME.header() if request.path == "/token" else not sent.startswith("Basic")


@pytest.mark.parametrize("fault", list(Fault), ids=lambda fault: fault.name.lower())
@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_that_passes_is_survived_wherever_it_strikes(
    guarded: FakeRegistry, cdn: FakeRegistry, tmp_path: Path, patience: Patience, kind: str, fault: Fault
) -> None:
    source, target = BlobStore(tmp_path / "source"), BlobStore(tmp_path / "target")
    image = tiny_image(source, {"a": random.Random(1).randbytes(40_000)}, {"b": b"2"})
    layer = image.manifest.layers[1]
    guarded.put("team/base", layer, source.path(layer.digest).read_bytes())
    trouble = Trouble(guarded)
    if kind in {"PATCH session", "GET session"}:
        # Pieces are sent only after a whole request did not get through.
        guarded.chunk_limit = 20_000
    trouble.first(2, kind, fault)
    options = PushOptions(sources={layer.digest: ["team/base"]})
    with client(guarded, patience) as registry:
        registry.push(APP, ["1.0"], image.descriptor, source, options)
        assert guarded.has(APP, source, "1.0", image.descriptor)
        found = pull(registry, target)
    assert found.image.id == image.id
    assert validate(target, found.pinned) == []
    assert list((target.root / "tmp").iterdir()) == []
    assert trouble.struck or kind == "GET session"
    check_nothing_leaked(guarded, cdn)


def any_image(seed: int, source: BlobStore) -> Descriptor:
    """An image or an index, of layers between nothing and four pieces."""
    chance = random.Random(seed)

    def one(platform: object) -> Image:
        layers = [
            {f"f{n}": chance.randbytes(chance.choice((0, 100, 20_000, 60_000)))} for n in range(chance.randint(0, 3))
        ]
        return tiny_image(source, *layers, platform=platform)

    return tiny_index(source, one(AMD64), one(ARM64)) if chance.random() < 0.3 else one(AMD64).descriptor


@pytest.mark.parametrize("batch", first_is_quick(range(SEEDS // BATCH)))
def test_any_mixture_of_faults_is_survived(
    guarded: FakeRegistry, cdn: FakeRegistry, tmp_path: Path, patience: Patience, batch: int
) -> None:
    source = BlobStore(tmp_path / "source")
    trouble = Trouble(guarded)
    struck = 0
    for seed in range(batch * BATCH, (batch + 1) * BATCH):
        target = BlobStore(tmp_path / f"target-{seed}")
        guarded.keeps_partial = bool(seed % 2)
        guarded.chunk_limit = 18_000 if seed % 5 == 0 else 0
        repository = f"team/app-{seed}"
        descriptor = any_image(seed, source)
        with client(guarded, patience) as registry:
            trouble.at_random(seed)
            registry.push(repository, ["1.0"], descriptor, source)
            assert guarded.has(repository, source, "1.0", descriptor), seed
            struck += trouble.struck
            trouble.at_random(seed + SEEDS)
            pinned, blobs = registry.resolve_all(repository, "1.0", target)
            registry.fetch(repository, blobs, target)
            struck += trouble.struck
        assert pinned.digest == descriptor.digest, seed
        assert validate(target, pinned) == [], seed
        assert list((target.root / "tmp").iterdir()) == [], seed
    assert struck > BATCH
    check_nothing_leaked(guarded, cdn)


@pytest.mark.parametrize(
    ("kind", "error"), [("GET manifest", DigestMismatch), ("GET blob", DigestMismatch), ("GET token", RegistryError)]
)
@pytest.mark.parametrize("damage", [lambda body: body[:-1] + b"?", lambda body: body + b" ", lambda _body: b"{}"])
def test_what_is_wrong_for_good_is_told_and_leaves_nothing(
    guarded: FakeRegistry, tmp_path: Path, patience: Patience, kind: str, error: type[OciError], damage: object
) -> None:
    source, target = BlobStore(tmp_path / "source"), BlobStore(tmp_path / "target")
    image = tiny_image(source, {"a": b"1" * 5000})
    guarded.add(source, APP, "1.0", image.descriptor)
    if kind == "GET token":
        guarded.answer("/token", *[Answer(body=damage(b'{"token":""}'))] * 9)
    place = "/blobs/" if kind == "GET blob" else "/manifests/"
    for path, (media_type, body, digest) in list(guarded.content.items()):
        if place in path and kind != "GET token":
            guarded.content[path] = (media_type, damage(body), digest)
    with client(guarded, patience) as registry, pytest.raises((error, SizeMismatch, RegistryError)):
        pull(registry, target)
    assert not any(target.has(layer) for layer in image.manifest.layers)
    assert all(validate_name(target, digest) for digest in target.digests())
    assert list(target.root.glob("tmp/*")) == []
    assert patience.waits == [] or kind == "GET blob"


def validate_name(blobs: BlobStore, digest: object) -> bool:
    """Whether a stored blob has the digest of its name."""
    return type(digest).of(blobs.path(digest).read_bytes()) == digest


@pytest.mark.parametrize("kind", ["POST uploads", "PUT session", "PUT manifest"])
def test_a_push_that_is_not_allowed_is_told(
    guarded: FakeRegistry, tmp_path: Path, patience: Patience, kind: str
) -> None:
    source = BlobStore(tmp_path / "source")
    image = tiny_image(source, {"a": b"1"})
    honest = guarded._honest

    def deny(request: Request) -> Answer:
        body = b'{"errors":[{"code":"DENIED","message":"read only"}]}'
        return Answer(status=403, body=body) if request.kind == kind else honest(request)

    guarded._honest = deny
    with client(guarded, patience) as registry, pytest.raises(RegistryDenied, match="status 403: denied: read only"):
        registry.push(APP, ["1.0"], image.descriptor, source)
    assert patience.waits == []
    assert f"/v2/{APP}/manifests/1.0" not in guarded.content


def test_the_second_half_of_a_blob_is_not_asked_for_twice(
    server: FakeRegistry, registry: Registry, source: BlobStore, blobs: BlobStore, patience: Patience
) -> None:
    image = tiny_image(source, {"a": random.Random(1).randbytes(200_000)})
    server.add(source, APP, "1.0", image.descriptor)
    Trouble(server).first(1, "GET blob", Fault.CUT)
    found = registry.resolve(APP, "1.0", blobs)
    Trouble(server).first(1, "GET blob", Fault.CUT)
    registry.fetch(APP, found.image.manifest.layers, blobs)
    ranges = [r.headers.get("Range") for r in server.requests if r.path == blob_path(image)]
    size = image.manifest.layers[0].size
    assert ranges[0] is None
    assert ranges[1] is not None
    assert 0 < int(ranges[1].removeprefix("bytes=").removesuffix("-")) <= size // 2
