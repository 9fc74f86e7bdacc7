"""The cache of GitHub Actions, spoken with by both versions of its protocol."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pybuild.builder.caches import gha_service
from pybuild.builder.caches.document import Remembered
from pybuild.builder.caches.gha import GhaPlace, ServiceAccess, access_of, branches
from pybuild.builder.caches.gha_service import AlreadyThere, Content, ServiceV1, ServiceV2, Wire
from pybuild.builder.caches.places import GhaCache
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.errors import OciError, RegistryDenied, RegistryError
from pybuild.builder.oci.registry.wire.retry import Retry
from pybuild.builder.store.cache import BuiltLayer, image_layers
from pybuild.builder.store.store import Store, open_store
from tests.helpers.gha_server import GhaServer, token
from tests.helpers.images import tiny_image

KEY = Digest.of(b"key")
SPEC = GhaCache()


@pytest.fixture
def server() -> Iterator[GhaServer]:
    with GhaServer() as running:
        yield running


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(tmp_path / "other")
    yield opened
    opened.close()


def made(store: Store, content: bytes = b"content") -> BuiltLayer:
    (layer,) = image_layers(tiny_image(store.blobs, {"f": content}))
    return BuiltLayer(layer.diff_id, layer.digest, layer.size, layer.media_type, "2024-01-02T03:04:05Z")


def place(server: GhaServer, version: int, *scopes: tuple[str, int], spec: GhaCache = SPEC) -> GhaPlace:
    return GhaPlace(spec, dict(server.environment(version, *scopes)))


def silent(_what: str, _current: int, _total: int) -> None:
    """Take the progress."""


@pytest.mark.parametrize("version", [1, 2])
def test_what_one_store_keeps_another_finds(server: GhaServer, store: Store, other: Store, version: int) -> None:
    layer = made(store)
    place(server, version).keep(Remembered(records={KEY: (layer,)}, selections={KEY: KEY}), store, silent)
    found = place(server, version)
    remembered = found.load(other)
    assert (remembered.records, remembered.selections) == ({KEY: (layer,)}, {KEY: KEY})
    found.fetch([layer.descriptor], other, silent)
    assert other.blobs.has(layer.descriptor)
    assert {key.rpartition("-")[0] for key in server.complete()} == {"pybuild-blob-1", "pybuild-index-pybuild-1"}


@pytest.mark.parametrize("version", [1, 2])
def test_a_layer_that_is_there_is_not_sent_again_and_the_newest_document_counts(
    server: GhaServer, store: Store, other: Store, version: int
) -> None:
    first, second = made(store), made(store, b"another")
    place(server, version).keep(Remembered(records={KEY: (first,)}), store, silent)
    place(server, version).keep(Remembered(records={KEY: (first, second)}), store, silent)
    assert [key.rpartition("#")[2] for key in server.complete() if "index" in key] == ["1", "2"]
    assert sum("blob" in key for key in server.complete()) == 2
    assert place(server, version).load(other).records == {KEY: (first, second)}


@pytest.mark.parametrize("version", [1, 2])
def test_a_large_layer_goes_in_blocks(
    server: GhaServer, store: Store, other: Store, version: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gha_service, "BLOCK", 1000)
    layer = made(store, random.Random(1).randbytes(4500))
    counted: list[int] = []
    place(server, version).keep(
        Remembered(records={KEY: (layer,)}), store, lambda _what, current, _total: counted.append(current)
    )
    place(server, version).fetch([layer.descriptor], other, silent)
    assert other.blobs.has(layer.descriptor)
    assert sorted(set(counted)) == sorted({*range(1000, layer.size, 1000), layer.size})


@pytest.mark.parametrize("version", [1, 2])
def test_a_busy_service_is_asked_again(server: GhaServer, store: Store, other: Store, version: int) -> None:
    layer = made(store)
    server.failures = [429, 503]
    place(server, version).keep(Remembered(records={KEY: (layer,)}), store, silent)
    server.failures = [500]
    assert place(server, version).load(other).records == {KEY: (layer,)}


def test_a_branch_reads_what_its_base_has_and_its_own_counts_first(
    server: GhaServer, store: Store, other: Store
) -> None:
    main, topic = made(store, b"main"), made(store, b"topic")
    only = Digest.of(b"only on main")
    scopes = (("refs/heads/topic", 3), ("refs/heads/main", 1))
    place(server, 2).keep(Remembered(records={KEY: (main,), only: (main,)}), store, silent)
    assert place(server, 2, *scopes).load(other).records == {KEY: (main,), only: (main,)}
    place(server, 2, *scopes).keep(Remembered(records={KEY: (topic,)}), store, silent)
    assert place(server, 2, *scopes).load(other).records == {KEY: (topic,), only: (main,)}
    assert place(server, 2).load(other).records == {KEY: (main,), only: (main,)}


def test_scopes_do_not_see_each_other(server: GhaServer, store: Store, other: Store) -> None:
    place(server, 2).keep(Remembered(records={KEY: (made(store),)}), store, silent)
    elsewhere = GhaCache(scope="pybuild-2")
    with pytest.raises(OciError, match="no cache of this scope exists yet"):
        place(server, 2, spec=elsewhere).load(other)


def test_what_comes_must_be_what_was_asked_for(server: GhaServer, store: Store, other: Store) -> None:
    layer = made(store)
    place(server, 2).keep(Remembered(records={KEY: (layer,)}), store, silent)
    for change in (b"x", b"x" * layer.size, b"x" * 2 * layer.size):
        next(entry for entry in server.entries if "blob" in entry.key).content[:] = change
        with pytest.raises(OciError):
            place(server, 2).fetch([layer.descriptor], other, silent)
    assert not other.blobs.has(layer.descriptor)
    assert list(other.root.glob("tmp/*")) == []


def test_a_number_that_another_job_has_taken_is_passed_over(server: GhaServer, store: Store, other: Store) -> None:
    place(server, 2).keep(Remembered(), store, silent)
    (first,) = server.entries
    server.reserve(first.branch, first.key.replace("#1", "#2"), first.version)
    place(server, 2).keep(Remembered(selections={KEY: KEY}), store, silent)
    assert place(server, 2).load(other).selections == {KEY: KEY}


@pytest.mark.parametrize("service", [ServiceV1, ServiceV2])
def test_who_is_not_known_is_told_and_no_permission_is_printed(
    server: GhaServer, service: type[ServiceV1] | type[ServiceV2]
) -> None:
    wire = Wire("", 10, Retry(attempts=1))
    with pytest.raises(RegistryDenied, match=r"401.*who are you"):
        service(server.url, wire).find("a")
    with pytest.raises(RegistryError) as caught, wire.reading(f"{server.url}missing?sig=SECRET"):
        pass
    assert "SECRET" not in str(caught.value)
    wire.close()


def test_an_entry_is_written_once(server: GhaServer, tmp_path: Path) -> None:
    path = tmp_path / "content"
    path.write_bytes(b"abc")
    for service in (ServiceV1, ServiceV2):
        wire = Wire(token(("a", 3)), 10)
        with path.open("rb") as file:
            content = Content(file=file, size=3, sent=lambda _: None)
            service(server.url, wire).save(service.__name__, content)
            with pytest.raises(AlreadyThere):
                service(server.url, wire).save(service.__name__, content)
        wire.close()
    assert server.complete() == ["ServiceV1", "ServiceV2"]


def test_no_more_is_done_when_the_time_is_over(server: GhaServer, store: Store) -> None:
    spec = GhaCache(timeout=0.0)
    with pytest.raises(OciError, match="not finished after 0 seconds"):
        place(server, 2, spec=spec).keep(Remembered(records={KEY: (made(store),)}), store, silent)
    assert server.requests == []


@pytest.mark.parametrize("answer", [b"[]", b"{", b"{}", b'{"ok": true}', b'{"ok": true, "matched_key": 1}'])
def test_an_answer_that_makes_no_sense_is_an_error_or_a_miss(
    answer: bytes, server: GhaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    wire = Wire("", 10, Retry(attempts=1))
    monkeypatch.setattr("pybuild.builder.oci.registry.wire.http.Reply.content", lambda self, limit: answer)
    monkeypatch.setattr("pybuild.builder.caches.gha_service._failure", lambda reply, raw: AssertionError)
    server.failures = [200]
    if b"true" in answer:
        with pytest.raises(RegistryError, match="answer of the cache service has no matched_key"):
            ServiceV2(server.url, wire).find("a")
    elif answer == b"{":
        with pytest.raises(RegistryError, match="is not JSON"):
            ServiceV2(server.url, wire).find("a")
    else:
        assert ServiceV2(server.url, wire).find("a") is None
    wire.close()


NEW, OLD, WHO = "ACTIONS_RESULTS_URL", "ACTIONS_CACHE_URL", ("ACTIONS_RUNTIME_TOKEN", "t")


@pytest.mark.parametrize(
    ("options", "env", "found"),
    [
        ({}, {}, None),
        ({}, {NEW: "n"}, None),
        ({}, {NEW: "n", WHO[0]: "t"}, (2, "n")),
        ({}, {OLD: "o", WHO[0]: "t"}, (1, "o")),
        ({}, {NEW: "n", OLD: "o", WHO[0]: "t"}, (1, "o")),
        ({}, {NEW: "n", OLD: "o", WHO[0]: "t", "ACTIONS_CACHE_SERVICE_V2": "True"}, (2, "n")),
        ({}, {NEW: "n", OLD: "o", WHO[0]: "t", "ACTIONS_CACHE_SERVICE_V2": "maybe"}, (1, "o")),
        ({"version": 1}, {NEW: "n", OLD: "o", WHO[0]: "t", "ACTIONS_CACHE_SERVICE_V2": "1"}, (1, "o")),
        ({"version": 2}, {NEW: "n", OLD: "o", WHO[0]: "t"}, (2, "n")),
        ({"url": "u", "token": "t"}, {NEW: "n", "ACTIONS_CACHE_SERVICE_V2": "1"}, (1, "u")),
        ({"url_v2": "u", "token": "t"}, {OLD: "o"}, (2, "u")),
    ],
)
def test_the_service_is_found_by_options_and_the_environment_of_the_job(
    options: dict[str, Any], env: dict[str, str], found: tuple[int, str] | None
) -> None:
    expected = found and ServiceAccess(version=found[0], url=found[1], token="t")
    assert access_of(GhaCache(**options), env) == expected


def test_a_token_tells_of_branches_and_one_of_another_kind_has_none() -> None:
    assert branches(token(("a", 1), ("b", 3))) == (("a", 1), ("b", 3))
    for text in ("", "a", "a.b.c", "a.e30.c", "a.bm8.c"):
        assert branches(text) == (("", 2),)


def test_outside_of_a_job_the_remedy_is_told(store: Store) -> None:
    with pytest.raises(OciError, match="ACTIONS_RUNTIME_TOKEN is not set") as caught:
        GhaPlace(SPEC, {}).load(store)
    assert "ghaction-github-runtime" in caught.value.hint


def test_a_token_is_no_part_of_a_representation(server: GhaServer) -> None:
    access = access_of(SPEC, dict(server.environment(2)))
    assert access is not None
    assert access.token not in repr(access)
