"""The ids of a process after execve(2): a set-user-ID or set-group-ID program has those of its recorded owner.

The kernel executes the program, and finds its file anew. So if the caller changes the path meanwhile, or its call
fails after this, it is shown wrong ids, but gets no other rights.
"""

import os
from stat import S_ISGID, S_ISREG, S_ISUID, S_IXGRP

from pybuild.runtime.ownership.record import ROOT
from pybuild.runtime.supervisor.caller import Caller
from pybuild.runtime.supervisor.files import OwnedFiles, PathArguments, descriptor_path
from pybuild.runtime.supervisor.identities import Identities, after_exec

_ELF = b"\x7fELF"
SetIds = tuple[int | None, int | None]
"""The user and the group of a program, None for those of the process that executes it."""


def note_ids(caller: Caller, files: OwnedFiles, identities: Identities, at: PathArguments) -> None:
    """Give the process of *caller* the ids that it has as the program *at*. The kernel is to carry out the call."""
    now = identities.of(caller.call.tid)
    new = after_exec(now, *_set_ids(caller, files, at))
    # Most programs change nothing, and then the caller need not be checked.
    if (new.users, new.groups, new.keeps) != (now.users, now.groups, now.keeps):
        caller.check()
        identities.assign(caller.call.tid, new)


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
