"""The keeper of a sandbox: the child of the fork server that builds the sandbox and tidies up after it.

It lives outside: it makes namespaces and mounts, forks the guard, which starts the program, goes back to the host's
mounts, passes signals on, waits, and removes the mount points that it had to make.
"""

import os
import sys

from pybuild.runtime.kernel.passing import receive, send
from pybuild.runtime.kernel.syscalls import (
    CLOSE_RANGE_CLOEXEC,
    LAST_DESCRIPTOR,
    PR_SET_DUMPABLE,
    PR_SET_PDEATHSIG,
    SIGKILL,
    bring_up_loopback,
    close_range,
    prctl,
    sethostname,
)
from pybuild.runtime.records import Operation
from pybuild.runtime.sandbox.inside.detached_root import DetachedRoot
from pybuild.runtime.sandbox.inside.devices import open_terminal
from pybuild.runtime.sandbox.inside.file_systems import FileSystem
from pybuild.runtime.sandbox.inside.guard import WITH_TERMINAL, WITHOUT
from pybuild.runtime.sandbox.inside.mounts import Bind
from pybuild.runtime.sandbox.inside.namespaces import JoinedNamespaces
from pybuild.runtime.sandbox.inside.plan import (
    DEFAULT_SETTINGS,
    HOST_NAME,
    LOOPBACK,
    PIPE,
    TERMINAL,
    SandboxPlan,
    SandboxSettings,
    Status,
    read_plan,
)
from pybuild.runtime.sandbox.inside.preparation import Preparation
from pybuild.runtime.sandbox.inside.stubs import Stubs


def keep(
    plan_fd: int, status_fd: int, parent: int, exec_channel: int = -1, joined: JoinedNamespaces | None = None
) -> None:
    """Run as the keeper, a child of the process *parent*. Never returns. *exec_channel* is that of `Status`."""
    with Status(status_fd, exec_channel) as status:
        depend_on(parent)
        plan = read_plan(plan_fd)
        propagated = _made_on_the_host(plan)
        _keep(plan, plan_fd, status, Preparation(plan.settings, joined=joined), propagated)


def keep_spare(channel: int, parent: int) -> None:
    """Run as a keeper that prepares a sandbox of `DEFAULT_SETTINGS` before there is a run for it.

    The run comes over *channel*: its plan, status pipe and three streams. Returns only when none will come.
    """
    depend_on(parent)
    prepared = Preparation(DEFAULT_SETTINGS, channel)
    if not prepared.wait(channel):
        return
    _, descriptors = receive(channel, 5)
    if not descriptors:  # the fork server has no use for it any more
        return
    os.close(channel)
    plan_fd, status_fd, *streams = descriptors
    with Status(status_fd) as status:
        for stream, fd in enumerate(streams):
            os.dup2(fd, stream)
            os.close(fd)
        _keep(read_plan(plan_fd), plan_fd, status, prepared)


def cut_imports() -> None:
    """Make later imports of new modules fail: in the new root, import paths would lead to files of the image."""
    sys.meta_path.clear()
    sys.path.clear()
    sys.path_hooks.clear()
    sys.path_importer_cache.clear()


def depend_on(parent: int) -> None:
    """Have the kernel kill this process when its *parent* dies, and let nobody trace it or read its memory.

    The parent is the fork server or a monitor. Descriptors above the streams become close-on-exec.
    """
    prctl(PR_SET_PDEATHSIG, SIGKILL)
    # Also for the processes that it forks, which are within reach of those inside until their exec (CVE-2016-9962).
    prctl(PR_SET_DUMPABLE, 0)
    close_range(3, LAST_DESCRIPTOR, CLOSE_RANGE_CLOEXEC)
    if os.getppid() != parent:  # it died before PR_SET_PDEATHSIG, which then has no effect
        os._exit(0)


def _made_on_the_host(plan: SandboxPlan) -> dict[bytes, int]:
    """Return the detached mounts, by their targets, that must be made before the sandbox has its own namespaces.

    Mounts of its mount namespace are private, so binds with propagation come before. A server is reached through the
    network of the process that mounts its file system, which is to be the host's, as in Docker.
    """
    return {
        each.target: each.make(None)
        for each in plan.mounts
        if isinstance(each, FileSystem) or (isinstance(each, Bind) and each.propagation)
    }


