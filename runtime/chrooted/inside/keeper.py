"""The keeper of a chroot: a child of the fork server that traces and reaps every process inside."""

import ctypes
import os
from errno import ENOSYS, EOPNOTSUPP, EPERM

from pybuild.runtime.chrooted.inside.opener import fork_opener
from pybuild.runtime.chrooted.inside.tracer import Tracer
from pybuild.runtime.chrooted.inside.values import ChrootPlan
from pybuild.runtime.kernel.passing import receive, send, socket_pair
from pybuild.runtime.kernel.syscalls import (
    PR_SET_CHILD_SUBREAPER,
    PR_SET_DUMPABLE,
    PR_SET_NO_NEW_PRIVS,
    PR_SET_PDEATHSIG,
    RLIMIT_LOCKS,
    SIGKILL,
    call,
    prctl,
    seccomp_listener,
    set_seccomp_filter,
    setrlimit,
)
from pybuild.runtime.records import Operation
from pybuild.runtime.sandbox.inside.keeper import depend_on
from pybuild.runtime.sandbox.inside.plan import Status, read_record
from pybuild.runtime.sandbox.inside.privileges import give_up_chroot
from pybuild.runtime.sandbox.inside.process import become

# System calls of Landlock, by which a process restricts itself and all that it starts: landlock(7).
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
# LANDLOCK_CREATE_RULESET_VERSION, with which the call returns a version, and LANDLOCK_RULE_PATH_BENEATH.
_VERSION, _PATH_BENEATH = 1, 1
_EVERY_RIGHT = {2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
"""All rights over files, by the version that added the last of them. Version 1, which forbids renames, is not used."""
_ABSTRACT_SOCKETS, _SIGNALS = 1, 2
_SCOPES_SINCE = 6


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scopes", ctypes.c_uint64))


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"  # what a packed structure has by default; Python 3.14 wants it said
    _fields_ = (("allowed", ctypes.c_uint64), ("directory", ctypes.c_int32))


def keep(plan_fd: int, status_fd: int, parent: int) -> None:
    """Run as the keeper, a child of the process *parent*. Never returns."""
    with Status(status_fd) as status:
        depend_on(parent)
        plan = read_record(plan_fd)
        if not isinstance(plan, ChrootPlan):
            raise TypeError(type(plan))
        # Ctrl-C is for the builder, which decides what becomes of the step.
        os.setsid()
        # Orphans become children of this process, which reaps them, and not of pid 1 of the container.
        prctl(PR_SET_CHILD_SUBREAPER, 1)
        _join(plan.cgroups)
        ours, theirs = socket_pair()
        process = os.fork()
        if process == 0:
            with Status(status_fd):
                os.close(ours)
                _begin(plan, theirs)
        os.close(theirs)
        if not receive(ours, 0)[0]:  # the child was killed
            return
        # While it waits, so that all that it will fork is traced from its start.
        with Operation("trace the process"):
            tracer = Tracer(process, plan.traced)
        send(ours, b"x")
        if plan.opening is not None:
            _answer_opens(ours, plan)
        # While this process has the streams open, the builder does not read their end.
        for fd in (ours, plan_fd, 1, 2):
            os.close(fd)
        status.report_end(tracer.follow())


def _answer_opens(channel: int, plan: ChrootPlan) -> None:
    """Receive the listener of the filter for secrets, start the opener with it, and let the process continue."""
    opening = plan.opening
    _, listeners = receive(channel, 1)
    if opening is None or not listeners:  # the process has failed, and has reported why
        return
    fork_opener(listeners[0], plan.root, opening.hidden, opening.calls)
    os.close(listeners[0])
    send(channel, b"x")


def _join(files: tuple[bytes, ...]) -> None:
    for path in files:
        with Operation("join cgroup", path), open(path, "wb", buffering=0) as file:
            file.write(b"0")


def _begin(plan: ChrootPlan, keeper: int) -> None:
    """Become the program of *plan*, once the keeper, at the other end of the socket *keeper*, traces this process."""
    # Until it is traced: from then on, the kernel kills it with its tracer.
    prctl(PR_SET_PDEATHSIG, SIGKILL)
    # Tracing a process that is not dumpable takes CAP_SYS_PTRACE, which containers lack.
    prctl(PR_SET_DUMPABLE, 1)
    send(keeper, b"x")
    if not receive(keeper, 0)[0]:
        os._exit(0)
    prctl(PR_SET_DUMPABLE, 0)
    with Operation("enter the root", plan.root):
        root = os.open(plan.root, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        os.fchdir(root)
        os.chroot(".")
        os.chdir("/")
    give_up_chroot()
    with Operation("confine"):
        prctl(PR_SET_NO_NEW_PRIVS, 1)
        # The mark of the processes of this run. Before the filter, with which a change of this limit has no effect.
        setrlimit(RLIMIT_LOCKS, plan.mark, plan.mark)
        stay_below(root)
    if plan.opening is not None:
        # Before the other filter, which refuses a listener.
        with Operation("listen to what is opened"):
            send(keeper, b"l", seccomp_listener(plan.opening.filter))
            receive(keeper, 0)
    with Operation("confine"):
        set_seccomp_filter(plan.filter)
    # scoped: a second ruleset of Landlock that does not name files would forbid renames between directories.
    become(plan.process, root, scoped=True)


def stay_below(directory: int) -> None:
    """Restrict this process to files below *directory*, even if it has a descriptor of a directory elsewhere.

    Since Linux 6.12 it can also send signals to, and connect to abstract sockets of, its own descendants only. Does
    nothing if the kernel has no Landlock. no_new_privs must be set.
    """
    known = landlock_version()
    rights = max((every for since, every in _EVERY_RIGHT.items() if since <= known), default=0)
    if not rights:
        return
    scopes = _ABSTRACT_SOCKETS | _SIGNALS if known >= _SCOPES_SINCE else 0
    ruleset = _Ruleset(rights, 0, scopes)
    # A kernel that does not know the last members accepts the longer struct if they are zero.
    fd = call(_CREATE_RULESET, ctypes.byref(ruleset), ctypes.sizeof(ruleset), 0)
    try:
        rule = _Beneath(rights, directory)
        call(_ADD_RULE, fd, _PATH_BENEATH, ctypes.byref(rule), 0)
        call(_RESTRICT_SELF, fd, 0)
    finally:
        os.close(fd)


def landlock_version() -> int:
    """Return the version of Landlock in this kernel, 0 for none."""
    try:
        return call(_CREATE_RULESET, None, 0, _VERSION)
    except OSError as error:
        if error.errno not in {ENOSYS, EOPNOTSUPP, EPERM}:
            raise
        return 0
