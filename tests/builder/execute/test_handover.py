import threading
from pathlib import Path

import pytest

from pybuild.builder.errors import Cancelled
from pybuild.builder.execute.handover import Handover
from pybuild.builder.store.cache import Layers
from pybuild.runtime.snapshots.snapshotter import Active, DiskFormat

TREE, ABOVE = (
    Active(key=key, parent=None, directory=Path("/nowhere"), format=DiskFormat.OVERLAY) for key in ("tree", "above")
)


def test_what_is_offered_is_taken_once() -> None:
    begun: list[object] = []
    handover = Handover(lambda: begun.append(handover.take()), threading.Event())
    assert handover.take() is None
    handover.note_start()
    handover.offer(TREE, ABOVE)
    assert begun == [(TREE, ABOVE)]
    assert handover.take() is None


def test_the_layers_are_waited_for() -> None:
    handover = Handover(lambda: None, threading.Event())
    threading.Timer(0.1, handover.end, [Layers()]).start()
    assert handover.wait_for_layers() == ()


def test_a_failure_is_told_when_the_build_has_noticed_it() -> None:
    cancel = threading.Event()
    handover = Handover(lambda: None, cancel)
    handover.end(None)
    threading.Timer(0.1, cancel.set).start()
    with pytest.raises(Cancelled):
        handover.wait_for_layers()
    assert cancel.is_set()
