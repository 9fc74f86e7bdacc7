import os
import time
from pathlib import Path

import pytest

from pybuild.builder.oci.digest import Digest
from pybuild.builder.prune import gc
from pybuild.builder.prune.eviction import Policy, evict
from pybuild.builder.store.cache_mounts import cache_mounts, mount_folder, note_use
from pybuild.builder.store.machine import Machine, image_layers, open_machine
from tests.helpers.images import tiny_image

KEYS = [Digest.of(str(number).encode()) for number in range(3)]


@pytest.fixture
def machine(tmp_path: Path):
    opened = open_machine(tmp_path)
    yield opened
    opened.close()


def remember(machine: Machine, key: Digest, *names: str, age: float) -> int:
    """Record layers with a file of each name; return the size of the last one."""
    layers = image_layers(tiny_image(machine.blobs, *({name: name.encode() * 1000} for name in names)))
    machine.cache.put_record(key, layers)
    machine.database.run("UPDATE records SET used = used - ? WHERE key = ?", (age, str(key)))
    return layers[-1].size


def records(machine: Machine, policy: Policy) -> int:
    return evict(machine, policy).records


def mount(machine: Machine, name: str, size: int, age: float) -> Path:
    """A cache mount with a file of about *size* bytes, last used some time ago."""
    folder = mount_folder(f"cache mount {name}", machine)
    folder.mkdir()
    (folder / "f").write_bytes(b"x" * size)
    note_use(f"cache mount {name}", machine)
    os.utime(folder.with_suffix(".name"), (time.time() - age,) * 2)
    return folder


def left(machine: Machine) -> set[str]:
    return {key for key, _, _ in machine.cache.records()}


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


def test_what_was_used_longest_ago_goes_first(machine: Machine) -> None:
    sizes = [remember(machine, key, str(key), age=age) for key, age in zip(KEYS, (10, 30, 20), strict=True)]
    assert records(machine, Policy(max_used_space=sum(sizes) - 1)) == 1
    assert left(machine) == {str(KEYS[0]), str(KEYS[2])}
    assert records(machine, Policy(max_used_space=sizes[0])) == 1
    assert left(machine) == {str(KEYS[0])}
    assert records(machine, Policy(max_used_space=sizes[0])) == 0


def test_only_what_is_old_enough_goes(machine: Machine) -> None:
    for key, age in zip(KEYS, (100, 4000, 8000), strict=True):
        remember(machine, key, str(key), age=age)
    assert records(machine, Policy(until=3600)) == 2
    assert left(machine) == {str(KEYS[0])}
    gc.collect(machine)
    assert sum(1 for _ in machine.blobs.digests()) == 1


def test_a_record_that_others_stand_on_is_as_recent_as_they_are(machine: Machine) -> None:
    remember(machine, KEYS[0], "below", age=9000)
    remember(machine, KEYS[1], "below", "above", age=10)
    remember(machine, KEYS[2], "alone", age=5000)
    assert records(machine, Policy(until=3600)) == 1
    assert left(machine) == {str(KEYS[0]), str(KEYS[1])}


def test_what_an_image_needs_costs_the_cache_nothing(machine: Machine) -> None:
    image = tiny_image(machine.blobs, {"x": b"x" * 1000})
    machine.layout.tag("docker.io/library/x:1", image.descriptor)
    machine.cache.put_record(KEYS[0], image_layers(image))
    assert records(machine, Policy(max_used_space=0)) == 0
    assert left(machine) == {str(KEYS[0])}


def test_unpacked_layers_count(machine: Machine) -> None:
    size = remember(machine, KEYS[0], "x", age=0)
    machine.unpack(next(layers for _, layers, _ in machine.cache.records()))
    assert records(machine, Policy(max_used_space=size)) == 1


def test_cache_mounts_count_and_go_in_the_order_of_their_use(machine: Machine) -> None:
    remember(machine, KEYS[0], "x", age=50)
    old, new = mount(machine, "old", 50_000, age=100), mount(machine, "new", 50_000, age=10)
    freed = evict(machine, Policy(max_used_space=80_000))
    assert (freed.records, freed.mounts, old.exists(), new.exists()) == (0, ["cache mount old"], False, True)
    assert freed.size >= 50_000
    freed = evict(machine, Policy(max_used_space=0))
    assert (freed.records, freed.mounts) == (1, ["cache mount new"])
    assert list((machine.root / "cache-mounts").iterdir()) == []


def test_a_kind_leaves_the_other_alone(machine: Machine) -> None:
    remember(machine, KEYS[0], "x", age=5000)
    mount(machine, "old", 10, age=5000)
    mount(machine, "new", 10, age=10)
    freed = evict(machine, Policy(kind="exec.cachemount", until=3600))
    assert (freed.records, freed.mounts) == (0, ["cache mount old"])
    freed = evict(machine, Policy(kind="regular"))
    assert (freed.records, [item.name for item in cache_mounts(machine)]) == (1, ["cache mount new"])
