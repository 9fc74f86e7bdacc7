import os
import threading
from pathlib import Path

import pytest

from pybuild.builder.containers.catalog import Containers, StoredContainer, locked
from pybuild.builder.containers.errors import NameInUse, NoSuchContainer
from pybuild.builder.containers.names import new_id
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.model import Descriptor
from pybuild.builder.store.container_holds import Hold
from pybuild.builder.store.store import Store
from pybuild.runtime.values import replace
from tests.builder.containers.test_config import PLAIN

HOLD = Hold(image=Descriptor(media_type="x", digest=Digest.parse("sha256:" + "0" * 64), size=1), snapshot="")


@pytest.fixture
def containers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Containers:
    monkeypatch.setenv("PYBUILD_SNAPSHOTTER", "copying")
    return Containers(Store.open(tmp_path / "store"))


def add(containers: Containers, name: str = "") -> StoredContainer:
    config = replace(PLAIN, id=new_id(), created=str(len(containers.all())))
    return containers.add(config, name, HOLD, {"hosts": "x\n"})


def test_a_container_is_found_by_name_id_and_its_start(containers: Containers) -> None:
    one, two = add(containers, "one"), add(containers)
    for text in ("one", "/one", one.id, one.id[:10]):
        assert containers.find(text) == one
    assert [each.id for each in containers.all()] == [two.id, one.id]
    for text in ("nope", "", "../" + one.id, "g" * 64):
        with pytest.raises(NoSuchContainer, match=r"No such container|Multiple"):
            containers.find(text)


def test_many_of_one_name_at_once_are_one(containers: Containers) -> None:
    results: list[object] = []

    def work() -> None:
        try:
            results.append(add(containers, "same"))
        except NameInUse as error:
            results.append(error)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(isinstance(result, StoredContainer) for result in results) == 1
    assert len(containers.all()) == 1
    assert sorted(os.listdir(containers.directory)) == sorted([containers.all()[0].id, "names"])


def test_a_kill_leaves_nothing_that_stays(containers: Containers) -> None:
    add(containers, "one")
    names = containers.directory / "names"
    (names / "dead").write_text("f" * 64)
    (names / "broken").write_text("")
    (containers.directory / "tmp-0123456789abcdef").mkdir()
    assert add(containers, "dead").name == "dead"
    assert not (containers.directory / "tmp-0123456789abcdef").exists()
    assert len(containers.all()) == 2


def test_one_that_is_removed_while_another_waits_is_gone(containers: Containers) -> None:
    one = add(containers, "one")
    with locked(one):
        containers.remove(one)
    with pytest.raises(NoSuchContainer), locked(one):
        pass
    assert containers.all() == []
    assert add(containers, "one").name == "one"


def test_files_and_rootfs_are_private(containers: Containers) -> None:
    one = add(containers, "one")
    assert one.directory.stat().st_mode & 0o777 == 0o700
    assert (one.directory / "hosts").stat().st_mode & 0o777 == 0o644
    assert (one.directory / "rootfs/fs").is_dir()
    assert one.state.status == "created"
