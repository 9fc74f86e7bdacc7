"""The ids that the processes of a step believe to have, while the kernel knows one id only.

Each set of ids has a number, which is stored in the resource limit RLIMIT_LOCKS of the process. It has had no effect
since Linux 2.4.25, and the kernel passes it on to children and over exec. If a process could set it in spite of the
filter, it would change the ids that it sees, and no rights.
"""

import resource
from collections.abc import Callable
from errno import EAGAIN, EPERM

from pybuild.runtime.kernel.syscalls import RLIMIT_LOCKS

_FIRST = 1 << 40  # the number of the first identity, far above limits that are set for other reasons
_MOST = 1 << 19  # ids of all identities: a step that sets more and more of them must not fill the memory
_IDS = 8  # of an identity without supplementary groups: three of the user, three of the group, and two for the rest
_UNCHANGED = 0xFFFFFFFF  # -1 in a call keeps an id

IdTriple = tuple[int, int, int]
"""Real, effective and saved id."""


class ProcessIds:
    """The ids of a process: of the user, of the group, and of the supplementary groups.

    *keeps* is PR_SET_KEEPCAPS: a process that was root may then change its groups after it has set another user id.
    """

    __slots__ = ("groups", "keeps", "supplementary", "users")

    def __init__(
        self, users: IdTriple, groups: IdTriple, supplementary: tuple[int, ...], *, keeps: bool = False
    ) -> None:
        self.users, self.groups, self.supplementary, self.keeps = users, groups, supplementary, keeps

    @property
    def is_root(self) -> bool:
        """Whether it has the rights of root."""
        return self.users[1] == 0

    @property
    def changes_groups(self) -> bool:
        """Whether it may change to any group."""
        return self.is_root or self.keeps

    def has_group(self, gid: int) -> bool:
        """Return whether it is in the group *gid*."""
        return gid == self.groups[1] or gid in self.supplementary


ROOT = ProcessIds((0, 0, 0), (0, 0, 0), ())


def after_exec(now: ProcessIds, uid: int | None, gid: int | None) -> ProcessIds:
    """Return the ids after execve(2) of a program that sets the effective ones to *uid* and *gid*, if not None."""
    user, group = now.users[1] if uid is None else uid, now.groups[1] if gid is None else gid
    return ProcessIds((now.users[0], user, user), (now.groups[0], group, group), now.supplementary)


class Identities:
    """All identities in one sandbox, and the numbers that stand for them in RLIMIT_LOCKS."""

    def __init__(self) -> None:
        self._known: list[ProcessIds] = []
        self._numbers: dict[tuple[object, ...], int] = {}
        self._ids = 0

    def of(self, tid: int) -> ProcessIds:
        """Return the identity of a thread's process: root until `assign`. Raises OSError when it has ended."""
        soft, _ = resource.prlimit(tid, RLIMIT_LOCKS)
        index = soft - _FIRST
        return self._known[index] if 0 <= index < len(self._known) else ROOT

    def assign(self, tid: int, identity: ProcessIds) -> None:
        """Make *identity* that of the process of *tid*. Raises OSError if it has ended, or EAGAIN for too many."""
        key = identity.users, identity.groups, identity.supplementary, identity.keeps
        number = self._numbers.get(key)
        if number is None:
            ids = self._ids + _IDS + len(identity.supplementary)
            if ids > _MOST:
                raise OSError(EAGAIN, "too many identities")
            self._ids = ids
            number = self._numbers[key] = len(self._known)
            self._known.append(identity)
        # The soft limit alone: without CAP_SYS_RESOURCE a hard one cannot be raised again.
        _, hard = resource.prlimit(tid, RLIMIT_LOCKS)
        resource.prlimit(tid, RLIMIT_LOCKS, (_FIRST + number, hard))


def set_all(now: IdTriple, wanted: tuple[int, ...], *, privileged: bool) -> IdTriple:
    """Return the ids after setresuid(2) or setresgid(2). Raises OSError EPERM as the kernel does."""
    if not privileged and any(new not in {_UNCHANGED, *now} for new in wanted):
        raise OSError(EPERM, "no such id of its own")
    real, effective, saved = (old if new == _UNCHANGED else new for old, new in zip(now, wanted, strict=True))
    return real, effective, saved


def set_one(now: IdTriple, wanted: tuple[int, ...], *, privileged: bool) -> IdTriple:
    """Return the ids after setuid(2) or setgid(2)."""
    (new,) = wanted
    if privileged:
        return new, new, new
    if new not in {now[0], now[2]}:
        raise OSError(EPERM, "no such id of its own")
    return now[0], new, now[2]


def set_two(now: IdTriple, wanted: tuple[int, ...], *, privileged: bool) -> IdTriple:
    """Return the ids after setreuid(2) or setregid(2)."""
    real, effective = wanted
    allowed_real, allowed_effective = {_UNCHANGED, now[0], now[1]}, {_UNCHANGED, *now}
    if not privileged and (real not in allowed_real or effective not in allowed_effective):
        raise OSError(EPERM, "no such id of its own")
    new_real = now[0] if real == _UNCHANGED else real
    new_effective = now[1] if effective == _UNCHANGED else effective
    # The saved id follows when the real one is set, or the effective one to another than the former real one.
    changes_saved = real != _UNCHANGED or (effective != _UNCHANGED and effective != now[0])
    return new_real, new_effective, new_effective if changes_saved else now[2]


Change = Callable[..., IdTriple]
"""One of the three functions above."""
