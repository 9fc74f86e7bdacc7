"""What a process can reach after it stays below a directory; runs of a keeper are in `tests/e2e/test_chroot.py`."""

import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from pybuild.runtime.chrooted.inside.keeper import landlock_version, stay_below
from pybuild.runtime.kernel.syscalls import PR_SET_NO_NEW_PRIVS, prctl

_SCOPES_SINCE = 6


def _errno_below(directory: Path, work: Callable[[], object]) -> int:
    """The errno that *work* fails with in a process that stays below *directory*."""
    if not landlock_version():
        pytest.skip("no Landlock here")
    child = os.fork()
    if child == 0:
        code = 255
        try:
            prctl(PR_SET_NO_NEW_PRIVS, 1)
            stay_below(os.open(directory, os.O_PATH))
            work()
            code = 0
        except OSError as error:
            code = error.errno or 254
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_files_are_opened_below_it_alone(tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out"
    inside.mkdir()
    (inside / "a").write_text("")
    outside.write_text("")
    up = os.open(inside, os.O_PATH)
    try:
        assert _errno_below(inside, (inside / "a").read_text) == 0
        assert _errno_below(inside, lambda: os.rename(inside / "a", inside / "b")) == 0
        assert _errno_below(inside, lambda: os.open("../out", os.O_RDONLY, dir_fd=up)) == 13
        assert _errno_below(inside, lambda: os.mkdir("../new", dir_fd=up)) == 13
    finally:
        os.close(up)


def test_files_move_between_directories_below_it(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    (tmp_path / "a/x").write_text("")
    assert _errno_below(tmp_path, lambda: os.rename(tmp_path / "a/x", tmp_path / "b/x")) == 0


def test_signals_reach_nobody_outside(tmp_path: Path) -> None:
    if landlock_version() < _SCOPES_SINCE:
        pytest.skip("this kernel does not keep signals")
    assert _errno_below(tmp_path, lambda: os.kill(os.getppid(), 0)) == 1
    assert _errno_below(tmp_path, lambda: os.kill(os.getpid(), signal.SIGCONT)) == 0


def test_abstract_sockets_of_others_are_out_of_reach(tmp_path: Path) -> None:
    if landlock_version() < _SCOPES_SINCE:
        pytest.skip("this kernel does not keep abstract sockets")
    address = f"\0{tmp_path}"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(address)
        listening.listen()
        assert _errno_below(tmp_path, lambda: socket.socket(socket.AF_UNIX).connect(address)) == 1
        with socket.socket(socket.AF_UNIX) as outside:
            outside.connect(address)
