"""What the filter of a chroot refuses by itself."""

import ctypes
import os
import resource
import signal

from tests.runtime.chrooted.traced import result

_CLONE = {"x86_64": 56, "aarch64": 220}
_CLONE_UNTRACED = 0x00800000
_RLIMIT_LOCKS = 10


def _is_refused(number: int) -> str:
    try:
        os.kill(number, 0)
    except PermissionError:
        return "refused"
    return "done"


def test_all_processes_at_once_are_refused() -> None:
    assert result(lambda: _is_refused(-1)) == "refused"


def test_nobody_is_forked_without_being_followed() -> None:
    def cloned() -> str:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.syscall(_CLONE[os.uname().machine], _CLONE_UNTRACED | signal.SIGCHLD, 0, 0, 0, 0) == 0:
            os._exit(0)
        return os.strerror(ctypes.get_errno())

    assert result(cloned) == "Operation not permitted"


def test_the_mark_of_a_run_stays() -> None:
    def changed() -> bool:
        before = resource.getrlimit(_RLIMIT_LOCKS)
        resource.setrlimit(_RLIMIT_LOCKS, (5, 5))
        return resource.getrlimit(_RLIMIT_LOCKS) == before

    assert result(changed) == "True"
