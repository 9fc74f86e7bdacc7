import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from pybuild.builder.oci.digest import Digest
from pybuild.builder.store.cache import BuiltLayer, Cache, Layers
from pybuild.builder.store.database import Database
from pybuild.builder.store.layer_lists import LayerLists

LAYERS = [
    BuiltLayer(Digest.of(b"%d" % n), Digest.of(b"blob %d" % n), n, "t", "2024-01-02T03:04:05Z") for n in range(100)
]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(tmp_path / "db")
    yield opened
    opened.close()


def key(number: int) -> Digest:
    return Digest.of(b"key %d" % number)


def put(database: Database, *lengths: int) -> Cache:
    """Record the first layers, as many as each of *lengths*."""
    cache = Cache(database)
    for length in lengths:
        cache.put_record(key(length), Layers(LAYERS[:length]))
    return cache


def parts(database: Database) -> int:
    return int(database.all("SELECT count(*) FROM layer_lists")[0][0])


def test_records_of_any_length_come_back(database: Database) -> None:
    put(database, *range(101))
    found = Cache(database)
    assert all(found.record(key(length)) == tuple(LAYERS[:length]) for length in range(101))
    assert {name: layers for name, layers, _ in found.records()} == {
        str(key(length)): tuple(LAYERS[:length]) for length in range(101)
    }


def test_what_records_share_is_stored_once(database: Database) -> None:
    put(database, *range(101))
    assert parts(database) == 3
    texts = [str(text) for (text,) in database.all("SELECT layers FROM records")]
    assert max(len(json.loads(text)["layers"]) for text in texts if text.startswith("{")) == 32
    assert max(map(len, texts)) < 10_000


def test_the_form_on_the_disk(database: Database) -> None:
    """The form is a promise to every store that exists."""
    LayerLists(database).put("key", range(65), lambda number: (f"d{number}", "b", number, "t", "", ""))
    ((text,),) = database.all("SELECT layers FROM records")
    below = "sha256:c997ddc15e661c03669a604fdbb7748cf6da7dee6230427b2a87b7cedfb92377"
    assert text == f'{{"below":"{below}","layers":[["d64","b",64,"t","",""]]}}'
    ((lowest, layers),) = database.all("SELECT below, layers FROM layer_lists WHERE id = ?", (below,))
    assert [row[0] for row in json.loads(layers)] == [f"d{number}" for number in range(32, 64)]
    ((end, layers),) = database.all("SELECT below, layers FROM layer_lists WHERE id = ?", (lowest,))
    assert (end, json.loads(layers)[0]) == ("", ["d0", "b", 0, "t", "", ""])


def test_a_record_of_an_earlier_version_is_read_however_long_it_is(database: Database) -> None:
    rows = [
        [str(layer.diff_id), str(layer.digest), layer.size, layer.media_type, layer.created, ""] for layer in LAYERS
    ]
    database.run("REPLACE INTO records VALUES (?, ?, 0)", (str(key(1)), json.dumps(rows)))
    assert Cache(database).record(key(1)) == tuple(LAYERS)
    assert [layers for _, layers, _ in Cache(database).records()] == [tuple(LAYERS)]


def test_a_record_keeps_its_layers_when_those_below_are_made_again(database: Database) -> None:
    cache = put(database, 40, 70)
    other = [LAYERS[99], *LAYERS[1:40]]
    cache.put_record(key(40), Layers(other))
    assert cache.record(key(70)) == tuple(LAYERS[:70])
    assert cache.record(key(40)) == tuple(other)


def test_two_stages_that_take_turns_keep_their_layers(database: Database) -> None:
    cache = Cache(database)
    stages = [Layers(LAYERS), Layers(reversed(LAYERS))]
    for length in range(30, 100):
        for number, layers in enumerate(stages):
            cache.put_record(key(1000 * number + length), Layers(layers[:length]))
    for length in range(30, 100):
        for number, layers in enumerate(stages):
            assert cache.record(key(1000 * number + length)) == layers[:length]


def test_parts_stay_as_long_as_a_record_needs_them(database: Database) -> None:
    cache = put(database, 10, 70, 100)
    cache.forget([str(key(100))])
    assert parts(database) == 2
    assert cache.record(key(70)) == tuple(LAYERS[:70])
    cache.forget([str(key(70))])
    assert parts(database) == 0
    put(database, 70)
    assert Cache(database).record(key(70)) == tuple(LAYERS[:70])


def test_a_record_with_a_missing_part_is_a_miss_and_is_forgotten(database: Database) -> None:
    cache = put(database, 10, 70)
    database.run("DELETE FROM layer_lists")
    assert cache.record(key(70)) is None
    assert [name for name, _, _ in cache.records()] == [str(key(10))]
    cache.forget([])
    assert database.all("SELECT key FROM records") == [(str(key(10)),)]


def test_a_builder_that_goes_on_after_all_was_removed_writes_the_parts_again(database: Database) -> None:
    cache = put(database, 70)
    Cache(database).forget_all()
    cache.put_record(key(71), Layers(LAYERS[:71]))
    assert Cache(database).record(key(71)) == tuple(LAYERS[:71])
