"""Snapshots of containers, which outlive the process that made them. One suite, run on each implementation."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pybuild.runtime.errors import SnapshotError
from pybuild.runtime.snapshots import disk as snapshots
from pybuild.runtime.snapshots.snapshotter import Snapshotter
from tests.contracts.snapshotters import layered, name, run

pytestmark = pytest.mark.usefixtures("host_keeps_its_mounts")


@pytest.fixture
def parent(keeper: Snapshotter) -> str:
    return layered(keeper, "mkdir -m 711 d; echo 1 >d/a; echo 2 >d/b; chmod 751 .", "echo 3 >c")


def test_a_lasting_snapshot_outlives_sweeps_and_its_process(
    keeper: Snapshotter, make: Callable[[], Snapshotter], parent: str, tmp_path: Path
) -> None:
    place = tmp_path / "container"
    place.mkdir()
    keeper.make_lasting(place, parent)
    run(keeper.lasting_root(place, parent), "rm d/a; echo new >d/n; test $(stat -c %a .) = 751")  # type: ignore[arg-type]
    other = make()
    other.sweep()
    assert [f"{change.kind.value} {change.path}" for change in other.lasting_changes(place, parent)] == [
        "modify d",
        "delete d/a",
        "add d/n",
    ]
    assert run(other.lasting_root(place, parent), "cat d/* c") == "2\nnew\n3\n"  # type: ignore[arg-type]


def test_a_lasting_snapshot_stands_on_its_parent_made_again(
    keeper: Snapshotter, make: Callable[[], Snapshotter], parent: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "container"
    place.mkdir()
    keeper.make_lasting(place, parent)
    run(keeper.lasting_root(place, parent), "echo new >d/n; rm c")  # type: ignore[arg-type]
    monkeypatch.setattr(snapshots, "boot_id", lambda: "another boot")
    later = make()
    later.sweep()
    assert not later.exists(parent)
    assert layered(later, "mkdir -m 711 d; echo 1 >d/a; echo 2 >d/b; chmod 751 .", "echo 3 >c") == parent
    assert run(later.lasting_root(place, parent), "cat d/*; ls") == "1\n2\nnew\nd\n"  # type: ignore[arg-type]


def test_a_lasting_snapshot_of_nothing_is_a_plain_tree(keeper: Snapshotter, tmp_path: Path) -> None:
    place = tmp_path / "container"
    place.mkdir()
    keeper.make_lasting(place, None)
    assert run(keeper.lasting_root(place, None), "echo 1 >a; cat a") == "1\n"  # type: ignore[arg-type]
    assert [change.path for change in keeper.lasting_changes(place, None)] == ["a"]


def test_a_lasting_snapshot_needs_its_parent(keeper: Snapshotter, tmp_path: Path) -> None:
    with pytest.raises(SnapshotError, match="no such snapshot"):
        keeper.make_lasting(tmp_path, name(9))
