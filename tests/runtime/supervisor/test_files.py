import ctypes
import mmap
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from pybuild.runtime.kernel.capabilities import DEFAULT, mask
from pybuild.runtime.ownership import record
from pybuild.runtime.ownership.record import FileOwner
from pybuild.runtime.supervisor import files
from pybuild.runtime.supervisor.files import AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW
from tests.runtime.supervisor.supervised import Supervised, meanwhile, supervised, supervision


def _ids(path: Path | str | int) -> tuple[int, int]:
    found = os.lstat(path) if not isinstance(path, int) else os.fstat(path)
    return found.st_uid, found.st_gid


def test_owners_are_told_and_recorded_and_the_kernel_knows_nothing(tmp_path: Path) -> None:
    file, directory = tmp_path / "file", tmp_path / "directory"

    def change() -> list[tuple[int, int]]:
        file.touch()
        directory.mkdir()
        os.chown(file, 33, 44)
        os.chown(directory, 5, -1)
        with open(file, "rb") as opened:
            os.fchown(opened.fileno(), -1, 45)
            return [_ids(file), _ids(directory), _ids(opened.fileno())]

    assert supervised(change) == [(33, 45), (5, 0), (33, 45)]
    assert [_ids(file), _ids(directory)] == [(0, 0), (0, 0)]
    assert [record.read(str(file)), record.read(str(directory))] == [FileOwner(33, 45), FileOwner(5, 0)]


@pytest.mark.parametrize("way", ["absolute", "directory", "descriptor", "empty", "name in proc"])
def test_each_way_to_name_a_file_is_understood(tmp_path: Path, way: str) -> None:
    def change() -> tuple[int, int]:
        os.chdir(tmp_path)
        Path("file").touch()
        above = os.open(".", os.O_RDONLY)
        match way:
            case "absolute":
                os.chown(tmp_path / "file", 7, 8)
            case "directory":
                os.chown("file", 7, 8, dir_fd=above)
            case "descriptor":
                os.chown(os.open("file", os.O_RDONLY), 7, 8)
            case "empty":
                opened = os.open("file", os.O_PATH | os.O_NOFOLLOW)
                assert ctypes.CDLL(None).fchownat(opened, b"", 7, 8, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) == 0
            case _:
                opened = os.open("file", os.O_RDONLY)
                os.chown(f"/proc/self/fd/{opened}", 7, 8)
        found = os.stat("file", dir_fd=above)
        return found.st_uid, found.st_gid

    assert supervised(change) == (7, 8)


