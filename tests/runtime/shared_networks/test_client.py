"""Using a shared network. Its first process is a child of the test here, without pasta; the rest is in `tests/e2e`."""

import fcntl
import json
import os
import select
from collections.abc import Iterator
from pathlib import Path

import pytest

from pybuild.runtime.errors import SandboxError
from pybuild.runtime.kernel import syscalls
from pybuild.runtime.kernel.pidfd import boot_id, start_time
from pybuild.runtime.networks.links import links
from pybuild.runtime.sandbox.joining import identity
from pybuild.runtime.shared_networks import client
from pybuild.runtime.shared_networks.client import (
    Holder,
    NetworkEnded,
    PassedFile,
    Use,
    call_inside,
    in_use,
    user_namespace,
)
from tests.helpers.hosts import need_root


@pytest.fixture
def inner() -> Iterator[int]:
    """The number of the first process of new namespaces."""
    need_root()
    number, told = os.pipe()
    ready, made = os.pipe()
    ended, end = os.pipe()
    middle = os.fork()
    if middle == 0:
        try:
            os.close(end)
            syscalls.unshare(syscalls.CLONE_NEWPID | syscalls.CLONE_NEWNET | syscalls.CLONE_NEWNS)
            syscalls.mount("none", "/", None, syscalls.MS_PRIVATE | syscalls.MS_REC)
            child = os.fork()
            if child == 0:
                syscalls.mount("proc", "/proc", "proc", 0)
                os.write(made, b"x")
                os.read(ended, 1)
                os._exit(0)
            os.write(told, b"%d" % child)
            os.read(ended, 1)
        finally:
            os._exit(0)
    for fd in (told, made, ended):
        os.close(fd)
    assert os.read(ready, 1) == b"x"
    yield int(os.read(number, 20))
    for fd in (end, ready, number):
        os.close(fd)
    os.waitpid(middle, 0)


@pytest.fixture
def use(inner: int, tmp_path: Path) -> Iterator[Use]:
    holder = Holder(pid=inner, started=start_time(inner), boot=boot_id(), resolv_conf="nameserver 1.2.3.4\n")
    members = {"pid": holder.pid, "started": holder.started, "boot": holder.boot, "resolv_conf": holder.resolv_conf}
    (tmp_path / "holder.json").write_text(json.dumps({**members, "later": 1}), encoding="utf-8")
    with in_use(tmp_path, start=False) as found:
        assert found is not None
        assert found.holder == holder
        yield found


def places() -> dict[str, object]:
    return {"pid": os.getpid(), "net": os.readlink("/proc/self/ns/net"), "links": [each.name for each in links()]}


def fail() -> None:
    raise SandboxError("start", "the monitor", 2)


def opened(path: str) -> PassedFile:
    return PassedFile(os.open(path, os.O_RDONLY | os.O_CLOEXEC))


def test_a_function_runs_in_all_namespaces_of_the_network_and_not_in_this_process(use: Use) -> None:
    before = os.readlink("/proc/self/ns/net")
    found = call_inside(use, places)
    assert found["links"] == ["lo"]
    assert found["net"] == os.readlink(f"/proc/{use.holder.pid}/ns/net")
    assert found["pid"] < 10, "it sees the numbers of its own PID namespace"
    assert os.readlink("/proc/self/ns/net") == before


def test_its_exceptions_and_descriptors_are_those_of_the_caller(use: Use) -> None:
    with pytest.raises(SandboxError) as raised:
        call_inside(use, fail)
    assert raised.value.args
    space = call_inside(use, opened, "/proc/self/ns/net")
    assert isinstance(space, PassedFile)
    assert identity(space) == identity(f"/proc/{use.holder.pid}/ns/net")
    os.close(space)


def test_a_network_that_has_ended_is_none(use: Use, tmp_path: Path) -> None:
    namespace = user_namespace(tmp_path)
    assert identity(namespace) == identity()
    os.close(namespace)
    os.kill(use.holder.pid, 9)
    select.select([use.process], [], [])  # it is a zombie from now on
    with pytest.raises(NetworkEnded):
        call_inside(use, places)
    with in_use(tmp_path, start=False) as again:
        assert again is None
    assert user_namespace(tmp_path) == -1


@pytest.mark.parametrize("text", ["", "no JSON", "[]", "{}", '{"pid": 1}', '{"pid": 1, "boot": "of before"}'])
def test_a_record_of_another_boot_or_a_damaged_one_is_of_no_network(tmp_path: Path, text: str) -> None:
    (tmp_path / "holder.json").write_text(text, encoding="utf-8")
    with in_use(tmp_path, start=False) as use:
        assert use is None


def test_a_number_that_is_that_of_another_process_by_now_is_of_no_network(tmp_path: Path) -> None:
    members = {"pid": os.getpid(), "started": start_time(os.getpid()) + 1, "boot": boot_id()}
    (tmp_path / "holder.json").write_text(json.dumps(members), encoding="utf-8")
    assert client.user_namespace(tmp_path) == -1


def test_the_users_are_counted_by_a_lock(tmp_path: Path) -> None:
    (tmp_path / "users").touch()
    with in_use(tmp_path, start=False):
        assert not may_end(tmp_path)
    assert may_end(tmp_path)


def may_end(directory: Path) -> bool:
    """Whether a holder would get the lock that it waits for."""
    with (directory / "users").open("r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
