"""The guard of a sandbox: the first process of an outer PID namespace, whose end is the end of everything inside.

The program is pid 1 of an inner namespace, as in Docker. It cannot be tied to the builder itself, because the exec of
a set-user-id program clears PDEATHSIG. The guard never execs, so its own holds, and when it ends the kernel kills
every process of its namespace and of the inner one. From inside there is no way to name it.
"""

import os

from pybuild.runtime.kernel.syscalls import (
    CLONE_NEWPID,
    PR_SET_PDEATHSIG,
    SIGCHLD,
    SIGKILL,
    capset,
    close_range,
    prctl,
    send_descriptor,
    unshare,
    wait_signal,
)
from pybuild.runtime.sandbox.inside.plan import NAMESPACES, SandboxPlan, Status
from pybuild.runtime.sandbox.inside.process import become
from pybuild.runtime.sandbox.inside.stage import DetachedRoot
from pybuild.runtime.wire import Operation

_CAP_KILL = 1 << 5


def guard(plan: SandboxPlan, stage: DetachedRoot, status: Status, alive: int, terminal: int) -> None:
    """Start the program as pid 1 of a namespace of its own, look after it, and report how it ended.

    *alive* is a pipe of which the keeper has the other end.
    """
    prctl(PR_SET_PDEATHSIG, SIGKILL)
    try:
        if not os.read(alive, 1):  # the keeper died before the line above
            return
    except BlockingIOError:
        pass
    with Operation(NAMESPACES):
        unshare(CLONE_NEWPID)
    process = os.fork()
    if process == 0:
        with Status(status.fd):
            _begin(plan, stage, status, terminal)
    if status.began >= 0:
        with Operation("show the process"):
            send_descriptor(status.began, os.pidfd_open(process))
    _let_go(status)
    status.ended(_look_after(process))


def _begin(plan: SandboxPlan, stage: DetachedRoot, status: Status, terminal: int) -> None:
    """Be the first process inside: enter the root, then be the program, or an init that has it as its child."""
    stage.enter(status)
    if plan.world.init:
        process = os.fork()
        if process:
            _let_go(status)
            ended = os.waitstatus_to_exitcode(_look_after(process))
            # The first process of a namespace cannot end by a signal of its own.
            os._exit(ended if ended >= 0 else 128 - ended)
    become(plan.process, stage.root, terminal, status.began)


def _let_go(status: Status) -> None:
    """Keep nothing but the status pipe and the right to signal: whoever gets at this process finds nothing in it."""
    os.dup2(status.fd, 3, inheritable=False)
    close_range(4)
    status.fd = 3
    capset(_CAP_KILL, _CAP_KILL, 0)


def _look_after(process: int) -> int:
    """Reap every child and pass signals on until *process* ends; return its wait status."""
    while True:
        number = wait_signal()
        if number == SIGCHLD:
            ended = _reap(process)
            if ended is not None:
                return ended
        else:
            _pass_on(process, number)


def _reap(process: int) -> int | None:
    found = None
    while True:
        try:
            pid, wait_status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return found
        if pid == 0:
            return found
        if pid == process:
            found = wait_status


def _pass_on(process: int, number: int) -> None:
    try:
        os.kill(process, number)
    except ProcessLookupError:  # it has just ended
        return
