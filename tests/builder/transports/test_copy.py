"""Copies between two registries that both misbehave: every fault of `tests.helpers.registry`, at random, by seeds."""

import random
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from pybuild.builder.errors import PullFailed, PushFailed
from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.model import Descriptor
from pybuild.builder.oci.registry import registry
from pybuild.builder.oci.registry.access import Access
from pybuild.builder.oci.registry.auth.tokens import Credentials
from pybuild.builder.oci.registry.transfer import download, upload
from pybuild.builder.oci.validate import validate, validate_store
from pybuild.builder.store.store import Store, open_store
from pybuild.builder.transports.copy import copy
from pybuild.builder.transports.places import InDirectory, InRegistry, Place
from pybuild.builder.transports.source import Choice, ReadOptions
from pybuild.builder.transports.target import WriteOptions
from pybuild.grammar.reference import parse_reference
from tests.helpers.images import AMD64, ARM64, tiny_image, tiny_index
from tests.helpers.registry import Answer, FakeRegistry, Fault, Patience, Request
from tests.helpers.thorough import first_is_quick

SEEDS, BATCH = 200, 10
FAULTS = 4
"""On each side, below the patience of a request; a blob that is brought while another waits counts for both."""


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Small pieces, no waiting, and nothing that the user of this machine has configured."""
    monkeypatch.setattr(upload, "CHUNK", 16 * 1024)
    monkeypatch.setattr(upload, "SMALLEST", 1024)
    monkeypatch.setattr(upload, "PROGRESS", 1024)
    monkeypatch.setattr(download, "PROGRESS", 1024)
    monkeypatch.setattr(registry, "Retry", lambda: Patience().retry)
    for name in ("REGISTRY_AUTH_FILE", "DOCKER_AUTH_CONFIG", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    monkeypatch.setenv("CONTAINERS_REGISTRIES_CONF", str(tmp_path / "none.conf"))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = open_store(tmp_path / "store")
    yield store
    store.close()
    assert validate_store(tmp_path / "store") == []


@pytest.fixture
def servers() -> Iterator[tuple[FakeRegistry, FakeRegistry]]:
    """Two registries that want tokens, with one place that both redirect to."""
    with FakeRegistry() as cdn, FakeRegistry(token="one") as first, FakeRegistry(token="two") as second:
        first.cdn = second.cdn = cdn
        yield first, second
        assert not [request for request in cdn.requests if {"Authorization", "Cookie"} & set(request.headers)]


def place(server: FakeRegistry, repository: str) -> Place:
    return InRegistry(reference=parse_reference(f"{server.name}/{repository}:1"))


def bring(store: Store, source: Place, target: Place) -> Descriptor:
    access = Access(credentials=Credentials("me", "word"))
    reading = ReadOptions(store=store, access=access)
    return copy(source, target, Choice(everything=True), reading, WriteOptions(store=store, access=access))


def trouble(chance: random.Random) -> object:
    """What decides about each request, a limited number of times for the worse."""
    rate = chance.choice((0.1, 0.3, 0.6))
    faults = chance.sample(list(Fault), chance.randint(1, len(Fault)))
    left = FAULTS

    def decide(_request: Request) -> Fault | None:
        nonlocal left
        if left and chance.random() < rate:
            left -= 1
            return chance.choice(faults)
        return None

    return decide


def any_index(chance: random.Random, source: BlobStore) -> Descriptor:
    images = []
    for platform in (AMD64, ARM64):
        sizes = [chance.choice((0, 100, 20_000, 60_000)) for _ in range(chance.randint(0, 2))]
        layers = [{f"f{n}": chance.randbytes(size)} for n, size in enumerate(sizes)]
        images.append(tiny_image(source, *layers, platform=platform))
    return tiny_index(source, *images)


@pytest.mark.parametrize("batch", first_is_quick(range(SEEDS // BATCH)))
def test_any_mixture_of_faults_on_both_sides_is_survived(
    store: Store, servers: tuple[FakeRegistry, FakeRegistry], tmp_path: Path, batch: int
) -> None:
    first, second = servers
    source = BlobStore(tmp_path / "source")
    for seed in range(batch * BATCH, (batch + 1) * BATCH):
        chance = random.Random(seed)
        index = any_index(chance, source)
        first.fault = second.fault = lambda _request: None
        first.add(source, f"from-{seed}", "1", index)
        second.keeps_partial = bool(seed % 2)
        second.chunk_limit = 18_000 if seed % 5 == 0 else 0
        first.fault, second.fault = trouble(chance), trouble(chance)
        assert bring(store, place(first, f"from-{seed}"), place(second, f"to-{seed}")).digest == index.digest
        assert second.has(f"to-{seed}", source, "1", index), seed
    parts = store.root / "copying" / "parts"
    assert [path for path in parts.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("side", ["source", "target"])
def test_a_copy_that_was_given_up_is_gone_on_with(
    store: Store, servers: tuple[FakeRegistry, FakeRegistry], tmp_path: Path, side: str
) -> None:
    first, second = servers
    source = BlobStore(tmp_path / "source")
    index = any_index(random.Random(4), source)
    first.add(source, "app", "1", index)
    broken, kind = (first, "GET blob") if side == "source" else (second, "PUT manifest")
    honest = broken._honest

    def refuse(request: Request) -> Answer:
        return Answer(status=403) if request.kind == kind else honest(request)

    broken._honest = refuse
    go = partial(bring, store, place(first, "app"), place(second, "app"))
    with pytest.raises(PullFailed if side == "source" else PushFailed):
        go()
    assert not [path for path in second.content if "/manifests/" in path]
    broken._honest = honest
    first.requests.clear()
    assert go().digest == index.digest
    assert second.has("app", source, "1", index)
    brought = [request for request in first.requests if request.kind == "GET blob"]
    assert bool(brought) == (side == "source")


def test_a_directory_is_gone_on_with_too(
    store: Store, servers: tuple[FakeRegistry, FakeRegistry], tmp_path: Path
) -> None:
    first, _ = servers
    source = BlobStore(tmp_path / "source")
    index = any_index(random.Random(4), source)
    first.add(source, "app", "1", index)
    for seed in range(20):
        first.fault = trouble(random.Random(seed))
        target = InDirectory(path=tmp_path / f"layout-{seed}")
        assert bring(store, place(first, "app"), target).digest == index.digest
        assert validate(BlobStore(target.path), index) == []
        assert not (target.path / "tmp").exists()
