"""Who is not root has another process work on trees, on the same store, and hears what it says."""

import os
from pathlib import Path

import pytest

from pybuild.builder.errors import BuildError
from pybuild.builder.store.registries import RegistryAccess
from pybuild.builder.store.store import Store
from pybuild.builder.store.worker_calls import SendEvent, call_in_worker, call_in_worker_if_unpacked
from pybuild.runtime.errors import TreesNeeded

ACCESS = RegistryAccess(auth_file=Path("/auth"), verify=False)


@pytest.fixture
def ordinary(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Store:
    """The store of a process that takes itself for an ordinary user's; its worker is root."""
    opened = Store.open(tmp_path / "store", ACCESS)
    monkeypatch.setattr(os, "geteuid", lambda: 4242)
    return opened


def worked(
    store: Store, send_event: SendEvent, name: str, *, fails: bool = False
) -> tuple[int, Path, RegistryAccess | None, set[str]]:
    send_event(f"hello {name}")
    store.tell("of the store")
    with store.in_use(), store.trees.unpacking():
        if fails:
            raise BuildError("no", hint="never")
        return os.getpid(), store.root, store.registries, store.passed_over


def _who(_store: Store, _send_event: SendEvent) -> int:
    return os.getpid()


def test_a_function_has_the_same_store_with_its_settings_elsewhere(ordinary: Store, tmp_path: Path) -> None:
    ordinary.passed_over.add("mirror.test")
    said: list[str] = []
    heard: list[object] = []
    ordinary.hear(said.append)
    pid, *settings = call_in_worker(worked, ordinary, heard.append, "you")
    assert pid != os.getpid()
    assert settings == [ordinary.root, ACCESS, {"mirror.test"}]
    assert (heard, said) == (["hello you"], ["of the store"])
    with pytest.raises(BuildError, match="no") as caught:
        call_in_worker(worked, ordinary, heard.append, "you", fails=True)
    assert caught.value.hint == "never"


def test_it_is_a_plain_call_for_root(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store") as store:
        assert call_in_worker(_who, store, print) == os.getpid()


def test_trees_are_out_of_reach_for_who_is_not_root(ordinary: Store) -> None:
    with pytest.raises(TreesNeeded, match="user 4242 cannot unpack images"):
        _ = ordinary.snapshots


def test_where_nothing_is_unpacked_anybody_measures_and_removes(ordinary: Store) -> None:
    assert call_in_worker_if_unpacked(_who, ordinary, print) == os.getpid()
    (ordinary.root / "snapshots").mkdir()
    (ordinary.root / "snapshots/empty").mkdir()
    assert call_in_worker_if_unpacked(_who, ordinary, print) == os.getpid()
    (ordinary.root / "cache-mounts/some").mkdir()
    assert call_in_worker_if_unpacked(_who, ordinary, print) != os.getpid()
