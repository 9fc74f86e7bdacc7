"""What this host permits: which isolation works, and what to change so that a better one does."""

import os
from collections.abc import Collection, Mapping
from errno import EINVAL, ENOSPC, ENOSYS, EPERM
from functools import cached_property
from pathlib import Path

from pybuild.runtime.errors import SandboxUnavailable
from pybuild.runtime.kernel.capabilities import DEFAULT
from pybuild.runtime.kernel.syscalls import capget
from pybuild.runtime.sandbox import isolation
from pybuild.runtime.sandbox.cgroups import hierarchies
from pybuild.runtime.sandbox.interpreter import child_environment, program
from pybuild.runtime.sandbox.single_id import NEEDED
from pybuild.runtime.sandbox.subordinate_ids import IdMap, subordinate_ids
from pybuild.runtime.values import frozen, replace

TRIALS = ("namespaces", "overlay", "user", "root", "proc", "host name", "loopback")
"""The trials that `probe` makes by default. There is also ``supervisor``, for a filter with a listener."""
_CORE = frozenset({"namespaces", "overlay", "user"})


@frozen
class Privileges:
    """The result of `probe`. What was not tried is False.

    *rootful* is what `launcher.run` needs: namespaces and mounts, for root of the host or of the caller's user
    namespace. The id maps are those that `user_namespace.become_root` would use.
    """

    euid: int
    rootful: bool = False
    overlay: bool = False
    user_namespaces: bool = False
    missing: tuple[str, ...] = ()
    """The other trials that failed: ``root`` (pivot_root), ``proc``, ``host name``, ``loopback``, ``supervisor``."""
    uid_map: tuple[IdMap, ...] = ()
    gid_map: tuple[IdMap, ...] = ()
    controllers: frozenset[str] = frozenset()
    reason: str = ""
    hint: str = ""
    command: str = ""
    """The one that does what *hint* says; "" when there is none."""

    @property
    def sandbox(self) -> bool:
        """Whether a sandbox can be made. If not, *reason* and *hint* say why."""
        return self.rootful


def probe(ask: Collection[str] = TRIALS, *, rung: str = "root") -> Privileges:
    """Make the trials *ask* in a child process, and look up the id ranges and cgroup controllers of this user.

    With the *rung* ``userns`` or ``single`` the child becomes root of a user namespace first; if it cannot, *reason* of
    the result says why.
    """
    # In a process of its own: entering a user namespace cannot be undone, and takes a process without threads.
    errors, failure = _try(ask, rung)
    if failure is None and errors.get("namespaces"):
        failure = explain(errors["namespaces"])
    worked = {name for name, errno in errors.items() if errno == 0}
    return Privileges(
        euid=os.geteuid(),
        rootful="namespaces" in worked,
        overlay="overlay" in worked,
        user_namespaces="user" in worked,
        missing=tuple(name for name, errno in errors.items() if errno and name not in _CORE),
        uid_map=subordinate_ids(Path("/etc/subuid"), os.geteuid()),
        gid_map=subordinate_ids(Path("/etc/subgid"), os.getegid()),
        controllers=frozenset[str]().union(*(each.controllers for each in hierarchies())),
        reason=str(failure or ""),
        hint=failure.hint if failure else "",
        command=failure.command if failure else "",
    )


def _try(ask: Collection[str], rung: str = "root") -> tuple[dict[str, int], SandboxUnavailable | None]:
    lines = _printed(Path(__file__).with_name("probe.py"), rung, *ask, **{isolation.VARIABLE: rung})
    if lines and lines[0].startswith("! "):
        return {}, SandboxUnavailable(lines[0][2:], *lines[1:3])
    return _errors(lines), None


def _errors(lines: list[str]) -> dict[str, int]:
    return {name: int(errno) for errno, _, name in (line.partition(" ") for line in lines)}


