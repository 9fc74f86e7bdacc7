"""Snapshots that become those of other steps: whoever needs one unpacks it again."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pybuild.builder.errors import Cancelled
from pybuild.builder.store.cache import Layers, image_layers
from pybuild.builder.store.store import Store, open_store
from pybuild.runtime.errors import NoSuchSnapshot, TooManyLayers
from pybuild.runtime.paths.safepath import Root
from pybuild.runtime.snapshots.snapshotter import Snapshotter
from tests.helpers.hosts import need_root
from tests.helpers.images import tiny_image


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setenv("PYBUILD_SNAPSHOTTER", "copying")
    opened = open_store(tmp_path / "store")
    yield opened
    opened.close()


@pytest.fixture
def layers(store: Store) -> Layers:
    return image_layers(tiny_image(store.blobs, {"a": b"1"}, {"b": b"2"}, {"c": b"3"}))


def names(tree: int) -> list[str]:
    with Root(tree) as root:
        return [entry.name for entry in root.scan("")]


def test_layers_are_unpacked_into_one_tree(store: Store, layers: Layers) -> None:
    name = store.trees.unpack(layers)
    assert store.snapshots.names() == (name,)
    assert [store.trees.count(layers[:number]) for number in range(4)] == [0, 0, 0, 3]


def test_unpacking_is_given_up_between_two_layers(store: Store, layers: Layers) -> None:
    with pytest.raises(Cancelled):
        store.trees.unpack(layers, lambda: bool(store.snapshots.names()))
    assert store.snapshots.names() == (store.times.names_of(layers)[0],)


def test_a_tree_that_a_step_has_taken_is_unpacked_for_others(store: Store, layers: Layers) -> None:
    active = store.trees.prepare(layers, spare=True)
    assert store.snapshots.names() == ()
    (active.directory / "mine").touch()
    assert names(store.trees.open(layers)) == ["a", "b", "c"]
    store.snapshots.discard(active)


def test_a_tree_is_copied_when_a_layer_of_it_is_lost(store: Store, layers: Layers) -> None:
    name = store.trees.unpack(layers)
    store.blobs.remove(layers[0].digest)
    active = store.trees.prepare(layers, spare=True)
    assert store.snapshots.names() == (name,)
    assert sorted(os.listdir(active.directory)) == ["a", "b", "c"]
    store.snapshots.discard(active)


def test_a_tree_stays_for_what_is_not_kept(store: Store, layers: Layers) -> None:
    active = store.trees.prepare(layers)
    assert store.snapshots.names() == (store.times.names_of(layers)[-1],)
    store.snapshots.discard(active)


def test_an_open_tree_stays_as_it_is(store: Store, layers: Layers) -> None:
    with Root(store.trees.open(layers)) as tree:
        active = store.trees.prepare(layers, spare=True)
        (active.directory / "a").unlink()
        store.snapshots.discard(active)
        assert tree.read_file("a", 10) == b"1"


def test_the_topmost_tree_is_opened_without_unpacking(store: Store, layers: Layers) -> None:
    assert store.trees.open_topmost(layers) is None
    store.trees.unpack(layers[:2])
    found = store.trees.open_topmost(layers)
    assert found is not None
    assert (found[0], names(found[1])) == (2, ["a", "b"])
    assert store.trees.count(layers) == 2


@pytest.mark.parametrize("kind", ["open", "prepare"])
def test_a_snapshot_that_is_gone_before_it_is_used_is_made_again(
    store: Store, layers: Layers, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    others, kept = [], store.snapshots
    use = getattr(type(kept), kind)

    def late(self: Snapshotter, name: str | None, **options: object) -> object:
        if not others and name is not None and len(store.times.names_of(layers)) == 3:
            others.append("taken")
            monkeypatch.setattr(type(kept), kind, use)
            kept.discard(kept.prepare(store.trees.unpack(layers), spare=lambda: True))
        return use(self, name, **options)

    store.trees.unpack(layers)
    monkeypatch.setattr(type(kept), kind, late)
    if kind == "open":
        assert names(store.trees.open(layers)) == ["a", "b", "c"]
    else:
        kept.discard(store.trees.prepare(layers, spare=True))
    assert others == ["taken"]


def test_what_is_not_there_for_another_reason_is_told(store: Store) -> None:
    with pytest.raises(NoSuchSnapshot):
        store.snapshots.open("sha256:" + "1" * 64)


def test_many_steps_on_one_base_at_once(store: Store, layers: Layers) -> None:
    """Each finds the whole tree and nothing of the others, whoever takes it and whoever unpacks it again."""
    failed: list[object] = []

    def work(number: int) -> None:
        try:
            for turn in range(6):
                if (number + turn) % 3 == 0:
                    found = names(store.trees.open(layers[: 2 + turn % 2]))
                    wanted = ["a", "b", "c"][: 2 + turn % 2]
                else:
                    active = store.trees.prepare(layers, spare=True)
                    wanted, found = ["a", "b", "c"], sorted(os.listdir(active.directory))
                    (active.directory / f"{number}").touch()
                    (active.directory / "a").unlink()
                    store.snapshots.discard(active)
                if found != wanted:
                    failed.append((found, wanted))
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    with store.in_use():
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failed == []
    assert list(store.root.glob("*/tmp-*")) == []


def test_more_layers_than_an_overlay_can_have_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need_root()
    monkeypatch.setenv("PYBUILD_SNAPSHOTTER", "overlay")
    monkeypatch.setattr("pybuild.runtime.snapshots.overlay_snapshotter.MAX_LOWERS", 2)
    store = open_store(tmp_path / "store")
    layers = image_layers(tiny_image(store.blobs, {"a": b"1"}, {"b": b"2"}, {"c": b"3"}))

    for _ in range(2):  # also when the tree is there
        with pytest.raises(TooManyLayers, match="more than 2 layers"):
            store.trees.unpack(layers)
    assert names(store.trees.open(layers[:2])) == ["a", "b"]
    store.close()
