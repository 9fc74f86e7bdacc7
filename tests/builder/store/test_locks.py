import errno
import hashlib
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from pybuild.builder.errors import Cancelled, StoreError
from pybuild.builder.store import locks as locks_module
from pybuild.builder.store.locks import LASTING, Locks, computed_once

HOLDER = """
import sys
from pathlib import Path
from pybuild.builder.store.locks import Locks
with Locks(Path(sys.argv[1])).exclusive("name"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def locks(tmp_path):
    return Locks(tmp_path)


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock."""
    command = [sys.executable, "-c", HOLDER, os.fspath(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def is_free(locks, name="name", *, shared=False):
    take = locks.shared if shared else locks.exclusive
    try:
        with take(name, lambda: True):
            return True
    except Cancelled:
        return False


def test_a_lock_is_held_by_one_alone_and_freed_afterwards(locks):
    with locks.exclusive("name"):
        assert not is_free(locks)
        assert not is_free(locks, shared=True)
        assert is_free(locks, "other")
    assert is_free(locks)


@pytest.mark.parametrize("kind", ["shared", "exclusive"])
def test_whether_a_lock_is_held_is_known_without_taking_it(locks, tmp_path, kind):
    assert not locks.is_held("name")
    assert list(tmp_path.iterdir()) == []
    with getattr(locks, kind)("name"):
        assert locks.is_held("name")
    assert not locks.is_held("name")


def test_a_lock_is_freed_by_an_error(locks):
    with pytest.raises(ZeroDivisionError), locks.exclusive("name"):
        raise ZeroDivisionError
    assert is_free(locks)


def test_many_share_a_lock_and_none_holds_it_alone_meanwhile(locks):
    with locks.shared("name"), locks.shared("name"):
        assert is_free(locks, shared=True)
        assert not is_free(locks)


def test_another_process_holds_a_lock_until_it_dies(locks, holder):
    assert not is_free(locks)
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert is_free(locks)


def test_who_waits_gets_the_lock_when_it_is_free(locks):
    order = []

    def wait_for_it():
        with locks.exclusive("name"):
            order.append("second")

    with locks.exclusive("name"):
        waiting = threading.Thread(target=wait_for_it)
        waiting.start()
        order.append("first")
    waiting.join(20)
    assert order == ["first", "second"]


def test_a_wait_can_be_given_up(locks):
    asked = iter([False, False, True])
    with (
        locks.exclusive("name"),
        pytest.raises(Cancelled, match="waiting"),
        locks.exclusive("name", lambda: next(asked)),
    ):
        pass
    assert list(asked) == []


def test_any_text_is_a_name(locks, tmp_path):
    with locks.exclusive("../../etc/passwd\n"):
        assert [len(name) for name in os.listdir(tmp_path)] == [32]


def test_the_file_of_a_lock_goes_with_its_last_holder_and_that_of_removals_stays(locks, tmp_path):
    with locks.exclusive("a step"), locks.exclusive(LASTING):
        assert len(os.listdir(tmp_path)) == 2
    assert os.listdir(tmp_path) == [hashlib.sha256(LASTING.encode()).hexdigest()[:32]]
    locks.sweep()
    assert len(os.listdir(tmp_path)) == 1


def test_who_waited_for_a_file_that_is_gone_excludes_who_makes_it_anew(locks):
    waits, done = threading.Event(), threading.Event()
    free = []

    def hold():
        with locks.exclusive("name", lambda: waits.set() or False):
            free.append(is_free(locks))
        done.set()

    waiting = threading.Thread(target=hold)
    with locks.exclusive("name"):
        waiting.start()
        assert waits.wait(20)
    assert done.wait(20)
    waiting.join()
    assert free == [False]


def test_a_sweep_removes_what_nobody_holds(locks, tmp_path):
    left = tmp_path / ("0" * 32)
    left.touch()
    (tmp_path / "tidied").touch()
    with locks.exclusive("held"):
        locks.sweep()
        assert len(os.listdir(tmp_path)) == 2
        assert not is_free(locks, "held")
    assert not left.exists()


def test_a_long_wait_is_told_once(locks, monkeypatch):
    monkeypatch.setattr(locks_module, "_SAY_AFTER", 0.05)
    said = []
    asked = iter([False] * 12 + [True])
    with (
        locks.exclusive("name"),
        pytest.raises(Cancelled),
        locks.shared("name", lambda: next(asked), lambda: said.append("waiting")),
    ):
        pass
    assert said == ["waiting"]


def test_a_file_system_without_locks_is_named(locks, tmp_path, monkeypatch):
    def refused(*_):
        raise OSError(errno.ENOLCK, "")

    monkeypatch.setattr(locks_module.fcntl, "flock", refused)
    with pytest.raises(StoreError, match="this file system has no file locks") as caught, locks.exclusive("name"):
        pass
    assert str(tmp_path) in str(caught.value)


def test_threads_that_ask_at_once_get_one_value():
    begun = threading.Barrier(4)

    class Owner:
        @computed_once
        def value(self):
            time.sleep(0.05)  # the others ask meanwhile
            return object()

        @computed_once
        def other(self):
            return self.value

    owner, found = Owner(), []

    def ask():
        begun.wait()
        found.append(owner.other)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(map(id, found))) == 1
    assert len(found) == 4
