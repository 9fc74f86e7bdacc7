"""An ordinary user becomes root of a user namespace of its own: the first step of everything without real root.

Inside, the user is 0 and its subordinate ids (/etc/subuid, /etc/subgid) are 1 and up, so that a root file system can
have its owners. Mounts, namespaces and chown work as for root; device nodes cannot be made, and what belongs to other
users of the host shows as 65534. Only the programs newuidmap and newgidmap may write such maps; they are set-user-id
and hold what is asked for against the two files.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from errno import EINVAL, ENOSPC, EPERM
from pathlib import Path

from pybuild.runtime.errors import SandboxUnavailable
from pybuild.runtime.kernel.syscalls import CLONE_NEWNS, CLONE_NEWUSER, unshare
from pybuild.runtime.sandbox.privileges import IdMap, subordinate_ids

_LEAST = 65536
"""Ids that an ordinary image uses; with fewer, the first file of "nobody" would fail in the middle of a build."""
_AT_THE_START = "enter it at the start of the program"
_WRITERS = (("newuidmap", Path("/etc/subuid")), ("newgidmap", Path("/etc/subgid")))


def become_root() -> None:
    """Move this process, which must have one thread only, to a user namespace in which it is root; once, and for good.

    Does nothing for root. Child processes are inside too, and see the same files.

    Raises:
        SandboxUnavailable: there is another thread or an event loop, the user has too few subordinate ids, a program is
            missing, or the kernel refuses.
    """
    if os.geteuid() == 0:
        return
    commands = [
        _command(name, path, own) for (name, path), own in zip(_WRITERS, (os.geteuid(), os.getegid()), strict=True)
    ]
    _need_one_thread()
    start, go = os.pipe2(os.O_CLOEXEC)
    writer = os.fork()
    if writer == 0:
        os.close(go)
        _write_maps(start, commands)
    os.close(start)
    try:
        _unshare()
        os.write(go, b"1")
    finally:
        os.close(go)
        status = os.waitpid(writer, 0)[1]
    if status:
        raise SandboxUnavailable(
            "newuidmap or newgidmap could not give this process its ids",
            "see the message above; both must be set-user-id root (package uidmap or shadow-utils)",
        )
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)
    os.setgroups([])


def _need_one_thread() -> None:
    """Refuse what the kernel would refuse, before the fork: a child of several threads may wait for a lock for ever.

    An event loop has threads sooner or later, and its own that starts a moment later would be outside.
    """
    if "asyncio" in sys.modules and _has_event_loop():
        raise SandboxUnavailable("a process with a running event loop cannot enter a user namespace", _AT_THE_START)
    with suppress(FileNotFoundError):
        if len(os.listdir("/proc/self/task")) > 1:
            raise _several_threads()


def _has_event_loop() -> bool:
    import asyncio

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _several_threads() -> SandboxUnavailable:
    return SandboxUnavailable("a process of several threads cannot enter a user namespace", _AT_THE_START)


def _command(name: str, file: Path, own: int) -> list[str]:
    program = shutil.which(name)
    if program is None:
        raise SandboxUnavailable(
            f"builds by user {os.geteuid()} need the program {name}",
            "install it (package uidmap on Debian and Ubuntu, shadow-utils on Fedora), or run the build as root",
        )
    maps = subordinate_ids(file, own)
    if sum(each.count for each in maps) <= _LEAST:
        user = os.geteuid()
        raise SandboxUnavailable(
            f"user {user} has no {_LEAST} subordinate ids in {file}",
            'as root: "usermod --add-subuids 100000-165535 --add-subgids 100000-165535 NAME"',
        )
    return [program, str(os.getpid()), *_numbers(maps)]


def _numbers(maps: Sequence[IdMap]) -> list[str]:
    return [str(number) for each in maps for number in (each.inside, each.outside, each.count)]


def _write_maps(start: int, commands: Sequence[Sequence[str]]) -> None:
    """Be the process that stays outside: wait until the namespace is there, write both maps, end."""
    failed = 1
    try:
        if os.read(start, 1):
            failed = int(any(subprocess.run(command, check=False).returncode for command in commands))
    finally:
        os._exit(failed)


def _unshare() -> None:
    try:
        # A mount namespace belongs to the user namespace in which it is made: without one of its own, no mounts.
        unshare(CLONE_NEWUSER | CLONE_NEWNS)
    except OSError as error:
        raise _explain(error.errno or EPERM) from error


def _explain(errno: int) -> SandboxUnavailable:
    if errno == ENOSPC:
        return SandboxUnavailable(
            "user namespaces are switched off, or their limit is reached", "raise /proc/sys/user/max_user_namespaces"
        )
    if errno == EINVAL:
        return _several_threads()
    return SandboxUnavailable(
        f"this host lets user {os.geteuid()} make no user namespace ({os.strerror(errno).lower()})",
        "set kernel.apparmor_restrict_unprivileged_userns=0 or kernel.unprivileged_userns_clone=1 where these exist;"
        " inside a container, take its seccomp profile off, or run the build as root",
    )
