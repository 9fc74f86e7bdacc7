"""Who names and who removes the trees of two RUN, whatever happens to one of them."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pybuild.builder.errors import Cancelled
from pybuild.builder.execute.handover import Handover
from pybuild.builder.execute.job import Job, Work
from pybuild.builder.execute.rootfs import OtherTimes, Rootfs
from pybuild.builder.plan.ops import Run
from pybuild.builder.request.step_settings import HostInputs
from pybuild.builder.store.cache import Layers
from pybuild.builder.store.store import Store
from tests.helpers.hosts import need_root

FIRST, SECOND = (f"sha256:{number:064x}" for number in (1, 2))
LAYERS = Layers()


class Chain:
    """Two RUN on an empty rootfs, the second of which stands on the first."""

    def __init__(self, store: Store) -> None:
        self.store, self.cancel = store, threading.Event()
        self.handover = Handover(lambda: None, self.cancel)
        self.handover.note_start()

    def first(self) -> Rootfs:
        return Rootfs(self._work(after=self.handover))

    def second(self) -> Rootfs:
        return Rootfs(self._work(before=self.handover))

    def _work(self, **handovers: Any) -> Work:
        return Work(
            job=Job(op=Run(args=("true",))),
            host=HostInputs(),
            store=self.store,
            selected=(),
            output=lambda _stream, _data: None,
            status=lambda _name, _done, _total: None,
            cancel=self.cancel,
            is_first=lambda _name: True,
            **handovers,
        )

    def left(self) -> list[str]:
        """What is on the disk."""
        names = os.listdir(self.store.root / "snapshots")
        return sorted(name for name in names if name.startswith(("sha256", "tmp")))


@pytest.fixture
def chain(store: Store) -> Iterator[Chain]:
    need_root()
    made = Chain(store)
    yield made
    assert not [name for name in made.left() if name.startswith("tmp")]


def named(*names: str) -> list[str]:
    return [name.replace(":", "-") for name in names]


def test_the_second_names_the_tree_that_it_took(chain: Chain) -> None:
    with chain.first() as first:
        (first.tree.directory / "a").write_text("1")
        first.offer()
        with chain.second() as second:
            assert second.tree.parent == first.tree.key
            first.commit(FIRST)
            assert chain.left() == sorted([first.tree.key, second.tree.key])
            chain.handover.end(LAYERS)
            second.settle()
            assert second.tree.parent == FIRST
            second.commit(SECOND)
    assert chain.left() == named(FIRST, SECOND)
    tree = chain.store.snapshots.open(SECOND)
    assert os.listdir(Path(f"/proc/self/fd/{tree}")) == ["a"]
    os.close(tree)


def test_the_first_names_a_tree_that_nobody_took(chain: Chain) -> None:
    with chain.first() as first:
        first.offer()
        first.commit(FIRST)
    chain.handover.end(LAYERS)
    assert chain.handover.take() is None
    assert chain.left() == named(FIRST)


def test_the_second_may_fail_and_the_tree_of_the_first_stays(chain: Chain) -> None:
    with chain.first() as first:
        first.offer()

        def fail() -> None:
            with chain.second():
                raise ValueError

        failing = threading.Thread(target=pytest.raises, args=(ValueError, fail))
        failing.start()
        first.commit(FIRST)
    chain.handover.end(LAYERS)
    failing.join()
    assert chain.left() == named(FIRST)


def test_the_first_may_fail_while_the_second_has_its_tree(chain: Chain) -> None:
    with chain.first() as first:  # and give it no name
        first.offer()
        second = chain.second()
    assert first.tree.directory.exists()
    chain.handover.end(None)
    chain.cancel.set()
    with pytest.raises(Cancelled), second:
        second.settle()


def test_the_first_may_fail_before_the_second_begins(chain: Chain) -> None:
    with chain.first() as first:
        first.offer()
    chain.handover.end(None)
    chain.cancel.set()
    with pytest.raises(Cancelled):
        chain.second()


def test_a_tree_with_other_times_than_its_layer_is_not_built_on(chain: Chain) -> None:
    with chain.first() as first:
        first.offer()
        second = chain.second()
    chain.handover.end(LAYERS)
    with pytest.raises(OtherTimes), second:
        second.settle()
    assert chain.left() == []
