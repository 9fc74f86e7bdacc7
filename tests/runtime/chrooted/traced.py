"""Functions that run as a step of isolation chroot does: followed by a keeper, with its filter, but without a chroot."""

import os
import traceback
from collections.abc import Callable

from pybuild.runtime.chrooted.confinement import own_filter, traced_calls
from pybuild.runtime.chrooted.inside.tracer import Tracer
from pybuild.runtime.kernel.passing import receive, send, socket_pair
from pybuild.runtime.kernel.syscalls import (
    PR_SET_CHILD_SUBREAPER,
    PR_SET_NO_NEW_PRIVS,
    block_signals,
    prctl,
    reset_signals,
    set_seccomp_filter,
)
from tests.helpers.hosts import need_root

_WALL = 0x40000000
_SOMEBODY_IS_LEFT = 99
"""The code of a keeper that has followed all, and still has a child. The kernel would kill that as soon as the keeper ends."""


def start(work: Callable[[], object]) -> tuple[int, int]:
    """Start a keeper for *work*; return its process and a pipe with what *work* returns, as text."""
    need_root()
    program = own_filter()
    reader, writer = os.pipe()
    keeper = os.fork()
    if keeper == 0:
        code = 1
        try:
            os.close(reader)
            code = _keep(work, program, writer)
        finally:
            os._exit(code)
    os.close(writer)
    return keeper, reader


def result(work: Callable[[], object]) -> str:
    """Return what *work* returns, as text; a failure inside fails here with its traceback."""
    keeper, reader = start(work)
    with open(reader, encoding="utf-8") as pipe:
        text = pipe.read()
    code = os.waitstatus_to_exitcode(os.waitpid(keeper, 0)[1])
    assert code == 0, text
    return text


def _keep(work: Callable[[], object], program: bytes, writer: int) -> int:
    block_signals()
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    ours, theirs = socket_pair()
    child = os.fork()
    if child == 0:
        _begin(work, program, writer, theirs)
    os.close(writer)
    tracer = Tracer(child, traced_calls())
    send(ours, b"x")
    code = os.waitstatus_to_exitcode(tracer.follow())
    try:
        os.waitpid(-1, os.WNOHANG | _WALL)
    except ChildProcessError:
        return code
    return _SOMEBODY_IS_LEFT


def _begin(work: Callable[[], object], program: bytes, writer: int, keeper: int) -> None:
    code, text = 1, ""
    try:
        receive(keeper, 0)
        os.setsid()
        reset_signals()
        prctl(PR_SET_NO_NEW_PRIVS, 1)
        set_seccomp_filter(program)
        code, text = 0, str(work())
    except BaseException:
        text = traceback.format_exc()
    finally:
        os.write(writer, text.encode())
        os._exit(code)
