import os
import signal
import subprocess
import threading
from errno import EINVAL

import pytest

from pybuild.runtime.kernel.pidfd import (
    copy_descriptor,
    has_ended,
    leave,
    number_of,
    open_process,
    open_thread,
    send_signal,
    start_time,
)


def test_a_process_is_its_number_and_its_start() -> None:
    with subprocess.Popen(["sleep", "1000"]) as child:
        started = start_time(child.pid)
        pidfd = open_process(child.pid, started)
        assert pidfd is not None
        assert number_of(pidfd) == child.pid
        assert open_process(child.pid, started + 1) is None
        assert not has_ended(pidfd)
        send_signal(pidfd, signal.SIGKILL)
        assert child.wait() == -9
        assert has_ended(pidfd)
        assert number_of(pidfd) == -1
        send_signal(pidfd, signal.SIGKILL)
        os.close(pidfd)
        assert (start_time(child.pid), open_process(child.pid, started)) == (0, None)


def test_children_that_were_left_are_reaped_by_the_next_one() -> None:
    ended, living = (os.posix_spawn("/bin/sleep", ["sleep", seconds], {}) for seconds in ("0", "60"))
    # In this order: the second call would reap the one that has ended.
    for child in (living, ended):
        leave(child)
    try:
        os.waitid(os.P_PID, ended, os.WEXITED | os.WNOWAIT)
        leave(os.posix_spawn("/bin/true", ["true"], {}))
        with pytest.raises(ChildProcessError):
            os.waitpid(ended, os.WNOHANG)
        assert os.waitpid(living, os.WNOHANG) == (0, 0)
    finally:
        os.kill(living, signal.SIGKILL)


def test_the_first_thread_is_opened_where_others_cannot_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """Linux before 6.9 knows no flag for threads."""
    opened = os.pidfd_open

    def older(pid: int, flags: int = 0) -> int:
        if flags:
            raise OSError(EINVAL, os.strerror(EINVAL))
        return opened(pid)

    monkeypatch.setattr(os, "pidfd_open", older)
    pidfd = open_thread(os.getpid())
    assert number_of(pidfd) == os.getpid()
    os.close(pidfd)


def test_a_descriptor_of_a_thread_is_copied() -> None:
    reader, writer = os.pipe()
    found: list[int] = []

    def copy() -> None:
        pidfd = open_thread(threading.get_native_id())
        found.append(copy_descriptor(pidfd, writer))
        with pytest.raises(OSError, match="Bad file descriptor"):
            copy_descriptor(pidfd, 9999)
        os.close(pidfd)

    thread = threading.Thread(target=copy)
    thread.start()
    thread.join()
    os.write(found[0], b"x")
    assert (os.read(reader, 1), os.get_inheritable(found[0])) == (b"x", False)
    for fd in (reader, writer, *found):
        os.close(fd)
