"""Who a process says it is: ids that it was told it has, while the kernel knows one id only.

The kernel itself passes them on to children and over exec: each set of ids has a number, which lies in a limit that has
had no effect since Linux 2.4.25, RLIMIT_LOCKS. A process that sets this limit itself changes what it is told, no more.
"""

import resource
from collections.abc import Callable
from errno import EAGAIN, EPERM

_RLIMIT_LOCKS = 10
_FIRST = 1 << 40
_MOST = 1 << 16
_SAME = 0xFFFFFFFF

Three = tuple[int, int, int]


class ProcessIds:
    """Real, effective and saved ids of users and groups, and supplementary groups.

    One that *keeps* what root may, as prctl(PR_SET_KEEPCAPS) lets it, may still change groups when it is root no more.
    """

    __slots__ = ("groups", "keeps", "supplementary", "users")

    def __init__(self, users: Three, groups: Three, supplementary: tuple[int, ...], *, keeps: bool = False) -> None:
        self.users, self.groups, self.supplementary, self.keeps = users, groups, supplementary, keeps

    @property
    def is_root(self) -> bool:
        """Whether it may do what root may."""
        return self.users[1] == 0

    @property
    def changes_groups(self) -> bool:
        """Whether it may have any group that it wants."""
        return self.is_root or self.keeps

    def has_group(self, gid: int) -> bool:
        """Tell whether it is in the group *gid*."""
        return gid == self.groups[1] or gid in self.supplementary


ROOT = ProcessIds((0, 0, 0), (0, 0, 0), ())


class Identities:
    """All that there are in one sandbox."""

    def __init__(self) -> None:
        self._known: list[ProcessIds] = []
        self._numbers: dict[tuple[object, ...], int] = {}

    def of(self, tid: int) -> ProcessIds:
        """Return the identity of a thread's process. Raises OSError when it is gone."""
        soft, _ = resource.prlimit(tid, _RLIMIT_LOCKS)
        place = soft - _FIRST
        return self._known[place] if 0 <= place < len(self._known) else ROOT

    def give(self, tid: int, identity: ProcessIds) -> None:
        """Let the process of *tid* be *identity* from now on. Raises OSError when that cannot be noted."""
        key = identity.users, identity.groups, identity.supplementary, identity.keeps
        number = self._numbers.get(key)
        if number is None:
            if len(self._known) >= _MOST:
                raise OSError(EAGAIN, "too many identities")
            number = self._numbers[key] = len(self._known)
            self._known.append(identity)
        _, hard = resource.prlimit(tid, _RLIMIT_LOCKS)
        resource.prlimit(tid, _RLIMIT_LOCKS, (_FIRST + number, hard))


def set_all(now: Three, wanted: tuple[int, ...], *, privileged: bool) -> Three:
    """Return the ids after setresuid(2) or setresgid(2); raises OSError EPERM as the kernel does."""
    if not privileged and any(new not in {_SAME, *now} for new in wanted):
        raise OSError(EPERM, "no such id of its own")
    real, effective, saved = (old if new == _SAME else new for old, new in zip(now, wanted, strict=True))
    return real, effective, saved


def set_one(now: Three, wanted: tuple[int, ...], *, privileged: bool) -> Three:
    """Return the ids after setuid(2) or setgid(2)."""
    (new,) = wanted
    if privileged:
        return new, new, new
    if new not in {now[0], now[2]}:
        raise OSError(EPERM, "no such id of its own")
    return now[0], new, now[2]


def set_two(now: Three, wanted: tuple[int, ...], *, privileged: bool) -> Three:
    """Return the ids after setreuid(2) or setregid(2)."""
    real, effective = wanted
    allowed_real, allowed_effective = {_SAME, now[0], now[1]}, {_SAME, *now}
    if not privileged and (real not in allowed_real or effective not in allowed_effective):
        raise OSError(EPERM, "no such id of its own")
    new_real = now[0] if real == _SAME else real
    new_effective = now[1] if effective == _SAME else effective
    changes_saved = real != _SAME or (effective != _SAME and effective != now[0])
    return new_real, new_effective, new_effective if changes_saved else now[2]


Change = Callable[..., Three]
