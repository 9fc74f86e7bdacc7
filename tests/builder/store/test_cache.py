from dataclasses import replace

import pytest

from pybuild.builder.oci.digest import Digest
from pybuild.builder.store.cache import BuiltLayer, Cache, Layers
from pybuild.builder.store.database import Database

A, B = Digest.of(b"a"), Digest.of(b"b")
LAYERS = Layers(
    [
        BuiltLayer(Digest("sha256", "1" * 64), Digest("sha256", "2" * 64), 3, "t"),
        BuiltLayer(Digest("sha256", "4" * 64), Digest("sha256", "5" * 64), 6, "t", "2024-01-02T03:04:05Z"),
    ]
)


@pytest.fixture
def databases(tmp_path):
    """Two connections to one store, as of two processes."""
    opened = [Database(tmp_path / "db") for _ in range(2)]
    yield opened
    for database in opened:
        database.close()


@pytest.fixture
def cache(databases):
    return Cache(databases[0])


def test_a_miss_is_none(cache):
    assert (cache.record(A), cache.selection(A), cache.plan(A)) == (None, None, None)


def test_a_record_comes_back_with_all_its_layers(cache):
    cache.put_record(A, LAYERS)
    cache.put_record(B, Layers())
    assert cache.record(A) == LAYERS
    assert cache.record(B) == ()


def test_rows_are_written_as_they_always_were(cache, databases):
    cache.put_record(A, Layers([LAYERS[0], replace(LAYERS[1], made="2025-01-02T03:04:05Z")]))
    cache.put_selection(A, B)
    (record,) = databases[0].all("SELECT key, layers FROM records")
    assert record == (
        "sha256:ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb",
        (
            '[["sha256:1111111111111111111111111111111111111111111111111111111111111111",'
            '"sha256:2222222222222222222222222222222222222222222222222222222222222222",3,"t","",""],'
            '["sha256:4444444444444444444444444444444444444444444444444444444444444444",'
            '"sha256:5555555555555555555555555555555555555555555555555555555555555555",6,"t",'
            '"2024-01-02T03:04:05Z","2025-01-02T03:04:05Z"]]'
        ),
    )
    assert list(databases[0].all("SELECT key, content FROM selections")) == [(str(A), str(B))]


def test_records_that_share_layers_come_back_as_they_were_put(cache):
    one, two = LAYERS
    other = replace(one, size=4)
    stacks = [[one], [one, two], [one, two], [one, two, other, one], [one], [other, two], [], [two], [two, one, one]]
    for number, stack in enumerate(stacks):
        key = Digest.of(str(number).encode())
        cache.put_record(key, Layers(stack))
        assert cache.record(key) == tuple(stack)


def test_what_one_process_records_another_finds(cache, databases):
    cache.put_record(A, LAYERS)
    assert Cache(databases[1]).record(A) == LAYERS


def test_a_record_is_replaced_by_a_newer_one(cache):
    cache.put_record(A, LAYERS)
    cache.put_record(A, Layers(LAYERS[:1]))
    assert cache.record(A) == LAYERS[:1]


@pytest.mark.parametrize(("age", "noted"), [(0, False), (50, False), (70, True), (-3600, True)])
def test_use_of_a_record_is_noted_to_the_minute(cache, databases, age, noted):
    cache.put_record(A, LAYERS)
    databases[0].run("UPDATE records SET used = used - ?", (age,))
    ((_, _, before),) = cache.records()
    cache.touch(A)
    ((key, layers, used),) = cache.records()
    assert (key, layers) == (str(A), LAYERS)
    assert (used != before) is noted


def test_every_record_is_told_once_and_equal_layers_are_one_value(cache):
    keys = [Digest.of(str(number).encode()) for number in range(200)]
    for key in keys:
        cache.put_record(key, LAYERS)
    found = list(cache.records())
    assert sorted(key for key, _, _ in found) == sorted(map(str, keys))
    assert all(layers == LAYERS for _, layers, _ in found)
    assert len({id(layer) for _, layers, _ in found for layer in layers}) == len(LAYERS)


def test_records_can_be_forgotten(cache):
    cache.put_record(A, LAYERS)
    cache.put_record(B, LAYERS)
    cache.forget([str(A)])
    assert cache.record(A) is None
    assert cache.record(B) == LAYERS


def test_selections_and_plans_are_kept_by_key(cache):
    cache.put_selection(A, B)
    cache.put_plan(A, "{}")
    assert (cache.selection(A), cache.plan(A)) == (B, "{}")
    assert (cache.selection(B), cache.plan(B)) == (None, None)


def test_everything_can_be_forgotten_at_once(cache):
    cache.put_record(A, LAYERS)
    cache.put_selection(A, B)
    cache.put_plan(A, "{}")
    cache.forget_all()
    assert (cache.record(A), cache.selection(A), cache.plan(A)) == (None, None, None)


def test_a_layer_names_its_blob():
    descriptor = LAYERS[0].descriptor
    assert (descriptor.digest, descriptor.size, descriptor.media_type) == (LAYERS[0].digest, 3, "t")