def test_a_change_of_owner_clears_set_id_bits_and_capabilities(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    file.chmod(0o6755)
    os.setxattr(file, "security.capability", bytes.fromhex("0100000200040000000000000000000000000000"))
    supervised(lambda: os.chown(file, 1, 1))
    assert stat.S_IMODE(file.stat().st_mode) == 0o755
    assert os.listxattr(file) == [record.ATTRIBUTE]


def test_links_are_not_followed_where_that_is_not_asked_for(tmp_path: Path) -> None:
    file, link = tmp_path / "file", tmp_path / "link"
    file.touch()
    link.symlink_to(file)

    def change() -> list[tuple[int, int]]:
        os.lchown(link, 3, 4)
        os.chown(link, 5, 6)
        return [_ids(link), _ids(file)]

    supervisor = Supervised()
    assert supervisor.run(change) == [(3, 4), (5, 6)]
    code, (line,) = supervisor.end()
    assert code == 0
    assert line.split()[2:] == [b"3", b"4"]
    assert int(line.split()[0]) == link.lstat().st_ino


def test_what_is_known_of_links_is_told_and_survives_a_rename(tmp_path: Path) -> None:
    link = tmp_path / "link"
    first = Supervised()
    first.run(lambda: (link.symlink_to("x"), os.lchown(link, 3, 4)))
    line = tuple(map(int, first.end()[1][0].split()))
    inode, born, uid, gid = line

    def rename() -> tuple[int, int]:
        link.rename(tmp_path / "other")
        return _ids(tmp_path / "other")

    assert supervised(rename, supervision(special=((inode, born, uid, gid),))) == (3, 4)
    # The same number at another time of birth is another inode.
    assert supervised(lambda: _ids(tmp_path / "other"), supervision(special=((inode, born + 1, uid, gid),))) == (0, 0)


def test_paths_start_at_the_root_of_the_caller(tmp_path: Path) -> None:
    (tmp_path / "inner/etc").mkdir(parents=True)
    (tmp_path / "inner/etc/file").touch()
    (tmp_path / "inner/link").symlink_to("/etc/file")
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/file").touch()

    def change() -> list[tuple[int, int]]:
        os.chroot(tmp_path / "inner")
        os.chdir("/etc")
        os.chown("../../etc/file", 7, 7)
        with suppress(FileNotFoundError):
            os.chown("/link", -1, 8)
        return [_ids("/etc/file"), _ids("/../etc/file")]

    assert supervised(change) == [(7, 8), (7, 8)]
    assert record.read(str(tmp_path / "etc/file")) is None
    assert record.read(str(tmp_path / "inner/etc/file")) == FileOwner(7, 8)
    assert record.read("/etc") is None


def test_only_root_gives_files_away(tmp_path: Path) -> None:
    mine, other, group = (tmp_path / name for name in ("mine", "other", "group"))

    def change() -> list[str]:
        for file in (mine, other, group):
            file.touch()
        os.chown(mine, 10, 10)
        os.setgroups([11])
        os.setresgid(10, 10, 10)
        os.setresuid(10, 10, 10)
        os.chown(mine, -1, 11)
        refused = []
        for path, uid, gid in ((mine, 11, -1), (mine, -1, 12), (other, 10, -1)):
            try:
                os.chown(path, uid, gid)
            except PermissionError:
                refused.append(path.name)
        return refused

    assert supervised(change) == ["mine", "mine", "other"]
    assert record.read(str(mine)) == FileOwner(10, 11)


def test_a_step_without_the_capability_changes_no_owner(tmp_path: Path) -> None:
    with pytest.raises(PermissionError):
        supervised(lambda: os.chown(tmp_path, 1, 1), supervision(capabilities=DEFAULT & ~mask("CHOWN")))
    assert record.read(str(tmp_path)) is None


def test_what_is_not_there_fails_as_it_does_for_root(tmp_path: Path) -> None:
    def errors() -> list[int | None]:
        found = []
        for path in ("nothing", "file/below", "loop", "x" * 300, ""):
            for call in (lambda p: os.chown(p, 1, 1), os.stat):
                try:
                    call(path)
                except OSError as error:
                    found.append(error.errno)
        return found

    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")

    def there() -> list[int | None]:
        os.chdir(tmp_path)
        return errors()

    before = Path.cwd()
    os.chdir(tmp_path)
    try:
        expected = errors()
    finally:
        os.chdir(before)
    assert supervised(there) == expected


_RACES = 3000


def test_a_path_that_changes_in_memory_is_read_once(tmp_path: Path) -> None:
    """A user may change the file that is its own; the other process writes the path of another one in between."""
    mine, other = tmp_path / "mine", tmp_path / "root"
    for path in (mine, other):
        path.touch()
    paths = [os.fsencode(path) + b"\0" for path in (mine, other)]

    def attack() -> int:
        os.chown(mine, 1000, 1000)
        memory, libc, done = mmap.mmap(-1, mmap.PAGESIZE), ctypes.CDLL(None), 0
        address = ctypes.c_void_p(ctypes.addressof(ctypes.c_char.from_buffer(memory)))

        def flip() -> None:
            for path in paths:
                memory[: len(path)] = path

        with meanwhile(flip):
            os.setresuid(1000, 1000, 1000)
            for _ in range(_RACES):
                done += libc.chown(address, 1000, -1) == 0
        return done

    assert 0 < supervised(attack) < _RACES
    assert record.read(str(other)) is None


def test_the_file_that_is_changed_is_the_one_that_was_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine, other, name = tmp_path / "mine", tmp_path / "root", tmp_path / "name"
    for path in (mine, other):
        path.touch()
    name.symlink_to(mine)
    check = files._check_chown

    def check_and_exchange(*arguments: Any, **options: Any) -> None:
        check(*arguments, **options)
        name.unlink()
        name.symlink_to(other)

    def attack() -> int:
        os.chown(name, 1000, 1000)
        return 1

    monkeypatch.setattr(files, "_check_chown", check_and_exchange)
    assert supervised(attack) == 1
    assert (record.read(str(mine)) is not None, record.read(str(other))) == (True, None)


def test_a_path_that_is_exchanged_leads_to_one_file(tmp_path: Path) -> None:
    """What is compared and what is changed are the same file, whatever the name means in between."""
    mine, other, name = tmp_path / "mine", tmp_path / "root", tmp_path / "name"
    for path in (mine, other):
        path.touch()

    def exchange() -> None:
        for target in (mine, other):
            with suppress(FileExistsError):
                os.symlink(target, tmp_path / "new")
            os.rename(tmp_path / "new", name)

    def attack() -> int:
        os.chown(mine, 1000, 1000)
        done = 0
        with meanwhile(exchange):
            os.setresuid(1000, 1000, 1000)
            for _ in range(_RACES):
                with suppress(OSError):
                    os.chown(name, 1000, -1)
                    done += 1
        return done

    assert 0 < supervised(attack) < _RACES
    assert record.read(str(other)) is None
