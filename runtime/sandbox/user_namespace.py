"""Makes an ordinary user root of a user namespace of its own, which everything without real root needs first.

Inside, the user is 0, and its subordinate ids (/etc/subuid, /etc/subgid) are 1 and up, so that files of a rootfs can
have their owners. Mounts, namespaces and chown work as for root. Device nodes cannot be made, and files of other users
of the host appear to belong to 65534. Only the programs newuidmap and newgidmap may write such maps: they are
set-user-id or have capabilities, and compare the maps with the two files.
"""

import os
import shutil
import socket
import stat
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from pybuild.runtime.advice import as_root, installing, permitting_namespaces
from pybuild.runtime.errors import SandboxUnavailable, kernel_reason
from pybuild.runtime.sandbox import isolation
from pybuild.runtime.sandbox.entering import enter, need_one_thread
from pybuild.runtime.sandbox.single_id import map_own_id, map_own_id_if_supervised
from pybuild.runtime.sandbox.subordinate_ids import IdMap, free_range, subordinate_ids

MapWriter = Callable[[], str]
"""Writes one map of a process in a new user namespace. Returns why it failed, "" for success."""
_LEAST = 65536
"""Subordinate ids that images expect: with fewer, a build would fail at the first file of "nobody" (65534)."""
_WRITTEN, _LONGEST = "written", 1000
_ROOT_UNMAPPED = ("root may not give ids to a user namespace", "docker run without --cap-drop of SETUID and SETGID")
_WRITERS = (("newuidmap", Path("/etc/subuid")), ("newgidmap", Path("/etc/subgid")))


def become_root(*, may_be_single: bool = False) -> None:
    """Move this process, which must have one thread only, to a user namespace in which it is root, irrevocably.

    Does nothing if it can mount already. With *may_be_single*, if the user cannot have other ids and `isolation` is
    ``auto``, the namespace has the user's own id only; functions of `os` then show recorded owners
    (`runtime.ownership`).

    Raises:
        SandboxUnavailable: there is another thread or an event loop, too few ids, a program is missing, or the kernel
            refuses.
    """
    if isolation.is_direct():
        return
    isolation.check_namespace()
    user, group = os.geteuid(), os.getegid()
    if isolation.wanted() == isolation.SINGLE:
        need_one_thread()
        enter()
        map_own_id(user, group)
        return
    try:
        _become_root_of_many(user)
    except SandboxUnavailable as refusal:
        if not may_be_single or isolation.wanted() != isolation.AUTO:
            raise
        need_one_thread()
        if not map_own_id_if_supervised(user, group, enter):
            raise
        isolation.note_single_id(refusal)


def _become_root_of_many(user: int) -> None:
    maps = _own_maps() if user == 0 else _maps_of_programs()
    need_one_thread()
    here, there = socket.socketpair()
    # Forked before this process enters the namespace, because the maps are written by a process outside of it.
    writer = os.fork()
    if writer == 0:
        here.close()
        _write_maps(there, maps)
    there.close()
    try:
        with here:
            enter()
            here.sendall(b"1")
            refusal = here.recv(_LONGEST).decode(errors="replace")
    finally:
        os.waitpid(writer, 0)
    if refusal != _WRITTEN:
        raise _mapping_error(user, refusal) if user else SandboxUnavailable(*_ROOT_UNMAPPED)
    try:
        os.setresgid(0, 0, 0)
        os.setresuid(0, 0, 0)
        if user:
            os.setgroups([])
    except PermissionError as error:
        # AppArmor can take the rights of root in a namespace away.
        reason = f"root of a user namespace has no rights on this host ({kernel_reason(error)})"
        command = permitting_namespaces()
        raise SandboxUnavailable(reason, command or isolation.IN_CONTAINER, command) from None
    isolation.note_entered()


def _maps_of_programs() -> list[MapWriter]:
    ids = os.geteuid(), os.getegid()
    return [partial(_run, _command(name, path, own)) for (name, path), own in zip(_WRITERS, ids, strict=True)]


def _own_maps() -> list[MapWriter]:
    """Return the writers for root, who keeps all its ids and may write the maps itself (CAP_SETUID, CAP_SETGID)."""
    me = os.getpid()
    return [partial(_write, f"/proc/{me}/{name}", _same(Path("/proc/self", name))) for name in ("gid_map", "uid_map")]


