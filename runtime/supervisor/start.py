"""Starting and confining the supervisor, a process that the guard forks into the outer PID namespace.

The step cannot see that namespace. The supervisor shares the mount namespace of the step, so that pivot_root(2) changes
its root, too, and nothing of the host is left. It also has the overlay's upper directory, as a detached read-only
mount.
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
from pybuild.runtime.supervisor.listener import Listener, NameOf, outer_name, own_name
from pybuild.runtime.supervisor.supervisor import Supervisor
from pybuild.runtime.supervisor.values import Supervision

_LISTENER, _READY = b"listener", b"ready"
_FOR_FILES = mask("CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID")
"""Capabilities that it gets if the step has them."""
_FOR_CALLERS = mask("SYS_CHROOT", "SYS_PTRACE")
"""Capabilities by which it enters the root of a caller and reads its memory."""
_LAST_CAPABILITY = 64


def fork_supervisor(
    supervision: Supervision, channel: int, proc: int, upper: int, *, is_own_proc: bool = True
) -> tuple[int, int]:
    """Fork the supervisor; return its number, and a pipe for its `OwnedFiles.new_special`, which it writes at its end.

    The step sends its listener over the other end of *channel*. *proc* is a mount of /proc: of this PID namespace or,
    if not *is_own_proc*, of an outer one. *upper* is a mount of the overlay's upper directory, -1 if the root is no
    overlay.
    """
    owners, results = os.pipe2(os.O_CLOEXEC)
    child = os.fork()
    if child:
        os.close(results)
        return child, owners
    try:
        prctl(PR_SET_PDEATHSIG, SIGKILL)
        _supervise(supervision, channel, proc, results, upper, own_name if is_own_proc else outer_name)
    finally:
        os._exit(1)


def _supervise(  # noqa: PLR0917 - the process has all of them from its parent
    supervision: Supervision, channel: int, proc: int, results: int, upper: int, name_of: NameOf
) -> None:
    message, descriptors = receive(channel, 1)
    if message != _LISTENER or not descriptors:  # there will be no step
        return
    # The step has called pivot_root(2) before it sent that, so the root of this process is the step's now.
    os.fchdir(proc)
    channel, listener, results, upper = _close_all_but(channel, descriptors[0], results, upper)
    # `umask_of` sets that of each caller.
    os.umask(0)
    _confine(supervision)
    supervisor = Supervisor(Listener(listener, name_of), supervision, os.uname().machine, upper)
    supervisor.files.add_special(supervision.special)
    send(channel, _READY)
    os.close(channel)
    supervisor.serve()
    with open(results, "wb") as file:
        file.write(b"".join(b"%d %d %d %d\n" % line for line in supervisor.files.new_special()))
    os._exit(0)


def _close_all_but(*descriptors: int) -> list[int]:
    """Close all other descriptors and return the new numbers of these. The three streams become an empty file."""
    nothing = os.memfd_create("nothing", os.MFD_CLOEXEC)
    # Above all numbers that are in use, so that none is closed before it was copied.
    first = max(3, nothing, *descriptors) + 1
    moved = [-1 if fd < 0 else os.dup2(fd, first + index, inheritable=False) for index, fd in enumerate(descriptors)]
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    close_range(3, first - 1)
    close_range(first + len(descriptors))
    return moved


def _confine(supervision: Supervision) -> None:
    held = capget()[1] & (supervision.capabilities & _FOR_FILES | _FOR_CALLERS)
    # With it, the filter below takes no CAP_SYS_ADMIN (seccomp(2)).
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    # Before capset(2), which takes CAP_SETPCAP away.
    for capability in range(_LAST_CAPABILITY):
        if not held >> capability & 1:
            try:
                prctl(PR_CAPBSET_DROP, capability)
            except OSError:  # EINVAL: no more capabilities in this kernel
                break
    capset(held, held, 0)
    set_seccomp_filter(supervision.own)


def be_supervised(channel: int, program: bytes) -> None:
    """Have the supervisor behind *channel* answer calls of this process and its children; wait until it is ready.

    Raises:
        OSError: this process already has a listener (EBUSY), or the supervisor has ended (EPIPE).
    """
    listener = seccomp_listener(program)
    send(channel, _LISTENER, listener)
    # With a copy, a process could answer its own calls.
    os.close(listener)
    message, _ = receive(channel, 0)
    if message != _READY:
        raise BrokenPipeError(32, "the supervisor has ended")
    os.close(channel)
