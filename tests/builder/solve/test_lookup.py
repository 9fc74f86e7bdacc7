"""The order in which the lookup asks, each source of an answer being the only one that has it."""

import time
from types import SimpleNamespace

import pytest

from pybuild.builder.image.assemble import timestamp
from pybuild.builder.oci.digest import Digest
from pybuild.builder.plan.ops import Copy, Local, Mkdir, Pick, Run, Scratch
from pybuild.builder.plan.plan import Plan, Vertex
from pybuild.builder.request import Caches
from pybuild.builder.solve.lookup import Freshness, Lookup
from pybuild.builder.store.cache import BuiltLayer, Layers
from pybuild.builder.store.store import open_store

KEY, OWN, CONTENT = Digest.of(b"key"), Digest.of(b"own"), Digest.of(b"content")
COPY = Copy(sources=(Pick(path="f", input=1),), destination="/", link=True)
PLAN = Plan(
    vertices=(
        Vertex(op=Local()),
        Vertex(op=Scratch()),
        Vertex(op=Mkdir(path="/a"), inputs=(1,), name="WORKDIR"),
        Vertex(op=COPY, inputs=(2, 0), name="COPY"),
    )
)


class Keys:
    """Keys that are what a test says."""

    def __init__(self):
        self.by_index, self.contents, self.settled, self.owns = {}, {3: (CONTENT,)}, set(), {}

    def own(self, place):
        return self.owns.get(place)

    def settle(self, place, contents):
        self.settled.add(place)
        self.by_index[place] = KEY


@pytest.fixture
def store(tmp_path):
    with open_store(tmp_path / "store") as opened:
        yield opened


def made(store, text):
    """A layer whose blob is in the store."""
    blob = store.blobs.put(text, "application/vnd.oci.image.layer.v1.tar")
    return BuiltLayer(Digest.of(text), blob.digest, blob.size, blob.media_type, "2024-01-02T03:04:05Z")


def lookup(store, keys, caches=Caches()):  # noqa: B008 - a frozen value
    return Lookup(PLAN, store, keys, Freshness(PLAN, caches))


def test_an_empty_rootfs_is_there_and_a_directory_of_the_host_never(store):
    asked = lookup(store, Keys())
    assert asked.find(1) == Layers()
    assert asked.find(0) is None


def test_a_record_answers_and_is_asked_for_once(store):
    keys, layers = Keys(), Layers([made(store, b"a")])
    asked = lookup(store, keys)
    store.cache.put_record(KEY, layers)
    assert asked.find(2) is None  # its key is not known yet
    keys.by_index[2] = KEY
    assert asked.find(2) == layers
    store.cache.forget([str(KEY)])
    assert asked.find(2) == layers
    assert lookup(store, keys).find(2) is None


def test_a_record_whose_blobs_are_gone_is_a_miss(store):
    keys = Keys()
    keys.by_index[2] = KEY
    layer = made(store, b"a")
    store.cache.put_record(KEY, Layers([layer]))
    store.blobs.path(layer.digest).unlink()
    assert lookup(store, keys).find(2) is None


def test_what_must_run_has_no_answer_until_its_inputs_are_solved_nor_then(store):
    keys = Keys()
    keys.by_index[2] = KEY
    store.cache.put_record(KEY, Layers([made(store, b"a")]))
    assert lookup(store, keys, Caches(no_cache=True)).find(2) is None
    keys.settled.add(2)
    assert lookup(store, keys, Caches(no_cache=True)).find(2) is None


def test_the_own_layer_goes_on_the_rootfs_when_that_is_solved(store):
    keys, below, layer = Keys(), made(store, b"below"), made(store, b"layer")
    keys.owns[3] = OWN
    store.cache.put_record(OWN, Layers([layer]))
    asked = lookup(store, keys)
    assert asked.independent_layer(3) == Layers([layer])
    assert asked.find(3) is None
    asked.solved[2] = Layers([below])
    assert asked.find(3) == Layers([below, layer])
    assert store.cache.record(KEY) == Layers([below, layer])


def test_imported_caches_are_consulted_on_a_miss_only(store):
    keys, here, there = Keys(), Layers([made(store, b"here")]), Layers([made(store, b"there")])
    keys.by_index[2] = KEY
    consulted = []
    store = store.consulting(SimpleNamespace(record=lambda key: consulted.append(key) or there))
    store.cache.put_record(KEY, here)
    assert lookup(store, keys).find(2) == here
    assert consulted == []
    store.cache.forget([str(KEY)])
    assert lookup(store, keys).find(2) == there
    assert consulted == [KEY]
    assert store.cache.record(KEY) == there


def test_what_was_made_is_kept_under_both_keys(store):
    keys, below, layer = Keys(), made(store, b"below"), made(store, b"layer")
    keys.owns[3], keys.by_index[3] = OWN, KEY
    asked = lookup(store, keys)
    asked.solved[2] = Layers([below])
    asked.record(3, layer)
    assert asked.find(3) == store.cache.record(KEY) == Layers([below, layer])
    assert store.cache.record(OWN) == Layers([layer])


