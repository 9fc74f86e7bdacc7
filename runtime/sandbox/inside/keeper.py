"""The keeper of a sandbox: the child of the fork server that builds the sandbox and tidies up after it.

It lives outside: it makes namespaces and mounts, forks the guard, which starts the program, goes back to the host's
mounts, passes signals on, waits, and removes the mount points that it had to make.
"""

import os
import sys
from errno import EINVAL, EPERM

from pybuild.runtime.kernel.chroot import Home, make_private
from pybuild.runtime.kernel.syscalls import (
    CLONE_NEWCGROUP,
    CLONE_NEWIPC,
    CLONE_NEWNET,
    CLONE_NEWNS,
    CLONE_NEWPID,
    CLONE_NEWUTS,
    CLOSE_RANGE_CLOEXEC,
    LAST_DESCRIPTOR,
    PR_SET_DUMPABLE,
    PR_SET_PDEATHSIG,
    SIGCHLD,
    SIGKILL,
    bring_up_loopback,
    close_range,
    prctl,
    send_descriptor,
    sethostname,
    unshare,
    wait_signal,
)
from pybuild.runtime.sandbox.inside.devices import open_terminal
from pybuild.runtime.sandbox.inside.guard import guard
from pybuild.runtime.sandbox.inside.plan import (
    END,
    HOST_NAME,
    LOOPBACK,
    NAMESPACES,
    PIPE,
    TERMINAL,
    SandboxPlan,
    Status,
    World,
)
from pybuild.runtime.sandbox.inside.stage import DetachedRoot
from pybuild.runtime.sandbox.inside.stubs import Stubs
from pybuild.runtime.wire import Operation, decode


def keep(plan_fd: int, status_fd: int, parent: int, began: int = -1) -> None:
    """Be the child of the process *parent*, to the end. Never returns. *began* is what `Status` takes."""
    with Status(status_fd, began) as status:
        _depend_on(parent)
        _keep(_receive(plan_fd), status)


def _receive(fd: int) -> SandboxPlan:
    with open(fd, "rb", buffering=0) as file:
        file.seek(0)
        plan = decode(file.readall())
    if not isinstance(plan, SandboxPlan):
        raise TypeError(type(plan))
    return plan


def cut_imports() -> None:
    """Make every later import of a new module fail: inside, the host's import paths would lead to image files."""
    sys.meta_path.clear()
    sys.path.clear()
    sys.path_hooks.clear()
    sys.path_importer_cache.clear()


def _depend_on(parent: int) -> None:
    """Die with the fork server, which dies with the builder, and let nobody look into this process or its children."""
    prctl(PR_SET_PDEATHSIG, SIGKILL)
    prctl(PR_SET_DUMPABLE, 0)
    close_range(3, LAST_DESCRIPTOR, CLOSE_RANGE_CLOEXEC)
    if os.getppid() != parent:  # it died before the first line
        os._exit(0)


def _keep(plan: SandboxPlan, status: Status) -> None:
    """Be the keeper: build, fork the guard, wait, tidy up."""
    os.setsid()  # Ctrl-C is for the builder, which decides what becomes of the sandbox
    _join_cgroups(plan.world.cgroups)
    home = Home()
    _enter_namespaces(plan.world, status)
    stubs = Stubs()
    try:
        try:
            child = _fork_guard(plan, DetachedRoot(plan, stubs), status)
        finally:
            # The kernel refuses to remove a directory on which something is mounted in the caller's own namespace.
            home.enter()
        _await_end(child)
    finally:
        stubs.remove()


def _join_cgroups(files: tuple[bytes, ...]) -> None:
    for path in files:
        with Operation("join cgroup", path), open(path, "wb", buffering=0) as file:
            file.write(b"0")


def _enter_namespaces(world: World, status: Status) -> None:
    """Leave the host's namespaces. A user namespace, where one is wanted, has to be entered before this."""
    with Operation(NAMESPACES):
        unshare(CLONE_NEWNS)
        # Before the first mount: with shared propagation it would appear on the host.
        make_private()
        unshare(CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | (CLONE_NEWNET if world.private_network else 0))
        try:
            unshare(CLONE_NEWCGROUP)
        except OSError as error:  # optional: without it /proc/self/cgroup shows the host's names
            if error.errno not in {EINVAL, EPERM}:
                raise
    with Operation("set host name", world.hostname):
        try:
            sethostname(world.hostname)
        except PermissionError:  # some filters refuse the call; the name is nothing that a step must not see
            if world.strict:
                raise
            status.degraded(HOST_NAME)
    if world.private_network:
        with Operation("bring up the loopback"):
            try:
                bring_up_loopback()
            except PermissionError:  # a root without CAP_NET_ADMIN; nothing listens there yet
                if world.strict:
                    raise
                status.degraded(LOOPBACK)


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
        send_descriptor(0, master)
        os.close(master)
        os.read(0, 1)  # ends when the builder has given the terminal the size of its window
    return terminal


def _fork_guard(plan: SandboxPlan, stage: DetachedRoot, status: Status) -> int:
    terminal = _make_stdio(plan.world.stdio, stage.dev)
    alive, lifeline = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    child = os.fork()
    if child == 0:
        with Status(status.fd, status.began) as own_status:
            os.close(lifeline)
            guard(plan, stage, own_status, alive, terminal)
    os.close(alive)
    if status.began >= 0:
        os.close(status.began)
    if terminal >= 0:
        # Who reads the other end learns by this that nobody inside has the terminal any more.
        os.close(terminal)
    return child


def _await_end(child: int) -> None:
    """Wait until the guard is gone, and with it every process inside. END makes that happen at once."""
    while True:
        number = wait_signal()
        if number == SIGCHLD:
            if os.waitpid(child, os.WNOHANG)[0]:
                return
        else:
            os.kill(child, SIGKILL if number == END else number)