def _keep(
    plan: SandboxPlan, plan_fd: int, status: Status, prepared: Preparation, made: dict[bytes, int] | None = None
) -> None:
    """Run as the keeper: mount the root, let the guard continue, wait, clean up. Some mounts are *made* already."""
    stubs = Stubs()
    try:
        try:
            prepared.check(plan.settings)
            _set_up_namespaces(plan.settings, status)
            _start(plan, plan_fd, status, prepared, DetachedRoot(plan, stubs, prepared.system, made or {}))
        finally:
            # rmdir(2) fails for a directory on which something is mounted in the caller's own mount namespace, so mount
            # points can only be removed from the host's.
            prepared.leave()
        prepared.await_end()
    finally:
        prepared.end()
        stubs.remove()


def _start(plan: SandboxPlan, plan_fd: int, status: Status, prepared: Preparation, root: DetachedRoot) -> None:
    terminal = _make_stdio(plan.settings.stdio, root.dev)
    reports = (status.fd, status.exec_channel) if status.exec_channel >= 0 else (status.fd,)
    run = (plan_fd, root.root, root.proc, 0, 1, 2)
    if terminal >= 0:
        prepared.start(WITH_TERMINAL, reports, (*run, terminal))
        # As long as this process has the terminal open, the console does not see its end.
        os.close(terminal)
    else:
        prepared.start(WITHOUT, reports, run)
    # No other copy of the exec channel stays open, so that the monitor sees its end at the exec.
    for fd in (plan_fd, *reports[1:]):
        os.close(fd)


def _set_up_namespaces(settings: SandboxSettings, status: Status) -> None:
    """Set the host name, the sysctls and the loopback interface; report to *status* which of them the host refuses."""
    if b"uts" not in settings.namespaces.shared:
        _name_host(settings, status)
    for name, value in settings.namespaces.sysctls:
        with Operation("set sysctl", name):
            _set_parameter(name, value)
    if settings.namespaces.private_network:
        with Operation("bring up the loopback"):
            try:
                bring_up_loopback()
            except PermissionError:  # root without CAP_NET_ADMIN: the network stays without a loopback interface
                if settings.isolation.strict:
                    raise
                status.report_lack(LOOPBACK)


def _set_parameter(name: bytes, value: bytes) -> None:
    if name == b"kernel.domainname":  # the file is for root of the host alone, also in a UTS namespace of one's own
        sethostname(value, domain=True)
        return
    # /proc/sys shows the namespaces of the process that reads it, so the host's mount of it serves.
    with open(b"/proc/sys/" + name.replace(b".", b"/"), "wb", buffering=0) as file:
        file.write(value)


def _name_host(settings: SandboxSettings, status: Status) -> None:
    with Operation("set host name", settings.namespaces.hostname):
        try:
            sethostname(settings.namespaces.hostname)
        except PermissionError:  # a container's filter refuses the call. The step may know the host's name.
            if settings.isolation.strict:
                raise
            status.report_lack(HOST_NAME)


def _make_stdio(stdio: bytes, dev: int) -> int:
    """Make standard input of this process that of the sandbox, and return the terminal of the sandbox, -1 for none."""
    terminal = _hand_over_terminal(dev) if stdio == TERMINAL else -1
    if stdio != PIPE:
        # The sandbox's own node: what a process does to /proc/self/fd/0, such as fchmod(2), must not reach the host's.
        with Operation("open", b"/dev/null"):
            os.dup2(os.open("null", os.O_RDWR, dir_fd=dev), 0)
    return terminal


def _hand_over_terminal(dev: int) -> int:
    """Make a terminal, give the builder the end that controls it, and return the other one."""
    master, terminal = open_terminal(dev)
    with Operation("hand over the terminal"):
        send(0, b"t", master)
        os.close(master)
        os.read(0, 1)  # ends when the builder has given the terminal the size of its window
    return terminal
