"""The guard of a sandbox: pid 1 of an outer PID namespace, so that the kernel ends everything inside when it ends.

The program is pid 1 of an inner PID namespace, as in Docker. The kernel would not reliably kill it with the builder,
because the exec of a set-user-id program clears PR_SET_PDEATHSIG. The guard never execs, so its own setting stays; when
it ends, the kernel kills every process of its namespace and of the inner one. No process inside has a number for it.
"""

import os

from pybuild.runtime.errors import SandboxError
from pybuild.runtime.kernel.passing import receive, send, wait_for_message
from pybuild.runtime.kernel.pidfd import reap_children
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
from pybuild.runtime.records import Operation
from pybuild.runtime.sandbox.inside.detached_root import SystemMounts, enter_root
from pybuild.runtime.sandbox.inside.namespaces import JoinedNamespaces
from pybuild.runtime.sandbox.inside.plan import (
    NAMESPACES,
    OWN_PROC,
    PROC_FILES,
    SandboxPlan,
    SandboxSettings,
    Status,
    read_plan,
)
from pybuild.runtime.sandbox.inside.proc_and_sys import make_proc
from pybuild.runtime.sandbox.inside.process import become
from pybuild.runtime.supervisor.values import Supervision

TYPE_CHECKING = False  # type checkers take it for that of `typing`, whose import takes 7 ms
if TYPE_CHECKING:
    from pybuild.runtime.sandbox.inside.supervision import Supervised

_CAP_KILL = 1 << 5
_MOST_DESCRIPTORS = 9  # plan, root, /proc, three streams, a terminal, and the two of a `Status`
WITH_TERMINAL, WITHOUT = b"terminal", b"streams"
"""The message to the first process: whether a terminal is among its descriptors.

They are the plan, the root, the mount point of /proc, three streams, the terminal if there is one, and the status pipe.
"""


class GuardSockets:
    """What connects a guard to its keeper.

    Both the guard and the first process inside prepare themselves first, and then wait for a message of the keeper, the
    guard on the socket *own* and that process on *programs*. *alive* is the read end of a pipe whose other end the
    keeper has.
    """

    __slots__ = ("alive", "own", "programs")

    def __init__(self, alive: int, own: int, programs: int) -> None:
        self.alive, self.own, self.programs = alive, own, programs


def guard(sockets: GuardSockets, system: SystemMounts, settings: SandboxSettings, joined: JoinedNamespaces) -> None:
    """Fork the first process inside, wait for it, and report how it ended.

    It is pid 1 of an inner PID namespace, unless one is *joined* or that of the host is shared. Both return without a
    message when the keeper has died. Of *settings* only `SandboxSettings.prepared_settings` count.
    """
    prctl(PR_SET_PDEATHSIG, SIGKILL)
    try:
        if not os.read(sockets.alive, 1):  # the keeper died before PR_SET_PDEATHSIG
            return
    except BlockingIOError:  # the pipe is still open, so the keeper lives
        pass
    process = 0
    supervisor: Supervised | None = None
    failure: SandboxError | OSError | None = None
    try:
        supervisor = _supervised(settings, settings.isolation.supervision) if settings.isolation.supervision else None
        process = _fork_program(sockets.programs, system, settings, supervisor, joined)
    except (SandboxError, OSError) as error:  # reported below, as soon as the status pipe is here
        failure = error
    if process and not wait_for_message(sockets.own, process):
        return
    _, descriptors = receive(sockets.own, _MOST_DESCRIPTORS)
    if not descriptors:
        return
    with Status(*descriptors) as status:
        if failure is not None:
            raise failure
        if status.exec_channel >= 0:
            with Operation("show the process"):
                send(status.exec_channel, b"p", os.pidfd_open(process))
        if supervisor is not None:
            supervisor.finish(process, status, _forward)
            return
        _drop_all_but_status(status)
        status.report_end(_reap_until_end(process))


def _supervised(settings: SandboxSettings, supervision: Supervision) -> "Supervised":
    from pybuild.runtime.sandbox.inside.supervision import Supervised

    return Supervised(supervision, strict=settings.isolation.strict)


def _fork_program(
    programs: int,
    system: SystemMounts,
    settings: SandboxSettings,
    supervisor: "Supervised | None",
    joined: JoinedNamespaces,
) -> int:
    own = joined.pid < 0 and b"pid" not in settings.namespaces.shared
    joined.enter_pid()
    with Operation(NAMESPACES):
        if own:
            # This process stays where it is: only what it forks is in the new namespace (unshare(2)).
            unshare(CLONE_NEWPID)
        process = os.fork()
    if process == 0:
        try:
            if not own:
                # The end of the guard does not end its PID namespace then. Where this is not enough, because a program
                # changes its user or forks, the monitor kills what is left in the control group.
                prctl(PR_SET_PDEATHSIG, SIGKILL)
            _run_first_process(programs, system, settings, -1 if supervisor is None else supervisor.channel)
        finally:
            os._exit(0)
    return process


def _run_first_process(own: int, system: SystemMounts, settings: SandboxSettings, supervisor: int) -> None:
    """Run as pid 1 inside: mount /proc in the scratch space, wait for the plan on *own*, become its program.

    /proc shows the PID namespace of whoever mounts it, so it must be this process.
    """
    proc, is_own_proc = -1, True
    failure: SandboxError | OSError | None = None
    try:
        proc, is_own_proc = make_proc(system.scratch.directory("proc"), system.nodes, settings)
    except (SandboxError, OSError) as error:  # reported below, as soon as the status pipe is here
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
        if not is_own_proc:
            status.report_lack(OWN_PROC if plan.settings.isolation.supervision is None else PROC_FILES)
        with Operation("mount proc", b"/proc"):
            move_mount(proc, target)
        enter_root(root, plan.settings, status)
        for stream, fd in enumerate(streams):
            os.dup2(fd, stream)
        # After pivot_root(2), which moves the root of the supervisor, too: it must not answer by files of the host.
        if plan.settings.isolation.supervision:
            from pybuild.runtime.sandbox.inside.supervision import start_supervision

            start_supervision(supervisor, plan.settings.isolation.supervision)
        _become(plan, status, root, terminal)


def _become(plan: SandboxPlan, status: Status, root: int, terminal: int) -> None:
    """Become the program, or an init that has it as its child."""
    if plan.settings.init:
        process = os.fork()
        if process:
            _drop_all_but_status(status)
            ended = os.waitstatus_to_exitcode(_reap_until_end(process))
            # pid 1 of a namespace cannot kill itself by a signal, so it ends with the code that a shell would show.
            os._exit(ended if ended >= 0 else 128 - ended)
    become(plan.process, root, terminal, status.exec_channel)


def _drop_all_but_status(status: Status) -> None:
    """Close every descriptor but the status pipe, and drop every capability but the one to send signals.

    A process inside that takes over this one gains nothing by it.
    """
    if status.fd != 3:
        os.dup2(status.fd, 3, inheritable=False)
    close_range(4)
    status.fd = 3
    capset(_CAP_KILL, _CAP_KILL, 0)


def _reap_until_end(process: int) -> int:
    """Reap every child and forward signals until *process* ends; return its wait status."""
    while True:
        number = wait_signal()
        if number == SIGCHLD:
            ended = dict(reap_children())
            if process in ended:
                return ended[process]
        else:
            _forward(process, number)


def _forward(process: int, number: int) -> None:
    try:
        os.kill(process, number)
    except ProcessLookupError:  # it has just ended
        return
