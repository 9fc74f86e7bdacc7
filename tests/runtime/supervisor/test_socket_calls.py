import array
import ctypes
import mmap
import os
import signal
import socket
import stat
import struct
import threading
import time
from contextlib import suppress
from errno import EADDRINUSE, EAFNOSUPPORT, EBADF, EFAULT, EINVAL, ENOENT, ENOTDIR, ENOTSOCK
from itertools import count
from pathlib import Path

import pytest

from pybuild.runtime.ownership import record
from pybuild.runtime.ownership.record import FileOwner
from pybuild.runtime.supervisor import caller
from tests.runtime.supervisor.supervised import Supervised, meanwhile, supervised

Seen = tuple[int, int, int]
"""User, group and permissions."""


def _become(user: int = 1000, group: int = 1000) -> None:
    os.setgroups([])
    os.setresgid(group, group, group)
    os.setresuid(user, user, user)
    os.umask(0o027)


def _seen(path: str | bytes | Path) -> Seen:
    found = os.lstat(path)
    assert stat.S_ISSOCK(found.st_mode)
    return found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)


def _bound(path: str, kind: int = socket.SOCK_STREAM) -> socket.socket:
    end = socket.socket(socket.AF_UNIX, kind)
    end.bind(path)
    return end


def _raw_bind(end: int, address: bytes, size: int | None = None) -> int:
    """The errno of bind(2) with an address of any form."""
    libc = ctypes.CDLL(None, use_errno=True)
    return ctypes.get_errno() if libc.bind(end, address, len(address) if size is None else size) else 0


def _address(path: bytes, family: int = socket.AF_UNIX) -> bytes:
    return struct.pack("=H", family) + path


def test_a_socket_belongs_to_who_binds_it_and_serves(tmp_path: Path) -> None:
    def make() -> tuple[list[Seen], list[object], bytes]:
        os.chdir(tmp_path)
        _become()
        relative, absolute = _bound("relative"), _bound(f"{tmp_path}/absolute", socket.SOCK_SEQPACKET)
        datagrams = _bound("datagrams", socket.SOCK_DGRAM)
        relative.listen()
        client = socket.socket(socket.AF_UNIX)
        client.connect(f"{tmp_path}/relative")
        peer, _ = relative.accept()
        client.send(b"text")
        names = [each.getsockname() for each in (relative, absolute, datagrams)]
        return [_seen(name) for name in ("relative", "absolute", "datagrams")], [*names, os.getcwd()], peer.recv(9)

    supervisor = Supervised()
    seen, names, received = supervisor.run(make)
    assert seen == [(1000, 1000, 0o750)] * 3
    assert names == ["relative", f"{tmp_path}/absolute", "datagrams", str(tmp_path)]
    assert received == b"text"
    code, lines = supervisor.end()
    assert (code, sorted(line.split()[2:] for line in lines)) == (0, [[b"1000", b"1000"]] * 3)


def test_a_socket_of_root_is_bound_by_the_kernel(tmp_path: Path) -> None:
    def make() -> Seen:
        os.umask(0o077)
        _bound(f"{tmp_path}/s")
        return _seen(tmp_path / "s")

    supervisor = Supervised()
    assert supervisor.run(make) == (0, 0, 0o700)
    assert supervisor.end() == (0, [])


def test_the_group_is_that_of_the_directory(tmp_path: Path) -> None:
    def make() -> Seen:
        os.chown(tmp_path, 0, 50)
        tmp_path.chmod(0o2775)
        os.umask(0o022)
        _bound(f"{tmp_path}/s")
        return _seen(tmp_path / "s")

    assert supervised(make) == (0, 50, 0o755)


def test_the_mode_is_that_of_the_socket(tmp_path: Path) -> None:
    def make() -> Seen:
        _become()
        end = socket.socket(socket.AF_UNIX)
        os.fchmod(end.fileno(), 0o666)
        end.bind(f"{tmp_path}/s")
        return _seen(tmp_path / "s")

    assert supervised(make) == (1000, 1000, 0o640)


def test_names_may_be_as_long_as_the_kernel_takes_them(tmp_path: Path) -> None:
    def make() -> tuple[list[int], list[tuple[int, Seen]]]:
        os.chdir(tmp_path)
        _become()
        codes = []
        for size in (1, 107, 108, 109):
            end = socket.socket(socket.AF_UNIX)
            # Without a NUL at the end, as the kernel permits.
            codes.append(_raw_bind(end.fileno(), _address(b"n" * size)))
        return codes, sorted((len(name), _seen(name)) for name in os.listdir())

    own = (1000, 1000, 0o750)
    assert supervised(make) == ([0, 0, 0, EINVAL], [(1, own), (107, own), (108, own)])


def test_errors_are_those_of_the_kernel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    (tmp_path / "dangling").symlink_to("nowhere")

    def tried() -> list[int]:
        libc, new = ctypes.CDLL(None, use_errno=True), _address(b"new".ljust(20, b"\0"))
        paths = (b"taken", b"file", b"dangling", b"new/", b"file/new", b"no/new")
        with (
            _bound("taken") as bound,
            socket.socket(socket.AF_UNIX) as end,
            socket.socket(socket.AF_INET) as other,
            open("file", "rb") as file,
        ):
            return [
                *(_raw_bind(end.fileno(), _address(path)) for path in paths),
                *(_raw_bind(fd, new) for fd in (bound.fileno(), other.fileno(), file.fileno(), -1, 999)),
                *(_raw_bind(end.fileno(), new, size) for size in (-1, 0, 1, 111)),
                ctypes.get_errno() if libc.bind(end.fileno(), ctypes.c_void_p(8), 20) else 0,
            ]

    expected = [EADDRINUSE] * 3 + [ENOENT, ENOTDIR, ENOENT]
    expected += [EINVAL, EAFNOSUPPORT, ENOTSOCK, EBADF, EBADF] + [EINVAL] * 4 + [EFAULT]
    assert tried() == expected  # not supervised
    (tmp_path / "taken").unlink()

    def tried_as_user() -> list[int]:
        _become()
        return tried()

    assert supervised(tried_as_user) == expected
    assert sorted(os.listdir(tmp_path)) == ["dangling", "file", "taken"]


