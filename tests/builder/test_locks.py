import os
import signal
import subprocess
import sys
import threading

import pytest

from builder.errors import Cancelled
from builder.locks import Locks

HOLDER = """
import sys
from pathlib import Path
from builder.locks import Locks
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
