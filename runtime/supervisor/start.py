"""The supervisor as a process: forked by the guard into the outer PID namespace, which the step cannot see.

It has the mounts of the sandbox, whose root becomes its own when the step enters it, and nothing of the host. Beside
the root it has a read-only mount of the directory in which overlayfs keeps what the step changes, with nothing above.
"""

import os

from pybuild.runtime.kernel.capabilities import mask
from pybuild.runtime.kernel.passing import receive, send
from pybuild.runtime.kernel.syscalls import (
    PR_CAP_AMBIENT,
    PR_CAP_AMBIENT_CLEAR_ALL,
    PR_CAPBSET_DROP,
    PR_SET_NO_NEW_PRIVS,
    PR_SET_PDEATHSIG,
    SIGKILL,
    capget,
    capset,
    close_range,
    prctl,
    seccomp_listener,
    set_seccomp_filter,
)
from pybuild.runtime.supervisor.listener import Listener
from pybuild.runtime.supervisor.supervisor import Supervisor
from pybuild.runtime.supervisor.values import Supervision

_LISTENER, _READY = b"listener", b"ready"
_FOR_FILES = mask("CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID")
"""What it has when the step has it, too."""
_FOR_CALLERS = mask("SYS_CHROOT", "SYS_PTRACE")
"""What it needs to look where the caller looks, and into its memory."""
_LAST_CAPABILITY = 64


def fork_supervisor(supervision: Supervision, channel: int, proc: int, upper: int) -> tuple[int, int]:
    """Start the supervisor; return its process and a pipe that brings what `special` of it is at the end.

    The step reports by the other end of *channel*. *proc* is /proc of the PID namespace of the caller, *upper* a mount
    of the directory in which overlayfs keeps what the step changes, -1 where there is none.
    """
    owners, told = os.pipe2(os.O_CLOEXEC)
    child = os.fork()
    if child:
        os.close(told)
        return child, owners
    try:
        prctl(PR_SET_PDEATHSIG, SIGKILL)
        _supervise(supervision, channel, proc, told, upper)
    finally:
        os._exit(1)


def _supervise(supervision: Supervision, channel: int, proc: int, told: int, upper: int) -> None:
    message, descriptors = receive(channel, 1)
    if message != _LISTENER or not descriptors:  # there will be no step
        return
    os.fchdir(proc)
    channel, listener, told, upper = _keep_only(channel, descriptors[0], told, upper)
    os.umask(0)
    _confine(supervision)
    supervisor = Supervisor(Listener(listener), supervision, os.uname().machine, upper)
    supervisor.files.add_special(supervision.special)
    send(channel, _READY)
    os.close(channel)
    supervisor.serve()
    with open(told, "wb") as file:
        file.write(b"".join(b"%d %d %d %d\n" % line for line in supervisor.files.new_special()))
    os._exit(0)


def _keep_only(*descriptors: int) -> list[int]:
    """Close all others; the three streams lead nowhere. Return the new numbers."""
    nothing = os.memfd_create("nothing", os.MFD_CLOEXEC)
    first = max(3, nothing, *descriptors) + 1
    moved = [-1 if fd < 0 else os.dup2(fd, first + place, inheritable=False) for place, fd in enumerate(descriptors)]
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    close_range(3, first - 1)
    close_range(first + len(descriptors))
    return moved


def _confine(supervision: Supervision) -> None:
    held = capget()[1] & (supervision.capabilities & _FOR_FILES | _FOR_CALLERS)
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    for capability in range(_LAST_CAPABILITY):
        if not held >> capability & 1:
            try:
                prctl(PR_CAPBSET_DROP, capability)
            except OSError:  # past the last one that this kernel knows
                break
    capset(held, held, 0)
    set_seccomp_filter(supervision.own)


def be_supervised(channel: int, program: bytes) -> None:
    """Have the supervisor behind *channel* answer calls of this process and its children; returns when it does.

    Raises:
        OSError: there is another listener already (EBUSY), or the supervisor is gone (EPIPE).
    """
    listener = seccomp_listener(program)
    send(channel, _LISTENER, listener)
    os.close(listener)
    message, _ = receive(channel, 0)
    if message != _READY:
        raise BrokenPipeError(32, "the supervisor has ended")
    os.close(channel)
