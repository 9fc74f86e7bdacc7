"""Flags about namespaces of a container, and what is set in them. Raises RequestError."""

import re

from pybuild.builder.cli.flags.group import option
from pybuild.builder.containers.config import Namespaces
from pybuild.builder.errors import RequestError
from pybuild.builder.networks.values import CONTAINER
from pybuild.runtime.values import frozen

_IPC, _UTS, _CGROUP = ("", "private", "shareable", "none", "host"), ("", "host"), ("", "private", "host")
_PID = ("", "host")
_SYSCTL = re.compile(r"[a-z0-9_]+(?:[./][a-zA-Z0-9_-]+)+", re.ASCII)
# What Docker permits of "kernel.": the parameters that each IPC namespace has of its own (ipc_namespaces(7)).
_OF_IPC = frozenset(
    {"kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem", "kernel.shmall", "kernel.shmmax"}
    | {"kernel.shmmni", "kernel.shm_rmid_forced"}
)
_SCORES = range(-1000, 1001)


@frozen
class NamespaceFlags:
    """Which namespaces of the host a container shares, and what is set in its own."""

    ipc: str | None = option(
        "--ipc", metavar="MODE", help="IPC namespace: private (default), shareable, none, host, container:NAME."
    )
    uts: str | None = option("--uts", metavar="MODE", help="UTS namespace: host, or one of the container (default).")
    cgroupns: str | None = option("--cgroupns", metavar="MODE", help="Cgroup namespace: private (default) or host.")
    userns: str | None = option("--userns", metavar="MODE", help="User namespace: host, which is the default.")
    pid: str | None = option("--pid", metavar="MODE", help="PID namespace: host, container:NAME, or one of its own.")
    sysctls: tuple[str, ...] = option(
        "--sysctl",
        multiple=True,
        metavar="NAME=VALUE",
        help="Set a kernel parameter of the container's namespaces; repeatable.",
    )
    domainname: str | None = option("--domainname", metavar="NAME", help="NIS domain name of the container.")
    oom_score_adj: int = option(
        "--oom-score-adj", type=int, default=0, metavar="NUMBER", help="Preference of the OOM killer, -1000 to 1000."
    )

    def check(self) -> None:
        """Raise RequestError for what docker itself refuses, before its daemon."""
        _one_of_or_container("pid", self.pid, _PID, "invalid PID mode")
        _one_of("uts", self.uts, _UTS, "invalid UTS mode")
        _one_of("cgroupns", self.cgroupns, _CGROUP, "invalid cgroup namespace mode")
        _one_of("userns", self.userns, ("", "host"), "invalid USER mode")
        for text in self.sysctls:
            _check_sysctl(text)

    def namespaces(self, *, host_network: bool, hostname: str | None) -> Namespaces:
        """Return them. A host name, and parameters of a network, need a namespace for them."""
        self.check()
        _one_of_or_container("ipc", self.ipc, _IPC, "invalid IPC mode")
        if self.uts == "host" and (hostname or self.domainname):
            raise RequestError("conflicting options: hostname and the UTS mode")
        if self.oom_score_adj not in _SCORES:
            raise RequestError(
                f"Invalid value {self.oom_score_adj}, range for oom score adj is [-1000, 1000]", hint="0 is the default"
            )
        shared = (("pid", self.pid), ("ipc", self.ipc), ("uts", self.uts), ("cgroup", self.cgroupns))
        return Namespaces(
            shared=tuple(name for name, mode in shared if mode == "host"),
            ipc=self.ipc or "private",
            pid=self.pid or "",
            userns=self.userns or "",
            sysctls=tuple(self._sysctl(text, host_network=host_network) for text in self.sysctls),
            domainname=self.domainname or "",
            oom_score_adj=self.oom_score_adj,
        )

    def _sysctl(self, text: str, *, host_network: bool) -> tuple[str, str]:
        name, _, value = text.partition("=")
        plain = name.replace("/", ".")
        if plain.startswith("net.") and host_network:
            raise RequestError(
                f"sysctl {name!r} not allowed in host network namespace", hint="--network none or bridge"
            )
        if (plain in _OF_IPC or plain.startswith("fs.mqueue.")) and self.ipc == "host":
            raise RequestError(f"sysctl {name!r} is not allowed in the host's IPC namespace")
        return name, value


def _check_sysctl(text: str) -> None:
    name, mark, _ = text.partition("=")
    plain = name.replace("/", ".")
    if not mark or not _SYSCTL.fullmatch(name):
        raise RequestError(f"invalid sysctl {text!r}", hint="write it as net.ipv4.ip_forward=1")
    if not (plain in _OF_IPC or plain.startswith(("net.", "fs.mqueue."))):
        raise RequestError(
            f"invalid argument {text!r} for --sysctl: sysctl '{text}' is not allowed",
            hint="a container has kernel.msg*, kernel.sem, kernel.shm*, fs.mqueue.* and net.* of its own",
        )


def _one_of(flag: str, given: str | None, known: tuple[str, ...], text: str, *others: str) -> None:
    if (given or "") not in known:
        names = ", ".join(filter(None, (*known, *others)))
        raise RequestError(f"--{flag}: {text}: {given}", hint=f"there is {names}")


def _one_of_or_container(flag: str, given: str | None, known: tuple[str, ...], text: str) -> None:
    mode = given or ""
    if not mode.startswith(CONTAINER) or mode == CONTAINER:
        _one_of(flag, given, known, text, f"{CONTAINER}NAME")
