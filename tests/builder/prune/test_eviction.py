import os
import time
from pathlib import Path

import pytest

from pybuild.builder.oci.digest import Digest
from pybuild.builder.prune import gc
from pybuild.builder.prune.eviction import evict
from pybuild.builder.prune.policy import Policy
from pybuild.builder.store.cache import image_layers
from pybuild.builder.store.cache_mounts import cache_mounts, mount_directory, note_use
from pybuild.builder.store.store import Store, open_store
from tests.helpers.images import tiny_image

KEYS = [Digest.of(str(number).encode()) for number in range(3)]


@pytest.fixture
def store(tmp_path: Path):
    opened = open_store(tmp_path)
    yield opened
    opened.close()


def remember(store: Store, key: Digest, *names: str, age: float) -> int:
    """Record layers with a file of each name; return the size of the last one."""
    layers = image_layers(tiny_image(store.blobs, *({name: name.encode() * 1000} for name in names)))
    store.cache.put_record(key, layers)
    store.database.run("UPDATE records SET used = used - ? WHERE key = ?", (age, str(key)))
    return layers[-1].size


def records(store: Store, policy: Policy) -> int:
    return evict(store, policy).records


def mount(store: Store, name: str, size: int, age: float) -> Path:
    """A cache mount with a file of about *size* bytes, last used some time ago."""
    directory = mount_directory(f"cache mount {name}", store)
    directory.mkdir()
    (directory / "f").write_bytes(b"x" * size)
    note_use(f"cache mount {name}", store)
    os.utime(directory.with_suffix(".name"), (time.time() - age,) * 2)
    return directory


def left(store: Store) -> set[str]:
    return {key for key, _, _ in store.cache.records()}


@pytest.mark.parametrize(
    ("policy", "room"),
    [
        (Policy(until=5), 0),
        (Policy(reserved_space=30), 30),
        (Policy(max_used_space=60), 60),
        (Policy(max_used_space=60, reserved_space=80), 80),
        (Policy(min_free_space=10), 100),
        (Policy(min_free_space=70), 50),
        (Policy(min_free_space=70, max_used_space=40), 40),
        (Policy(min_free_space=1000, reserved_space=10), 10),
    ],
)
def test_room_follows_from_all_limits(policy: Policy, room: int) -> None:
    assert policy.room(used=100, free=20) == room


def test_what_was_used_longest_ago_goes_first(store: Store) -> None:
    sizes = [remember(store, key, str(key), age=age) for key, age in zip(KEYS, (10, 30, 20), strict=True)]
    assert records(store, Policy(max_used_space=sum(sizes) - 1)) == 1
    assert left(store) == {str(KEYS[0]), str(KEYS[2])}
    assert records(store, Policy(max_used_space=sizes[0])) == 1
    assert left(store) == {str(KEYS[0])}
    assert records(store, Policy(max_used_space=sizes[0])) == 0


def test_only_what_is_old_enough_goes(store: Store) -> None:
    for key, age in zip(KEYS, (100, 4000, 8000), strict=True):
        remember(store, key, str(key), age=age)
    assert records(store, Policy(until=3600)) == 2
    assert left(store) == {str(KEYS[0])}
    gc.collect(store)
    assert sum(1 for _ in store.blobs.digests()) == 1


def test_a_record_that_others_stand_on_is_as_recent_as_they_are(store: Store) -> None:
    remember(store, KEYS[0], "below", age=9000)
    remember(store, KEYS[1], "below", "above", age=10)
    remember(store, KEYS[2], "alone", age=5000)
    assert records(store, Policy(until=3600)) == 1
    assert left(store) == {str(KEYS[0]), str(KEYS[1])}


def test_what_an_image_needs_costs_the_cache_nothing(store: Store) -> None:
    image = tiny_image(store.blobs, {"x": b"x" * 1000})
    store.layout.tag("docker.io/library/x:1", image.descriptor)
    store.cache.put_record(KEYS[0], image_layers(image))
    assert records(store, Policy(max_used_space=0)) == 0
    assert left(store) == {str(KEYS[0])}


def test_unpacked_layers_count(store: Store) -> None:
    size = remember(store, KEYS[0], "x", age=0)
    store.trees.unpack(next(layers for _, layers, _ in store.cache.records()))
    assert records(store, Policy(max_used_space=size)) == 1


def test_cache_mounts_count_and_go_in_the_order_of_their_use(store: Store) -> None:
    remember(store, KEYS[0], "x", age=50)
    old, new = mount(store, "old", 50_000, age=100), mount(store, "new", 50_000, age=10)
    freed = evict(store, Policy(max_used_space=80_000))
    assert (freed.records, freed.mounts, old.exists(), new.exists()) == (0, ["cache mount old"], False, True)
    assert freed.size >= 50_000
    freed = evict(store, Policy(max_used_space=0))
    assert (freed.records, freed.mounts) == (1, ["cache mount new"])
    assert list((store.root / "cache-mounts").iterdir()) == []


def test_a_kind_leaves_the_other_alone(store: Store) -> None:
    remember(store, KEYS[0], "x", age=5000)
    mount(store, "old", 10, age=5000)
    mount(store, "new", 10, age=10)
    freed = evict(store, Policy(kind="exec.cachemount", until=3600))
    assert (freed.records, freed.mounts) == (0, ["cache mount old"])
    freed = evict(store, Policy(kind="regular"))
    assert (freed.records, [item.name for item in cache_mounts(store)]) == (1, ["cache mount new"])
