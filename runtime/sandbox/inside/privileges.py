"""What a process may do: its capabilities, its filter and its user, and how it gives up the rest."""

import os
from errno import EINVAL

from pybuild.runtime.kernel.syscalls import (
    PR_CAP_AMBIENT,
    PR_CAP_AMBIENT_CLEAR_ALL,
    PR_CAPBSET_DROP,
    PR_CAPBSET_READ,
    PR_SET_NO_NEW_PRIVS,
    capget,
    capset,
    prctl,
    scope_abstract_sockets,
    set_seccomp_filter,
)
from pybuild.runtime.records import Operation, Record
from pybuild.runtime.rootfs.identity import Identity

CAP_SETUID, CAP_SYS_CHROOT = 7, 18


class Confinement(Record):
    """What the process may do. *capabilities* is a mask, of which it gets those that the builder has.

    *rlimits* are resource limits (name, number, soft, hard); *seccomp* is a BPF program, b"" for none.
    """

    __slots__ = ("capabilities", "insecure", "no_new_privileges", "rlimits", "seccomp")

    def __init__(
        self,
        capabilities: int,
        insecure: bool,
        no_new_privileges: bool,
        rlimits: tuple[tuple[bytes, int, int, int], ...],
        seccomp: bytes,
    ) -> None:
        self.capabilities, self.insecure, self.no_new_privileges = capabilities, insecure, no_new_privileges
        self.rlimits, self.seccomp = rlimits, seccomp


def confine(confinement: Confinement, identity: Identity, *, scoped: bool = False) -> None:
    """Drop capabilities, install the filter, and become the user and the groups of *identity*, irrevocably."""
    held = capget()[1]
    keep = held & confinement.capabilities
    with Operation("drop privileges"):
        if confinement.no_new_privileges:
            prctl(PR_SET_NO_NEW_PRIVS, 1)
        # This takes CAP_SETPCAP, and Landlock CAP_SYS_ADMIN, as the filter does: capset(2) comes after them.
        _drop_from_bounding_set(keep)
        if not (confinement.insecure or scoped):
            _hide_abstract_sockets()
        if confinement.seccomp:
            set_seccomp_filter(confinement.seccomp)
        prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    becoming_user = Operation("become user", b"%d:%d" % (identity.uid, identity.gid))
    with becoming_user:
        try:
            os.setgroups(list(identity.groups))
            os.setresgid(identity.gid, identity.gid, identity.gid)
            # CAP_SETUID stays for the next call, also if the process is to lose it.
            becoming = keep | held & 1 << CAP_SETUID
            # No inheritable capabilities: programs with file capabilities would pass them on (CVE-2022-24769).
            capset(becoming, becoming, 0)
            os.setresuid(identity.uid, identity.uid, identity.uid)
            # setresuid has dropped all capabilities, unless the user is root (capabilities(7)).
            left = capget()[1] & keep
            capset(left, left, 0)
        except OSError as error:
            if error.errno != EINVAL:
                raise
            raise becoming_user.failed(EINVAL, "it is beyond the ids that the builder has here") from None


def give_up_chroot() -> None:
    """Drop CAP_SYS_CHROOT for good: a root that was set by chroot(2), not by pivot_root(2), can be left with it."""
    effective, permitted, inheritable = capget()
    with Operation("give up chroot"):
        prctl(PR_CAPBSET_DROP, CAP_SYS_CHROOT)
        capset(*(held & ~(1 << CAP_SYS_CHROOT) for held in (effective, permitted, inheritable)))


def _drop_from_bounding_set(keep: int) -> None:
    # What is not in the bounding set cannot come back by the exec of a program that has it.
    for capability in range(64):
        try:
            held = prctl(PR_CAPBSET_READ, capability)
        except OSError:  # EINVAL: no more capabilities in this kernel
            return
        if held and not keep >> capability & 1:
            prctl(PR_CAPBSET_DROP, capability)


def _hide_abstract_sockets() -> None:
    # Abstract sockets belong to a network namespace, and daemons of the host listen on some (CVE-2020-15257).
    try:
        scope_abstract_sockets()
    except OSError:
        # Linux before 6.12, or without Landlock, cannot hide them. That is documented, and no reason to fail.
        return
