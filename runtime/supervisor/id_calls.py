"""Answers to calls that ask for the ids of a process or change them, by the rules of the kernel.

After execve(2), a set-user-ID or set-group-ID program has the ids of its recorded owner. The kernel executes the
program, and finds its file anew. So if the caller changes the path meanwhile, or its call fails after this, it is shown
wrong ids, but gets no other rights.
"""

import os
import struct
from errno import EINVAL, EPERM
from stat import S_ISGID, S_ISREG, S_ISUID, S_IXGRP

from pybuild.runtime.kernel.capabilities import mask
from pybuild.runtime.ownership.record import ROOT
from pybuild.runtime.supervisor import identities
from pybuild.runtime.supervisor.caller import Answer, Arguments, Caller, Handler, signed
from pybuild.runtime.supervisor.files import OwnedFiles, PathArguments, descriptor_path
from pybuild.runtime.supervisor.identities import Identities, ProcessIds, after_exec

_ID = struct.Struct("=I")
_MOST_GROUPS = 65536  # NGROUPS_MAX
_ELF = b"\x7fELF"
SetIds = tuple[int | None, int | None]
"""The user and the group of a program, None for those of the process that executes it."""


class IdAnswers:
    """The calls about ids. *may* is the mask of the capabilities of the step."""

    def __init__(self, ids: Identities, may: int) -> None:
        self._identities, self._may = ids, may

    def handlers(self) -> dict[str, Handler]:
        """Return the handler of each call, by its name."""
        users = {"setuid": identities.set_one, "setreuid": identities.set_two, "setresuid": identities.set_all}
        groups = {"setgid": identities.set_one, "setregid": identities.set_two, "setresgid": identities.set_all}
        return {
            **{name: self._setter(change, users=True) for name, change in users.items()},
            **{name: self._setter(change, users=False) for name, change in groups.items()},
            # They report no failure, but return the former id (setfsuid(2)), which stays as it is here.
            "setfsuid": lambda c, _: self._now(c).users[1],
            "setfsgid": lambda c, _: self._now(c).groups[1],
            "setgroups": self._setgroups,
            "getuid": lambda c, _: self._now(c).users[0],
            "geteuid": lambda c, _: self._now(c).users[1],
            "getgid": lambda c, _: self._now(c).groups[0],
            "getegid": lambda c, _: self._now(c).groups[1],
            "getresuid": lambda c, a: _write_ids(c, a, self._now(c).users),
            "getresgid": lambda c, a: _write_ids(c, a, self._now(c).groups),
            "getgroups": self._getgroups,
            "prctl": self._prctl,
        }

    def _now(self, caller: Caller) -> ProcessIds:
        return self._identities.of(caller.call.tid)

    def _setter(self, change: identities.Change, *, users: bool) -> Handler:
        counts = {identities.set_one: 1, identities.set_two: 2, identities.set_all: 3}

        def handle(caller: Caller, a: Arguments) -> Answer:
            now = self._now(caller)
            wanted = tuple(argument & 0xFFFFFFFF for argument in a[: counts[change]])
            # No process has the id -1. The calls with several ids take it for one that stays.
            if change is identities.set_one and wanted == (0xFFFFFFFF,):
                return -EINVAL
            ids, privileged = (now.users, now.is_root) if users else (now.groups, now.changes_groups)
            privileged = privileged and bool(self._may & mask("SETUID" if users else "SETGID"))
            changed = change(ids, wanted, privileged=privileged)
            new = (changed, now.groups) if users else (now.users, changed)
            self._become(caller, ProcessIds(*new, now.supplementary, keeps=now.keeps))
            return 0

        return handle

    def _become(self, caller: Caller, identity: ProcessIds) -> None:
        caller.check()
        self._identities.assign(caller.call.tid, identity)

    def _setgroups(self, caller: Caller, a: Arguments) -> Answer:
        now, count = self._now(caller), a[0] & 0xFFFFFFFF
        if not (now.changes_groups and self._may & mask("SETGID")):
            return -EPERM
        if count > _MOST_GROUPS:
            return -EINVAL
        data = caller.read(a[1], count * _ID.size) if count else b""
        groups = tuple(sorted(number for (number,) in _ID.iter_unpack(data)))  # the kernel sorts them, too
        self._become(caller, ProcessIds(now.users, now.groups, groups, keeps=now.keeps))
        return 0

    def _prctl(self, caller: Caller, a: Arguments) -> Answer:
        """Note a prctl(PR_SET_KEEPCAPS), the only one that is passed on, and let the kernel carry it out."""
        now = self._now(caller)
        if now.is_root and a[1] <= 1:
            self._become(caller, ProcessIds(now.users, now.groups, now.supplementary, keeps=bool(a[1])))
        return None

    def _getgroups(self, caller: Caller, a: Arguments) -> Answer:
        groups, size = self._now(caller).supplementary, signed(a[0])
        if size < 0 or 0 < size < len(groups):
            return -EINVAL
        if size and groups:
            caller.write(a[1], b"".join(map(_ID.pack, groups)))
        return len(groups)


def _write_ids(caller: Caller, addresses: Arguments, ids: tuple[int, int, int]) -> int:
    for address, number in zip(addresses, ids, strict=False):
        caller.write(address, _ID.pack(number))
    return 0


def note_exec(caller: Caller, files: OwnedFiles, ids: Identities, at: PathArguments) -> None:
    """Give the process of *caller* the ids that it has as the program *at*. The kernel is to carry out the call."""
    now = ids.of(caller.call.tid)
    new = after_exec(now, *_set_ids(caller, files, at))
    # Most programs change nothing, and then the caller need not be checked.
    if (new.users, new.groups, new.keeps) != (now.users, now.groups, now.keeps):
        caller.check()
        ids.assign(caller.call.tid, new)


def _set_ids(caller: Caller, files: OwnedFiles, at: PathArguments) -> SetIds:
    try:
        place, follow = files.place_and_follow(caller, at)
        with files.root_of(caller), files.found(caller, place, follow=follow) as fd:
            return _of_program(files, fd)
    except OSError:  # the kernel will fail with the right errno
        return None, None


def _of_program(files: OwnedFiles, fd: int) -> SetIds:
    mode = os.fstat(fd).st_mode
    if not S_ISREG(mode) or not mode & (S_ISUID | S_ISGID) or not mode & 0o111 or not _is_binary(fd):
        return None, None
    owner = files.owner(fd) or ROOT
    # Without the right to execute, the bit for the group once meant mandatory locks.
    sets_group = mode & (S_ISGID | S_IXGRP) == S_ISGID | S_IXGRP
    return (owner.uid if mode & S_ISUID else None), (owner.gid if sets_group else None)


def _is_binary(fd: int) -> bool:
    """Return whether an open file is executed itself: of a script, the bits of the interpreter count."""
    with open(descriptor_path(fd), "rb", buffering=0) as file:
        return file.read(len(_ELF)) == _ELF
