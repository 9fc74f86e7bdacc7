"""The guard of a sandbox: the first process of an outer PID namespace, whose end is the end of everything inside.

The program is pid 1 of an inner namespace, as in Docker. It cannot be tied to the builder itself, because the exec of
a set-user-id program clears PDEATHSIG. The guard never execs, so its own holds, and when it ends the kernel kills
every process of its namespace and of the inner one. From inside there is no way to name it.
"""

import os

from pybuild.runtime.errors import SandboxError
from pybuild.runtime.kernel.passing import comes, receive, send
from pybuild.runtime.kernel.syscalls import (
    CLONE_NEWPID,
    PR_SET_PDEATHSIG,
    SIGCHLD,
    SIGKILL,
    capset,
    close_range,
    move_mount,
    prctl,
    unshare,
    wait_signal,
)
from pybuild.runtime.sandbox.inside.devices import make_proc
from pybuild.runtime.sandbox.inside.plan import NAMESPACES, OWN_PROC, SandboxPlan, Status, World, read_plan
from pybuild.runtime.sandbox.inside.process import become
from pybuild.runtime.sandbox.inside.stage import Scenery, enter_root
from pybuild.runtime.supervisor.values import Supervision
from pybuild.runtime.wire import Operation

TYPE_CHECKING = False  # that of `typing` costs the child an import of 7 ms
if TYPE_CHECKING:
    from pybuild.runtime.sandbox.inside.supervised import Supervised

_CAP_KILL = 1 << 5
_MOST_DESCRIPTORS = 9  # plan, root, /proc, three streams, a terminal, and the two of a `Status`
WITH_TERMINAL, WITHOUT = b"terminal", b"streams"
"""What the keeper sends to the first process with plan, root, target of /proc, three streams, terminal and status."""


def guard(alive: int, own: int, programs: int, scenery: Scenery, world: World) -> None:
    """Start pid 1 of a namespace of its own, look after it, and report how it ended.

    *alive* is a pipe of which the keeper has the other end. Both this process and the one that it starts get ready,
    and then wait for word of the keeper, by *own* and by *programs*; a keeper that ends says nothing more. Of *world*
    only the ground counts.
    """
    prctl(PR_SET_PDEATHSIG, SIGKILL)
    try:
        if not os.read(alive, 1):  # the keeper died before the line above
            return
    except BlockingIOError:
        pass
    process = 0
    supervisor: Supervised | None = None
    failure: SandboxError | OSError | None = None
    try:
        supervisor = _supervised(world.supervision) if world.supervision else None
        process = _fork_program(programs, scenery, world, supervisor)
    except (SandboxError, OSError) as error:  # reported below, once there is a status pipe
        failure = error
    if process and not comes(own, process):
        return
    _, descriptors = receive(own, _MOST_DESCRIPTORS)
    if not descriptors:
        return
    with Status(*descriptors) as status:
        if failure is not None:
            raise failure
        if status.began >= 0:
            with Operation("show the process"):
                send(status.began, b"p", os.pidfd_open(process))
        if supervisor is not None:
            supervisor.finish(process, status, _pass_on)
            return
        _let_go(status)
        status.ended(_look_after(process))


def _supervised(supervision: Supervision) -> "Supervised":
    from pybuild.runtime.sandbox.inside.supervised import Supervised

    return Supervised(supervision)


def _fork_program(programs: int, scenery: Scenery, world: World, supervisor: "Supervised | None") -> int:
    with Operation(NAMESPACES):
        unshare(CLONE_NEWPID)
        process = os.fork()
    if process == 0:
        try:
            _begin(programs, scenery, world, -1 if supervisor is None else supervisor.channel)
        finally:
            os._exit(0)
    return process


def _begin(own: int, scenery: Scenery, world: World, supervisor: int) -> None:
    """Run as the first process inside: make /proc, then wait for a plan and become its program."""
    made = -1, True
    failure: SandboxError | OSError | None = None
    try:
        place, bind = scenery.scratch.directory("proc"), world.may_degrade
        made = make_proc(place, scenery.nodes, insecure=world.insecure, bind=bind)
    except (SandboxError, OSError) as error:  # reported below, once there is a status pipe
        failure = error
    has, descriptors = receive(own, _MOST_DESCRIPTORS)
    if not descriptors:
        return
    plan_fd, root, target, *streams = descriptors[:6]
    terminal = descriptors[6] if has == WITH_TERMINAL else -1
    with Status(*descriptors[6 if terminal < 0 else 7 :]) as status:
        if failure is not None:
            raise failure
        plan = read_plan(plan_fd)
        if not made[1]:
            status.degraded(OWN_PROC)
        with Operation("mount proc", b"/proc"):
            move_mount(made[0], target)
        enter_root(root, plan.world, status)
        for stream, fd in enumerate(streams):
            os.dup2(fd, stream)
        if plan.world.supervision:
            from pybuild.runtime.sandbox.inside.supervised import submit

            submit(supervisor, plan.world.supervision)
        _become(plan, status, root, terminal)


def _become(plan: SandboxPlan, status: Status, root: int, terminal: int) -> None:
    """Become the program, or an init that has it as its child."""
    if plan.world.init:
        process = os.fork()
        if process:
            _let_go(status)
            ended = os.waitstatus_to_exitcode(_look_after(process))
            # The first process of a namespace cannot end by a signal of its own.
            os._exit(ended if ended >= 0 else 128 - ended)
    become(plan.process, root, terminal, status.began)


def _let_go(status: Status) -> None:
    """Keep nothing but the status pipe and the right to signal: whoever gets at this process finds nothing in it."""
    if status.fd != 3:
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