def _printed(script: Path, *arguments: str, **variables: str) -> list[str]:
    """Return the lines that a program of trials prints."""
    import subprocess

    command = [program(), "-I", "-S", str(script), *arguments]
    # newuidmap is looked up in PATH. $PYBUILD_ISOLATION has the child make a user namespace even if it can mount.
    environment = {**child_environment(), "PATH": os.environ.get("PATH", os.defpath), **variables}
    null = subprocess.DEVNULL
    done = subprocess.run(command, env=environment, cwd="/", stdin=null, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


_CHROOT = Path(__file__).parents[1] / "chrooted" / "trial.py"
_NEEDED_BY_CHROOT = {
    "chroot": ("chroot(2) is refused", "a container with the capability SYS_CHROOT"),
    "filter": ("a filter of system calls is refused", "a kernel with seccomp filters"),
    "trace": ("ptrace(2) is refused", "a container whose filter permits ptrace, as Docker's does"),
    "programs": ("no program can be executed in the store", "a store on a volume without noexec"),
    "nodes": (
        "device nodes cannot be used in the store",
        "the capability MKNOD, and a store on a volume without nodev",
    ),
    "devices": ("steps could use all devices of the host", "a container, whose devices are controlled"),
}


def try_chroot_in(directory: Path) -> SandboxUnavailable | None:
    """Try isolation chroot on trees in *directory*; return why it does not work, None if it does."""
    if os.geteuid() != 0:
        return SandboxUnavailable(f"this is user {os.geteuid()}", "sudo pybuild ...")
    errors = _errors(_printed(_CHROOT, os.fspath(directory), *_NEEDED_BY_CHROOT))
    for name, (reason, needs) in _NEEDED_BY_CHROOT.items():
        if errors[name]:
            return SandboxUnavailable(reason, needs)
    return None


def explain(errno: int) -> SandboxUnavailable:
    """Return the error for the *errno* with which this host refuses namespaces or mounts."""
    if os.geteuid() != 0:
        reason = f"sandboxes need root, and this is user {os.geteuid()}"
        return SandboxUnavailable(reason, "sudo pybuild ...")
    if errno in {ENOSYS, EINVAL}:
        return SandboxUnavailable("this kernel lacks namespaces or the mount calls of Linux 5.12", "use a newer kernel")
    if errno == ENOSPC:
        reason = "the limit of namespaces of this host is reached"
        return SandboxUnavailable(reason, "raise /proc/sys/user/max_mnt_namespaces and max_pid_namespaces")
    return SandboxUnavailable(
        f"root may not make namespaces and mounts here ({os.strerror(errno or EPERM).lower()})",
        isolation.IN_CONTAINER,
    )


_OF_A_RUNG = ("namespaces", "overlay", "root", "proc", "host name", "loopback")

_IN_CONTAINER = {
    isolation.ROOT: "docker run --cap-add SYS_ADMIN ...",
    isolation.USERNS: isolation.UNCONFINED,
    isolation.SINGLE: isolation.UNCONFINED,
}
"""The option of docker run that each rung needs in a container. The hint of an error names all of them."""
_WITHOUT_DROPPED = {
    isolation.ROOT: "docker run without --cap-drop, and with --cap-add SYS_ADMIN",
    isolation.USERNS: "docker run without --cap-drop, and with --security-opt seccomp=unconfined",
    isolation.SINGLE: isolation.WITH_SETFCAP,
}
"""The same for root that lacks capabilities which Docker gives by default."""


@frozen
class Rung:
    """One rung: what its sandboxes lack here (*missing*), or *reason* and hint (*needs*) if it does not work."""

    name: str
    works: bool
    missing: tuple[str, ...] = ()
    overlay: bool = False
    reason: str = ""
    needs: str = ""


class Ladder:
    """The rungs of the ladder on this host. They are tried when `rungs` is read first."""

    def __init__(self, environment: Mapping[str, str] = os.environ, directory: Path | None = None) -> None:
        """Isolation chroot is tried in *directory*, by default that of temporary files.

        Raises SandboxUnavailable if *environment* wants an unknown isolation.
        """
        self.wanted = isolation.wanted(environment)
        self._directory = directory

    @cached_property
    def rungs(self) -> tuple[Rung, ...]:
        """All rungs, the best one first."""
        return (
            _root(),
            _tried(isolation.USERNS, probe(_OF_A_RUNG, rung=isolation.USERNS)),
            _single(),
            self._chroot(),
            Rung(name="none", works=True),
        )

    def _chroot(self) -> Rung:
        refusal = try_chroot_in(self._directory or _temporary())
        if refusal is None:
            return Rung(name=isolation.CHROOT, works=True)
        return Rung(name=isolation.CHROOT, works=False, reason=str(refusal), needs=refusal.hint)

    @property
    def used(self) -> Rung | None:
        """The rung on which commands run, None if what the user wants does not work."""
        automatic = ("root", "userns", "single", "chroot", "none")
        names = {isolation.AUTO: automatic, isolation.STRICT: ("root", "userns")}
        allowed = names.get(self.wanted, (self.wanted,))
        found = next((rung for rung in self.rungs if rung.works and rung.name in allowed), None)
        return None if found is not None and found.missing and self.wanted == isolation.STRICT else found


def _temporary() -> Path:
    import tempfile

    return Path(tempfile.gettempdir())


_INSTEAD = {"proc": "proc files"}
"""What a supervised step does without where others do without something else."""


def _root() -> Rung:
    if os.geteuid() != 0:
        return Rung(name="root", works=False, reason=f"this is user {os.geteuid()}", needs="sudo pybuild ...")
    return _tried(isolation.ROOT, probe(_OF_A_RUNG))


def _single() -> Rung:
    found = _tried(isolation.SINGLE, probe(tuple(dict.fromkeys((*_OF_A_RUNG, *NEEDED))), rung=isolation.SINGLE))
    lacking = [name for name in NEEDED if name in found.missing]
    if not lacking:
        return replace(found, missing=tuple(_INSTEAD.get(name, name) for name in found.missing))
    reason = f"no {NEEDED[lacking[0]]} is permitted here"
    return Rung(name=found.name, works=False, reason=reason, needs=isolation.UNCONFINED)


def _tried(name: str, found: Privileges) -> Rung:
    return Rung(
        name=name,
        works=found.rootful,
        missing=found.missing if found.rootful else (),
        overlay=found.overlay,
        reason=found.reason,
        needs=found.command or (_in_container(name) if found.hint == isolation.IN_CONTAINER else found.hint),
    )


def _in_container(name: str) -> str:
    dropped = os.geteuid() == 0 and DEFAULT & ~capget()[0]
    return (_WITHOUT_DROPPED if dropped else _IN_CONTAINER)[name]
