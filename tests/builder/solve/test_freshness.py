import time

import pytest

from pybuild.builder.image.assemble import timestamp
from pybuild.builder.oci.digest import Digest
from pybuild.builder.plan.ops import Copy, Pick, Run, Scratch
from pybuild.builder.plan.plan import Plan, Vertex
from pybuild.builder.request import Caches
from pybuild.builder.solve.freshness import FirstTimes, Freshness
from pybuild.builder.store.cache import BuiltLayer, Layers

A, B = Digest.of(b"a"), Digest.of(b"b")

PLAN = Plan(
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
    freshness = Freshness(PLAN, Caches(no_cache_filter=names))
    assert freshness.to_run == running
    assert {place for place in range(5) if not freshness.admits(place, settled=True)} == running
    assert {place for place in range(5) if not freshness.admits(place, settled=False)} == open_


def test_without_a_cache_everything_runs(tmp_path):
    assert Freshness(PLAN, Caches(no_cache=True)).to_run == set(range(5))


def is_young(layers, ttl):
    return Freshness(PLAN, Caches(cache_ttl=ttl)).is_young(layers)


def test_a_record_is_as_old_as_its_oldest_layer_of_a_step():
    base = BuiltLayer(A, B, 1, "t")
    new, old = (BuiltLayer(A, B, 1, "t", timestamp(time.time_ns() - age * 10**9)) for age in (10, 1000))
    assert is_young(Layers([base, old]), None)
    assert is_young(Layers([base, new]), 100)
    assert not is_young(Layers([base, old, new]), 100)


def test_the_first_who_asks_for_a_name_is_told_so():
    times = FirstTimes()
    assert [times.is_first(name) for name in ("a", "b", "a", "b")] == [True, True, False, False]


def test_what_source_date_epoch_has_a_layer_say_is_not_its_age():
    new, old = (timestamp(time.time_ns() - age * 10**9) for age in (10, 1000))
    epoch = "2001-02-03T04:05:06Z"
    assert is_young(Layers([BuiltLayer(A, B, 1, "t", epoch, new)]), 100)
    assert not is_young(Layers([BuiltLayer(A, B, 1, "t", epoch, old)]), 100)
    assert not is_young(Layers([BuiltLayer(A, B, 1, "t", epoch)]), 100)
