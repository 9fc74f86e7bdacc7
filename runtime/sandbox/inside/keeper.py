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
from pybuild.runtime.sandbox.inside.devices import open_terminal
from pybuild.runtime.sandbox.inside.ground import Ground
from pybuild.runtime.sandbox.inside.guard import WITH_TERMINAL, WITHOUT
from pybuild.runtime.sandbox.inside.plan import (
    HOST_NAME,
    LOOPBACK,
    PIPE,
    TERMINAL,
    USUAL,
    SandboxPlan,
    Status,
    World,
    read_plan,
)
from pybuild.runtime.sandbox.inside.stage import DetachedRoot
from pybuild.runtime.sandbox.inside.stubs import Stubs
from pybuild.runtime.wire import Operation


def keep(plan_fd: int, status_fd: int, parent: int, began: int = -1, network: int = -1) -> None:
    """Run as the child of the process *parent*. Never returns. *began* is what `Status` takes.

    *network* is a network namespace to be in, -1 for what the plan says.
    """
    with Status(status_fd, began) as status:
        depend_on(parent)
        plan = read_plan(plan_fd)
        _keep(plan, plan_fd, status, Ground(plan.world, network=network))


def keep_spare(channel: int, parent: int) -> None:
    """Run as a child of *parent* that prepares for a `USUAL` run before there is one; return when there will be none.

    What `keep` has from its beginning comes over *channel*: plan, status pipe and three streams.
    """
    depend_on(parent)
    ground = Ground(USUAL, channel)
    if not ground.wait(channel):
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
        _keep(read_plan(plan_fd), plan_fd, status, ground)


def cut_imports() -> None:
    """Make every later import of a new module fail: inside, the host's import paths would lead to image files."""
    sys.meta_path.clear()
    sys.path.clear()
    sys.path_hooks.clear()
    sys.path_importer_cache.clear()


def depend_on(parent: int) -> None:
    """Die with the fork server, which dies with the builder, and let nobody look into this process or its children."""
    prctl(PR_SET_PDEATHSIG, SIGKILL)
    prctl(PR_SET_DUMPABLE, 0)
    close_range(3, LAST_DESCRIPTOR, CLOSE_RANGE_CLOEXEC)
    if os.getppid() != parent:  # it died before the first line
        os._exit(0)


def _keep(plan: SandboxPlan, plan_fd: int, status: Status, ground: Ground) -> None:
    """Run as the keeper: mount the root, let the guard continue, wait, clean up."""
    stubs = Stubs()
    try:
        try:
            ground.check(plan.world)
            _settle(plan.world, status)
            _start(plan, plan_fd, status, ground, DetachedRoot(plan, stubs, ground.scenery))
        finally:
            # The kernel refuses to remove a directory on which something is mounted in the caller's own namespace.
            ground.leave()
        ground.await_end()
    finally:
        ground.end()
        stubs.remove()


def _start(plan: SandboxPlan, plan_fd: int, status: Status, ground: Ground, stage: DetachedRoot) -> None:
    terminal = _make_stdio(plan.world.stdio, stage.dev)
    reports = (status.fd, status.began) if status.began >= 0 else (status.fd,)
    run = (plan_fd, stage.root, stage.proc, 0, 1, 2)
    if terminal >= 0:
        ground.start(WITH_TERMINAL, reports, (*run, terminal))
        # Who reads the other end learns by this that nobody inside has the terminal any more.
        os.close(terminal)
    else:
        ground.start(WITHOUT, reports, run)
    for fd in (plan_fd, *reports[1:]):
        os.close(fd)


def _settle(world: World, status: Status) -> None:
    """Set up the namespaces; what is not possible here is reported to *status*."""
    if b"uts" not in world.shared:
        _name_host(world, status)
    for name, value in world.sysctls:
        # As seen by this process, which is in the namespaces, and on the host's mounts.
        with (
            Operation("set sysctl", name),
            open(b"/proc/sys/" + name.replace(b".", b"/"), "wb", buffering=0) as file,
        ):
            file.write(value)
    if world.private_network:
        with Operation("bring up the loopback"):
            try:
                bring_up_loopback()
            except PermissionError:  # a root without CAP_NET_ADMIN; nothing listens there yet
                if world.strict:
                    raise
                status.degraded(LOOPBACK)


def _name_host(world: World, status: Status) -> None:
    with Operation("set host name", world.hostname):
        try:
            sethostname(world.hostname)
        except PermissionError:  # some filters refuse the call; the name is nothing that a step must not see
            if world.strict:
                raise
            status.degraded(HOST_NAME)


def _make_stdio(stdio: bytes, dev: int) -> int:
    """Make standard input what the sandbox is to have, and return the terminal of its process, -1 for none."""
    terminal = _hand_over_terminal(dev) if stdio == TERMINAL else -1
    if stdio != PIPE:
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
