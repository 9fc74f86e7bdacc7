import os
import pickle
import threading
from pathlib import Path
from typing import Any

import pytest

from pybuild.runtime.errors import SandboxUnavailable
from pybuild.runtime.sandbox import isolation
from pybuild.runtime.sandbox.joining import identity, join_root
from pybuild.runtime.sandbox.user_namespace import become_root
from pybuild.runtime.worker.client import call
from tests.helpers.hosts import need_root


def _place() -> Any:
    return identity(), identity("/proc/self/ns/mnt"), Path("/proc/self/uid_map").read_text().split(), os.getresuid()


def placed(_tell: object) -> Any:
    """Return where a worker is."""
    return *_place(), isolation.is_direct()


def _held(ready: int, until: int) -> None:
    os.environ[isolation.VARIABLE] = "userns"
    become_root()
    os.write(ready, pickle.dumps(_place()))
    os.close(ready)
    os.read(until, 1)


@pytest.fixture
def other() -> Any:
    """A process in a user namespace of its own: the namespace, open, and what it says of itself."""
    need_root()
    reader, ready = os.pipe()
    until, end = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(end)
            _held(ready, until)
        finally:
            os._exit(0)
    os.close(ready)
    with open(reader, "rb") as file:
        said = pickle.loads(file.read())
    namespace = os.open(f"/proc/{child}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    yield namespace, said
    os.close(namespace)
    os.close(until)
    os.close(end)
    os.waitpid(child, 0)


def test_a_worker_joins_and_has_mounts_of_its_own(other: Any) -> None:
    namespace, (place, mounts, ids, _) = other
    joined = call(placed, listener=lambda _: None, namespace=namespace)
    assert joined[0] == place == identity(namespace)
    assert joined[1] not in {mounts, identity("/proc/self/ns/mnt")}
    assert joined[2:] == (ids, (0, 0, 0), True)


def test_each_namespace_has_a_worker_of_its_own(other: Any) -> None:
    own = call(placed, listener=lambda _: None)
    assert call(placed, listener=lambda _: None, namespace=other[0])[0] != own[0]
    assert call(placed, listener=lambda _: None)[0] == own[0]


def test_a_process_with_threads_is_refused(other: Any) -> None:
    end = threading.Event()
    thread = threading.Thread(target=end.wait)
    thread.start()
    try:
        with pytest.raises(SandboxUnavailable, match="it has several threads"):
            join_root(other[0])
    finally:
        end.set()
        thread.join()