def test_what_depends_on_a_stage_that_runs_has_an_answer_when_that_is_solved(store):
    plan = Plan(
        vertices=(
            Vertex(op=Scratch()),
            Vertex(op=Mkdir(path="/a"), inputs=(0,), stages=("one",)),
            Vertex(op=Copy(sources=(Pick(path="a", input=1),), destination="/"), inputs=(0, 1), stages=("two",)),
        )
    )
    keys, layers = Keys(), Layers([made(store, b"a")])
    keys.by_index[2] = KEY
    store.cache.put_record(KEY, layers)
    asked = Lookup(plan, store, keys, Freshness(plan, Caches(no_cache_filter=("one",))))
    assert asked.find(2) is None
    keys.settled.add(2)
    assert asked.find(2) == layers


def test_a_record_that_is_too_old_is_a_miss(store):
    keys = Keys()
    keys.by_index[2] = KEY
    store.cache.put_record(KEY, Layers([made(store, b"a")]))
    assert lookup(store, keys, Caches(cache_ttl=3600)).find(2) is None


def test_layers_are_kept_until_the_last_vertex_that_uses_them_is_done(store):
    plan = Plan(
        vertices=(
            Vertex(op=Scratch()),
            Vertex(op=Mkdir(path="/a"), inputs=(0,)),
            Vertex(op=Mkdir(path="/b"), inputs=(1,)),
            Vertex(op=Mkdir(path="/c"), inputs=(1,)),
            Vertex(op=COPY, inputs=(2, 3)),
            Vertex(op=COPY, inputs=(4, 4)),
        )
    )
    asked = Lookup(plan, store, Keys(), Freshness(plan, Caches()))
    asked.solved = {index: Layers() for index in range(6)}
    asked.expect(range(1, 6), targets=(3, 5))
    asked.release_inputs(1)
    asked.release_inputs(2)
    assert sorted(asked.solved) == [1, 2, 3, 4, 5]
    asked.release_inputs(3)
    assert sorted(asked.solved) == [2, 3, 4, 5]
    asked.release_inputs(4)
    assert sorted(asked.solved) == [3, 4, 5]
    asked.release_inputs(5)
    assert sorted(asked.solved) == [3, 5]


A, B = Digest.of(b"a"), Digest.of(b"b")

STAGES = Plan(
    vertices=(
        Vertex(op=Scratch()),
        Vertex(op=Run(args=("a",)), inputs=(0,), stages=("one",)),
        Vertex(op=Run(args=("b",)), inputs=(1,), stages=("stage-1",)),
        Vertex(op=Run(args=("c",)), inputs=(0,), stages=("three", "four")),
        Vertex(op=Copy(sources=(Pick(path="/", input=1),), destination="/"), inputs=(3, 2), stages=("three",)),
    )
)


@pytest.mark.parametrize(
    ("names", "running", "open_"),
    [
        ((), set(), set()),
        (("unknown",), set(), set()),
        (("ONE",), {1, 2}, {1, 2, 4}),
        (("1",), {2}, {2, 4}),
        (("four",), {3, 4}, {3, 4}),
        (("three", "1"), {2, 3, 4}, {2, 3, 4}),
    ],
)
def test_a_stage_runs_with_what_stands_on_it(tmp_path, names, running, open_):
    freshness = Freshness(STAGES, Caches(no_cache_filter=names))
    assert freshness.to_run == running
    assert {place for place in range(5) if not freshness.admits(place, settled=True)} == running
    assert {place for place in range(5) if not freshness.admits(place, settled=False)} == open_


def test_without_a_cache_everything_runs(tmp_path):
    assert Freshness(STAGES, Caches(no_cache=True)).to_run == set(range(5))


def is_young(layers, ttl):
    return Freshness(STAGES, Caches(cache_ttl=ttl)).is_young(layers)


def test_a_record_is_as_old_as_its_oldest_layer_of_a_step():
    base = BuiltLayer(A, B, 1, "t")
    new, old = (BuiltLayer(A, B, 1, "t", timestamp(time.time_ns() - age * 10**9)) for age in (10, 1000))
    assert is_young(Layers([base, old]), None)
    assert is_young(Layers([base, new]), 100)
    assert not is_young(Layers([base, old, new]), 100)


def test_what_source_date_epoch_has_a_layer_say_is_not_its_age():
    new, old = (timestamp(time.time_ns() - age * 10**9) for age in (10, 1000))
    epoch = "2001-02-03T04:05:06Z"
    assert is_young(Layers([BuiltLayer(A, B, 1, "t", epoch, new)]), 100)
    assert not is_young(Layers([BuiltLayer(A, B, 1, "t", epoch, old)]), 100)
    assert not is_young(Layers([BuiltLayer(A, B, 1, "t", epoch)]), 100)
