"""The sandbox child: two processes that build the sandbox and look after the third, which becomes the user's program.

The *keeper* lives outside. It makes namespaces and mounts, forks *init*, goes back to the host's mounts, waits, and
removes the mount points that it had to make. *init* is pid 1 inside: it enters the root, forks the process, reaps,
hands signals on and ends with the process, whereupon the kernel kills whatever is left in the PID namespace.
"""

import os
import sys
from errno import EINVAL, EPERM

from runtime.chroot import Home, make_private
from runtime.devices import open_terminal
from runtime.plan import CALLER, NAMESPACES, TERMINAL, Plan, Status, World
from runtime.process import become
from runtime.stage import Stage
from runtime.stubs import Stubs
from runtime.syscalls import (
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
    block_signals,
    bring_up_loopback,
    capset,
    close_range,
    prctl,
    reset_signals,
    send_descriptor,
    sethostname,
    unshare,
    wait_signal,
)
from runtime.wire import Operation, decode

SIGKILL, SIGTERM, SIGCHLD = 9, 15, 17
_CAP_KILL = 1 << 5


def keep(plan_fd: int, status_fd: int, parent: int) -> None:
    """Be the child of the process *parent*, to the end. Never returns."""
    with Status(status_fd) as status:
        _depend_on(parent)
        _keep(_receive(plan_fd), status)


def _receive(fd: int) -> Plan:
    with open(fd, "rb", buffering=0) as file:
        file.seek(0)
        plan = decode(file.readall())
    if not isinstance(plan, Plan):
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


def _keep(plan: Plan, status: Status) -> None:
    """Be the keeper: build, fork init, wait, tidy up."""
    reset_signals()
    block_signals()
    if plan.world.stdio != CALLER:
        os.setsid()  # Ctrl-C is for the builder, which decides what becomes of the sandbox
    _join_cgroups(plan.world.cgroups)
    home = Home()
    _enter_namespaces(plan.world)
    stubs = Stubs()
    try:
        try:
            init = _fork_init(plan, Stage(plan, stubs), status)
        finally:
            # The kernel refuses to remove a folder on which something is mounted in the caller's own namespace.
            home.enter()
        _await_end(init)
    finally:
        stubs.remove()


def _join_cgroups(files: tuple[bytes, ...]) -> None:
    for path in files:
        with Operation("join cgroup", path), open(path, "wb", buffering=0) as file:
            file.write(b"0")


def _enter_namespaces(world: World) -> None:
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
        sethostname(world.hostname)
    if world.private_network:
        with Operation("bring up the loopback"):
            bring_up_loopback()


def _make_stdio(stdio: bytes, dev: int) -> int:
    """Make standard input what the sandbox is to have, and return the terminal of its process, -1 for none."""
    terminal = _hand_over_terminal(dev) if stdio == TERMINAL else -1
    if stdio != CALLER:
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


def _fork_init(plan: Plan, stage: Stage, status: Status) -> int:
    terminal = _make_stdio(plan.world.stdio, stage.dev)
    alive, lifeline = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    init = os.fork()
    if init == 0:
        with Status(status.fd) as own_status:
            os.close(lifeline)
            _init(plan, stage, own_status, alive, terminal)
    os.close(alive)
    if terminal >= 0:
        # Who reads the other end learns by this that nobody inside has the terminal any more.
        os.close(terminal)
    return init


def _await_end(init: int) -> None:
    """Wait until init is gone, and with it every process of its namespace. SIGTERM makes that happen at once."""
    while True:
        number = wait_signal()
        if number == SIGTERM:
            os.kill(init, SIGKILL)
        if number == SIGCHLD and os.waitpid(init, os.WNOHANG)[0]:
            return


def _init(plan: Plan, stage: Stage, status: Status, alive: int, terminal: int) -> None:
    """Be pid 1: enter the root, start the process, look after it."""
    prctl(PR_SET_PDEATHSIG, SIGKILL)
    try:
        if not os.read(alive, 1):  # the keeper died before the line above
            return
    except BlockingIOError:
        pass
    stage.enter()
    process = os.fork()
    if process == 0:
        with Status(status.fd):
            become(plan.process, stage.root, terminal)
    # The host's files stay open in nobody: a process may get at what its pid 1 holds, if all else fails.
    os.dup2(status.fd, 3, inheritable=False)
    close_range(4)
    status.fd = 3
    capset(_CAP_KILL, _CAP_KILL, 0)
    status.ended(_look_after(process))


def _look_after(process: int) -> int:
    """Reap every child and pass signals on until *process* ends; return its wait status."""
    while True:
        number = wait_signal()
        if number == SIGCHLD:
            ended = _reap(process)
            if ended is not None:
                return ended
        else:
            _signal_group(process, number)


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


def _signal_group(process: int, number: int) -> None:
    try:
        os.killpg(process, number)
    except ProcessLookupError:  # it has not made its session yet, and would miss nothing but the very first moment
        return
