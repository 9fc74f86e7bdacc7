import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from pybuild.builder.errors import RequestError, StoreError
from pybuild.builder.store.directory import default_root, prepare
from pybuild.builder.store.store import open_store
from tests.helpers.disks import make_read_only, small_disk
from tests.helpers.hosts import need_root


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_store_that_others_can_read_is_tightened(tmp_path: Path) -> None:
    prepare(tmp_path / "store")
    (tmp_path / "store").chmod(0o755)
    assert prepare(tmp_path / "store")
    assert mode(tmp_path / "store") == 0o700


@pytest.mark.parametrize("found", [(), ("lost+found",), ("oci-layout",), ("oci-layout", "probe-1")])
def test_an_empty_directory_becomes_a_store_that_only_its_owner_reads(tmp_path: Path, found: tuple[str, ...]) -> None:
    store = tmp_path / "store"
    store.mkdir(mode=0o755)
    for name in found:
        (store / name).touch()
    assert prepare(store)
    assert (mode(store), (store / "oci-layout").read_text()) == (0o700, '{"imageLayoutVersion":"1.0.0"}')


@pytest.mark.parametrize("found", ["file", ".git", "index.json"])
def test_a_directory_of_other_things_is_refused_and_left_as_it_is(tmp_path: Path, found: str) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / found).touch()
    with pytest.raises(RequestError, match="is not empty, and is not a store of pybuild"):
        prepare(tmp_path)
    assert (mode(tmp_path), os.listdir(tmp_path)) == (0o755, [found])


def test_the_layout_of_another_program_is_no_store(tmp_path: Path) -> None:
    for name in ("oci-layout", "index.json", "blobs"):
        (tmp_path / name).touch()
    with pytest.raises(RequestError, match="not a store of pybuild"):
        prepare(tmp_path)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_a_database_that_is_no_file_is_refused_at_once(tmp_path: Path, make: Callable[[Path], None]) -> None:
    prepare(tmp_path / "store")
    make(tmp_path / "store" / "pybuild.db")
    with pytest.raises(StoreError, match="is not a regular file"):
        open_store(tmp_path / "store")


@pytest.mark.parametrize("path", ["file", "file/below"])
def test_a_file_in_the_place_of_the_store_is_named(tmp_path: Path, path: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="it exists and is not a directory"):
        prepare(tmp_path / path)


def test_a_store_that_cannot_be_made_names_the_way_out(tmp_path: Path) -> None:
    need_root()
    with small_disk(tmp_path / "disk") as disk:
        make_read_only(disk)
        for root in (disk / "store", disk):
            with pytest.raises(StoreError, match=f"cannot create the store {root}: read-only") as caught:
                prepare(root)
            assert "PYBUILD_ROOT" in caught.value.hint


def test_the_store_of_another_user_is_called_that(tmp_path: Path) -> None:
    need_root()
    tmp_path.chmod(0o755)
    prepare(tmp_path / "theirs")
    (tmp_path / "empty").mkdir()
    (tmp_path / "closed").mkdir(mode=0o700)
    for root, message in (
        ("theirs", "theirs belongs to the user root, and this is the user nobody"),
        ("empty", "empty belongs to the user root, and this is the user nobody"),
        ("closed/store", "cannot open or create the store closed/store: permission denied"),
        ("new", "cannot create the store new: permission denied"),
    ):
        told = _told_to_nobody(tmp_path, root)
        assert told == f"{message} | choose the directory of the store with $PYBUILD_ROOT or --root"


def _told_to_nobody(directory: Path, root: str) -> str:
    """What a user without any rights is told of a store at *root* in *directory*, which only root may look up."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.chdir(directory)
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            try:
                prepare(Path(root))
            except StoreError as error:
                os.write(writing, f"{error} | {error.hint}".encode())
        finally:
            os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading) as file:
        return file.read()


@pytest.mark.parametrize(("call", "kind"), [("symlink", "symbolic"), ("link", "hard")])
@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_file_system_without_links_is_refused_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, kind: str, number: int
) -> None:
    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, call, fail)
    for _ in range(2):
        with pytest.raises(StoreError, match=f"{tmp_path}/store: its file system has no {kind} links$") as caught:
            prepare(tmp_path / "store")
        assert "--root" in caught.value.hint
    monkeypatch.undo()
    assert prepare(tmp_path / "store")
    assert [name for name in os.listdir(tmp_path / "store") if name.startswith("probe")] == []


@pytest.mark.parametrize("home", [None, ""])
def test_a_user_without_a_home_is_told_so(monkeypatch: pytest.MonkeyPatch, home: str | None) -> None:
    for name in ("HOME", "PYBUILD_ROOT", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    if home is not None:
        monkeypatch.setenv("HOME", home)
    monkeypatch.setattr(os, "getuid", lambda: 4711)
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    with pytest.raises(StoreError, match=r"\$HOME is not set, and the user 4711 has no home") as caught:
        default_root()
    assert "PYBUILD_ROOT" in caught.value.hint


def test_a_relative_root_is_meant_from_where_the_user_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    opened = open_store(Path("store"))
    opened.close()
    assert opened.root == tmp_path / "store"