def _same(path: Path) -> str:
    """Return a map of all ids of this namespace to themselves.

    Root has a line of its own, so that the text differs from the host's map, by which sets of snapshots are chosen.
    """
    text = ""
    for line in path.read_text(encoding="ascii").splitlines():
        first, count = map(int, line.split()[::2])
        parts = ((0, 1), (1, count - 1)) if first == 0 else ((first, count),)
        text += "".join(f"{start} {start} {length}\n" for start, length in parts if length)
    return text


def _write(path: str, text: str) -> str:
    try:
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
    except OSError as error:
        return error.strerror or "refused"
    return ""


def _run(command: Sequence[str]) -> str:
    # In English, because `_mapping_error` looks at what the program says.
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
    done = subprocess.run(command, check=False, env=environment, capture_output=True, text=True, errors="replace")
    return (done.stderr.strip() or f"{command[0]} failed") if done.returncode else ""


def _mapping_error(user: int, refusal: str) -> SandboxUnavailable:
    """Return the error for newuidmap or newgidmap that failed with *refusal*, with a hint on what they lack here."""
    reason = f"user {user} could not be given its ids: {refusal or 'the process that does it was killed'}"
    if _no_new_privileges():
        return SandboxUnavailable(
            reason, "docker run without no-new-privileges, in a pod allowPrivilegeEscalation: true"
        )
    found = {name: shutil.which(name) or name for name, _ in _WRITERS}
    if not all(os.stat(path).st_mode & stat.S_ISUID or _has_capabilities(path) for path in found.values()):
        return _to_change(reason, f"chmod u+s {' '.join(found.values())}")
    if "map failed" in refusal:
        # As root, by its set-user-ID bit, it would need CAP_SYS_ADMIN, which root in a container lacks. With file
        # capabilities it stays the user, who owns the namespace and needs no more (user_namespaces(7)).
        uid, gid = found.values()
        return _to_change(reason, f"setcap cap_setuid=ep {uid} && setcap cap_setgid=ep {gid}")
    return SandboxUnavailable(reason, "compare /etc/subuid and /etc/subgid with that")


def _to_change(reason: str, command: str) -> SandboxUnavailable:
    return SandboxUnavailable(reason, f"as root: {command}", as_root(command))


def _no_new_privileges() -> bool:
    with suppress(OSError):  # no /proc: the hint is a more general one
        return "NoNewPrivs:\t1" in Path("/proc/self/status").read_text(encoding="utf-8", errors="replace")
    return False


def _has_capabilities(program: str) -> bool:
    try:
        return bool(os.getxattr(program, "security.capability"))
    except OSError:  # ENODATA: it has none
        return False


def _command(name: str, file: Path, own: int) -> list[str]:
    program = shutil.which(name)
    if program is None:
        raise SandboxUnavailable(
            f"builds by user {os.geteuid()} need the program {name}",
            "install it (package uidmap on Debian and Ubuntu, shadow-utils on Fedora), or run the build as root",
            installing("uidmap"),
        )
    maps = subordinate_ids(file, own)
    if sum(each.length for each in maps) < _LEAST:
        free = free_range(_LEAST, *(path for _, path in _WRITERS))
        reason = f"user {os.geteuid()} has no {_LEAST - 1} subordinate ids in {file}"
        raise _to_change(reason, f"usermod --add-subuids {free} --add-subgids {free} {_name()}")
    return [program, str(os.getpid()), *_numbers(maps)]


def _name() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:  # a user without a line in /etc/passwd, as in containers
        return str(os.geteuid())


def _numbers(maps: Sequence[IdMap]) -> list[str]:
    return [str(number) for each in maps for number in (each.inside, each.outside, each.length)]


def _write_maps(channel: socket.socket, maps: Sequence[MapWriter]) -> None:
    """Run as a child that stays outside: wait until the namespace is there, write both maps, report, and exit."""
    try:
        if channel.recv(1):
            channel.sendall((next(filter(None, (write() for write in maps)), "") or _WRITTEN)[:_LONGEST].encode())
    finally:
        os._exit(0)
