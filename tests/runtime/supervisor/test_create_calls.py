import ctypes
import os
import socket
import stat
import struct
import threading
from pathlib import Path

import pytest

from pybuild.runtime.kernel.capabilities import DEFAULT, mask
from pybuild.runtime.ownership import record
from pybuild.runtime.ownership.record import NO_ID, FileOwner
from tests.runtime.supervisor.supervised import Supervised, supervised, supervision


def _become_alice() -> None:
    os.setgroups([])
    os.setresgid(1000, 1000, 1000)
    os.setresuid(1000, 1000, 1000)
    os.umask(0o027)


def test_what_a_user_makes_belongs_to_the_user(tmp_path: Path) -> None:
    def make() -> list[tuple[int, int, int]]:
        os.chdir(tmp_path)
        _become_alice()
        Path("file").write_text("text")
        Path("file").write_text("other text")
        os.close(os.open("exclusive", os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o777))
        Path("directory").mkdir()
        Path("link").symlink_to("file")
        os.mkfifo("fifo")
        found = [os.lstat(name) for name in ("file", "exclusive", "directory", "link", "fifo")]
        return [(each.st_uid, each.st_gid, stat.S_IMODE(each.st_mode)) for each in found]

    supervisor = Supervised()
    modes = (0o640, 0o750, 0o750, 0o777, 0o640)
    assert supervisor.run(make) == [(1000, 1000, mode) for mode in modes]
    assert len(supervisor.end()[1]) == 2
    assert (tmp_path / "file").read_text() == "other text"


def test_a_directory_hands_its_group_down(tmp_path: Path) -> None:
    def make() -> list[tuple[int, int]]:
        os.chown(tmp_path, 0, 50)
        tmp_path.chmod(0o2775)
        (tmp_path / "inner").mkdir()
        (tmp_path / "inner/file").touch()
        return [(found.st_gid, found.st_mode & stat.S_ISGID) for found in map(os.stat, tmp_path.rglob("*"))]

    assert sorted(supervised(make)) == [(50, 0), (50, stat.S_ISGID)]


def test_a_default_acl_takes_the_place_of_the_umask(tmp_path: Path) -> None:
    # Version 2; tags, permissions and ids of the owner, the group and others: all but writing by others.
    acl = struct.pack("=I", 2) + b"".join(struct.pack("=HHI", *entry, NO_ID) for entry in ((1, 7), (4, 7), (32, 5)))

    def make() -> dict[str, int]:
        os.setxattr(tmp_path, "system.posix_acl_default", acl)
        os.chdir(tmp_path)
        _become_alice()
        Path("file").touch()
        Path("directory").mkdir()
        os.mkfifo("fifo")
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind("socket")
        return {path.name: stat.S_IMODE(path.stat().st_mode) for path in Path().iterdir()}

    assert supervised(make) == {"file": 0o664, "directory": 0o775, "fifo": 0o664, "socket": 0o750}


def test_a_descriptor_is_what_was_asked_for(tmp_path: Path) -> None:
    def make() -> tuple[bool, bool, bytes]:
        _become_alice()
        flags = os.O_CREAT | os.O_RDWR | os.O_APPEND
        kept = os.open(tmp_path / "a", flags)  # which Python closes on exec
        handle = ctypes.CDLL(None).open(os.fsencode(tmp_path / "b"), flags, 0o600)
        os.write(handle, b"1")
        os.lseek(handle, 0, os.SEEK_SET)
        os.write(handle, b"2")
        return os.get_inheritable(kept), os.get_inheritable(handle), (tmp_path / "b").read_bytes()

    assert supervised(make) == (False, True, b"12")


def test_a_device_is_a_file_that_stands_for_it(tmp_path: Path) -> None:
    def make() -> os.stat_result:
        os.mknod(tmp_path / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
        return os.stat(tmp_path / "null")

    found = supervised(make)
    assert (stat.S_IFMT(found.st_mode), found.st_rdev) == (stat.S_IFCHR, os.makedev(1, 3))
    assert stat.S_ISREG((tmp_path / "null").stat().st_mode)
    assert record.read(str(tmp_path / "null")) == FileOwner(0, 0, stat.S_IFCHR, os.makedev(1, 3))


@pytest.mark.parametrize(("device", "capabilities"), [(0, DEFAULT), (os.makedev(1, 3), DEFAULT & ~mask("MKNOD"))])
def test_no_device_is_made_that_a_step_may_not_make(tmp_path: Path, device: int, capabilities: int) -> None:
    with pytest.raises(PermissionError):
        supervised(
            lambda: os.mknod(tmp_path / "x", stat.S_IFCHR | 0o666, device), supervision(capabilities=capabilities)
        )
    assert not os.listdir(tmp_path)


def test_a_name_that_is_taken_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")

    def make() -> list[str]:
        _become_alice()
        refused = []
        for name, call in (
            ("open", lambda: os.open(tmp_path / "file", os.O_CREAT | os.O_EXCL)),
            ("mkdir", (tmp_path / "file").mkdir),
            ("symlink", lambda: (tmp_path / "file").symlink_to("x")),
        ):
            try:
                call()
            except FileExistsError:
                refused.append(name)
        with open(tmp_path / "file", "a") as file:
            file.write(" and new")
        return refused

    assert supervised(make) == ["open", "mkdir", "symlink"]
    assert (tmp_path / "file").read_text() == "old and new"
    assert record.read(str(tmp_path / "file")) is None


def test_a_path_that_changes_meanwhile_leads_nowhere_else(tmp_path: Path) -> None:
    """The path is exchanged with a link out of the root by another thread, again and again."""
    inner, outer = tmp_path / "inner", tmp_path / "outer"
    for path in (inner / "real", outer / "real"):
        path.mkdir(parents=True)
    (inner / "name").symlink_to("real")

    def make() -> int:
        os.chroot(inner)
        os.chdir("/")
        _become_alice()
        end = threading.Event()

        def exchange() -> None:
            while not end.is_set():
                for target in ("../../../outer/real", f"{outer}/real", "real"):
                    os.symlink(target, "new")
                    os.rename("new", "name")

        thread = threading.Thread(target=exchange)
        thread.start()
        made = 0
        for number in range(150):
            try:
                Path(f"name/{number}").mkdir()
                os.chown(f"name/{number}", 1000, 1000)
                made += 1
            except (FileNotFoundError, PermissionError):  # the name leads nowhere, or the kernel made it for root
                continue
        end.set()
        thread.join()
        return made

    assert supervised(make) > 0
    assert not os.listdir(outer / "real")