def test_other_addresses_are_left_to_the_kernel(tmp_path: Path) -> None:
    def make() -> list[object]:
        _become()
        names: list[object] = []
        for family, address in (
            (socket.AF_UNIX, "\0a name that is no file"),
            (socket.AF_UNIX, ""),  # one is chosen
            (socket.AF_INET, ("127.0.0.1", 0)),
            (socket.AF_INET6, ("::1", 0)),
            (socket.AF_NETLINK, (0, 0)),
        ):
            with socket.socket(family, socket.SOCK_DGRAM) as end:
                end.bind(address)
                names.append(end.getsockname())
        return names

    name, chosen, *others = supervised(make)
    assert name == b"\0a name that is no file"
    assert chosen.startswith(b"\0")
    assert [other[0] != 0 for other in others] == [True] * 3
    assert not os.listdir(tmp_path)


def test_a_path_starts_in_the_directory_and_root_of_the_caller(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    deep = inner.joinpath(*["d" * 200] * 20)  # a path of more than 4096 bytes leads to the bottom
    inner.mkdir()

    def make() -> list[Seen]:
        os.chroot(inner)
        os.chdir("/")
        os.symlink("/../../outside", "link")
        os.mkdir("outside")
        for _ in range(20):
            os.mkdir("d" * 200)
            os.chdir("d" * 200)
        _become()
        _bound("here")
        _bound("/there")
        _bound("/link/linked")
        return [_seen(name) for name in ("here", "/there", "/outside/linked")]

    assert supervised(make) == [(1000, 1000, 0o750)] * 3
    assert sorted(os.listdir(inner)) == ["d" * 200, "link", "outside", "there"]
    assert os.listdir(tmp_path) == ["inner"]
    assert len(os.fspath(deep)) > 4000


def test_a_socket_may_be_shared_with_other_processes_and_threads(tmp_path: Path) -> None:
    def make() -> list[Seen]:
        os.chdir(tmp_path)
        _become()
        ours, theirs = socket.socketpair()
        child = os.fork()
        if child == 0:
            _, ancillary, _, _ = theirs.recvmsg(1, socket.CMSG_SPACE(4))
            socket.socket(fileno=array.array("i", ancillary[0][2])[0]).bind("passed")
            os._exit(0)
        passed = socket.socket(socket.AF_UNIX)
        ours.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [passed.fileno()]))])
        os.waitpid(child, 0)
        assert passed.getsockname() == "passed"
        thread = threading.Thread(target=_bound, args=("threaded",))
        thread.start()
        thread.join()
        return [_seen("passed"), _seen("threaded")]

    assert supervised(make) == [(1000, 1000, 0o750)] * 2


def test_where_no_descriptor_can_be_copied_the_kernel_binds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(*_: int) -> int:
        raise PermissionError(1, "refused")

    def make() -> Seen:
        _become()
        _bound(f"{tmp_path}/s")
        return _seen(tmp_path / "s")

    monkeypatch.setattr(caller, "copy_descriptor", refuse)
    assert supervised(make) == (0, 0, 0o750)


def test_an_address_that_changes_in_memory_is_read_once(tmp_path: Path) -> None:
    """What the supervisor binds is the file whose owner it records, though a thread changes the address meanwhile."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    turns = 1000

    def make() -> set[Seen]:
        os.chdir(tmp_path)
        _become()
        memory, libc = mmap.mmap(-1, mmap.PAGESIZE), ctypes.CDLL(None)
        memory[:9] = _address(b"a/0000\0")
        address = ctypes.c_void_p(ctypes.addressof(ctypes.c_char.from_buffer(memory)))

        def flip() -> None:
            for name in b"ba":
                memory[2] = name

        with meanwhile(flip):
            while memory[2] == ord("a"):  # the other process has not begun
                pass
            for number in range(turns):
                memory[4:8] = b"%04d" % number
                with socket.socket(socket.AF_UNIX) as each:
                    assert libc.bind(each.fileno(), address, 9) == 0
        return {_seen(path) for path in tmp_path.glob("*/*")}

    supervisor = Supervised()
    assert supervisor.run(make) == {(1000, 1000, 0o750)}
    assert len(supervisor.end()[1]) == turns


def test_who_is_killed_while_binding_harms_no_other(tmp_path: Path) -> None:
    """The supervisor returns to its own directory, and takes no socket of a process that is not the caller."""

    def make() -> tuple[Seen, Seen]:
        os.chdir(tmp_path)
        _become()
        for turn in range(30):
            child = os.fork()
            if child == 0:
                with suppress(OSError):
                    for number in count():
                        _bound(f"{turn}-{number}").close()
                os._exit(1)
            time.sleep(turn / 1000)
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        _bound("last")
        Path("directory").mkdir()
        found = os.stat("directory")
        return _seen("last"), (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode))

    assert supervised(make) == ((1000, 1000, 0o750),) * 2
    assert record.read(str(tmp_path / "directory")) == FileOwner(1000, 1000)
