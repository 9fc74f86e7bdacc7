"""What this host permits: whether a sandbox can be made, by which means, and what to change when it cannot."""

import os
from collections.abc import Collection
from dataclasses import dataclass
from errno import EINVAL, ENOSPC, ENOSYS, EPERM
from pathlib import Path

from pybuild.runtime.errors import SandboxUnavailable
from pybuild.runtime.sandbox.cgroups import hierarchies
from pybuild.runtime.sandbox.interpreter import child_environment, program
from pybuild.runtime.values import frozen

TRIALS = ("namespaces", "overlay", "user")


@dataclass(frozen=True, slots=True)
class IdMap:
    """*count* ids from *inside* on are those of the host from *outside* on."""

    inside: int
    outside: int
    count: int


@frozen
class Privileges:
    """The answer of `probe`. What was not asked for is False.

    *rootful* is what `launcher.run` needs: namespaces and mounts, by root of the host or of the user namespace that the
    caller is in. The id maps are those that `user_namespace.become_root` would get.
    """

    euid: int
    rootful: bool = False
    overlay: bool = False
    user_namespaces: bool = False
    uid_map: tuple[IdMap, ...] = ()
    gid_map: tuple[IdMap, ...] = ()
    controllers: frozenset[str] = frozenset()
    reason: str = ""
    hint: str = ""

    @property
    def sandbox(self) -> bool:
        """Whether a sandbox can be made; if not, *reason* and *hint* say more."""
        return self.rootful


def probe(ask: Collection[str] = TRIALS) -> Privileges:
    """Try out what is in *ask* (see TRIALS) in a child process, and read what id ranges and cgroups there are."""
    errors = _try(ask)
    worked = {name for name, errno in errors.items() if errno == 0}
    failure = explain(errors["namespaces"]) if errors.get("namespaces") else None
    return Privileges(
        euid=os.geteuid(),
        rootful="namespaces" in worked,
        overlay="overlay" in worked,
        user_namespaces="user" in worked,
        uid_map=subordinate_ids(Path("/etc/subuid"), os.geteuid()),
        gid_map=subordinate_ids(Path("/etc/subgid"), os.getegid()),
        controllers=frozenset[str]().union(*(each.controllers for each in hierarchies())),
        reason=str(failure or ""),
        hint=failure.hint if failure else "",
    )


def _try(ask: Collection[str]) -> dict[str, int]:
    import subprocess

    script = str(Path(__file__).with_name("probe.py"))
    command = [program(), "-I", "-S", script, *ask]
    done = subprocess.run(command, env=child_environment(), cwd="/", capture_output=True, text=True, check=True)
    return {name: int(errno) for name, errno in (line.split() for line in done.stdout.splitlines())}


def explain(errno: int) -> SandboxUnavailable:
    """Return the error for a host that refuses namespaces or mounts with *errno*."""
    if os.geteuid() != 0:
        reason = f"sandboxes need root, and this is user {os.geteuid()}"
        return SandboxUnavailable(
            reason, "begin with pybuild.runtime.sandbox.user_namespace.become_root(), or run the build as root"
        )
    if errno in {ENOSYS, EINVAL}:
        return SandboxUnavailable("this kernel lacks namespaces or the mount calls of Linux 5.12", "use a newer kernel")
    if errno == ENOSPC:
        reason = "the limit of namespaces of this host is reached"
        return SandboxUnavailable(reason, "raise /proc/sys/user/max_mnt_namespaces and max_pid_namespaces")
    return SandboxUnavailable(
        f"root may not make namespaces and mounts here ({os.strerror(errno or EPERM).lower()})",
        "inside a container, give it CAP_SYS_ADMIN and no seccomp or AppArmor profile (docker run --privileged)",
    )


def subordinate_ids(path: Path, own: int) -> tuple[IdMap, ...]:
    """Return the map that *path* (/etc/subuid, /etc/subgid) allows this user: itself as 0, then the ranges."""
    maps = [IdMap(0, own, 1)]
    for start, count in _ranges(path):
        maps.append(IdMap(maps[-1].inside + maps[-1].count, start, count))
    return tuple(maps)


def _ranges(path: Path) -> list[tuple[int, int]]:
    import pwd

    uid = os.geteuid()
    try:
        names = {str(uid), pwd.getpwuid(uid).pw_name}
    except KeyError:
        names = {str(uid)}
    try:
        lines = [line.split(":") for line in path.read_text().splitlines()]
    except OSError:  # no file, no ranges
        return []
    return [(int(fields[1]), int(fields[2])) for fields in lines if len(fields) == 3 and fields[0] in names]
