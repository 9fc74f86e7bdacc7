"""What the builder hands to the sandbox child, and what the child reports back."""

import os
from errno import EIO

from pybuild.runtime.errors import SandboxError
from pybuild.runtime.records import Record, decode
from pybuild.runtime.sandbox.inside.mounts import Mount
from pybuild.runtime.sandbox.inside.process import Process
from pybuild.runtime.sandbox.inside.root import Root
from pybuild.runtime.supervisor.values import Supervision

NAMESPACES = "make namespaces"
"""The operation whose failure means that this host permits no sandbox at all."""


NULL, PIPE, TERMINAL = b"null", b"pipe", b"terminal"
"""What the process gets for its stdin: nothing to read, a pipe of the builder's, a terminal for all three streams."""

HOST_NAME, LOOPBACK, OWN_ROOT, OWN_PROC = "host name", "loopback", "root", "proc"
PROC_FILES = "files of proc"
"""What a sandbox lacks on a host that does not permit it; `Status.report_lack` reports it by these names."""

RUN, DEFAULT_RUN, EXPECT = b"run", b"default", b"expect"
"""Messages to the fork server: run a plan; run one with the `DEFAULT_SETTINGS` by the spare child; expect N runs."""

END = 64
"""The signal on which the keeper ends everything inside. It forwards all others to the program.

It is SIGRTMAX, which `runtime.sandbox.signal_relay` therefore does not pass on.
"""


class Isolation(Record):
    """How strictly the process is kept from the host.

    An *insecure* one has all capabilities and no filter. *strict* makes it an error when the host does not permit one
    of the parts that `may_degrade` is about. With *supervision* the process has a supervisor, because its user
    namespace has one id only.
    """

    __slots__ = ("insecure", "strict", "supervision")

    def __init__(self, insecure: bool = False, strict: bool = False, supervision: Supervision | None = None) -> None:
        self.insecure, self.strict, self.supervision = insecure, strict, supervision

    @property
    def may_degrade(self) -> bool:
        """Whether the sandbox may run without pivot_root(2), where the host refuses it.

        Not with all capabilities, which would let the process leave such a sandbox. Not with a supervisor either, whose
        root is that of the process.
        """
        return not (self.strict or self.insecure or self.supervision is not None)


class SandboxNamespaces(Record):
    """The namespaces of the process, as far as they are not all new.

    *network* is the path of the network namespace to join, b"" for none; *private_network* makes an empty one. *shared*
    are the namespaces that stay those of the host (pid, ipc, uts, cgroup). *hostname* and *sysctls* (name, value) are
    parameters of the sandbox's own namespaces.
    """

    __slots__ = ("hostname", "network", "private_network", "shared", "sysctls")

    def __init__(
        self,
        hostname: bytes = b"",
        network: bytes = b"",
        private_network: bool = False,
        shared: tuple[bytes, ...] = (),
        sysctls: tuple[tuple[bytes, bytes], ...] = (),
    ) -> None:
        self.hostname, self.network, self.private_network = hostname, network, private_network
        self.shared, self.sysctls = shared, sysctls


class SandboxSettings(Record):
    """The environment of the process, apart from its root and its mounts.

    *cgroups* are the ``cgroup.procs`` files to join. *read_only* makes the root read-only, but not what is mounted in
    it. With *init* the program is the child of an init, which is pid 1 in its place.

    With *stdio* TERMINAL the child's standard input is a Unix socket, over which it sends the controlling end of the
    terminal. It continues when the builder has closed its own end of the socket.
    """

    __slots__ = ("cgroups", "init", "isolation", "namespaces", "read_only", "shm_size", "stdio")

    def __init__(  # noqa: PLR0917 - the wire passes slots by position
        self,
        cgroups: tuple[bytes, ...],
        init: bool,
        isolation: Isolation,
        namespaces: SandboxNamespaces,
        read_only: bool,
        shm_size: int,
        stdio: bytes,
    ) -> None:
        self.cgroups, self.init, self.isolation, self.namespaces = cgroups, init, isolation, namespaces
        self.read_only, self.shm_size, self.stdio = read_only, shm_size, stdio

    def prepared_settings(self) -> tuple[object, ...]:
        """Return the settings that `preparation.Preparation` applies: a spare keeper can run plans with the same."""
        around, strictness = self.namespaces, self.isolation
        joined = around.private_network, around.shared, around.network
        own = self.cgroups, self.shm_size, strictness.insecure, strictness.strict, *joined
        return own if strictness.supervision is None else (*own, strictness.supervision)


DEFAULT_SETTINGS = SandboxSettings((), False, Isolation(), SandboxNamespaces(), False, 64 << 20, NULL)
"""What a spare keeper prepares: the environment of a RUN without flags."""


class SandboxPlan(Record):
    """All that the child needs."""

    __slots__ = ("mounts", "process", "root", "settings")

    def __init__(
        self,
        mounts: tuple[Mount, ...],
        process: Process,
        root: Root,
        settings: SandboxSettings,
    ) -> None:
        self.root, self.mounts, self.settings, self.process = root, mounts, settings, process


def read_record(fd: int) -> Record:
    """Return what the builder wrote to *fd*, which stays open."""
    with open(fd, "rb", buffering=0, closefd=False) as file:
        file.seek(0)
        return decode(file.readall())


def read_plan(fd: int) -> SandboxPlan:
    """Return the plan that the builder wrote to *fd*, which stays open."""
    plan = read_record(fd)
    if not isinstance(plan, SandboxPlan):
        raise TypeError(type(plan))
    return plan


class Status:
    """The child's end of the status pipe. The process ends with the block in which this is used as a context manager.

    A message is five fields, each ended by NUL. The end of the pipe without a message means that the child was killed.

    *exec_channel* is the child's end of a Unix socket, -1 for none. A monitor receives a pidfd of the program over it,
    then "CODE reason" if the program cannot be executed. The exec itself closes the socket.
    """

    __slots__ = ("exec_channel", "fd")

    def __init__(self, fd: int, exec_channel: int = -1) -> None:
        self.fd, self.exec_channel = fd, exec_channel

    def __enter__(self) -> "Status":  # noqa: PYI034 - typing.Self costs the child an import of 7 ms
        return self

    def __exit__(self, _kind: object, error: object, _traceback: object) -> None:
        # Never a traceback: formatting one opens source files by their host names, inside the image (CVE-2019-14271).
        try:
            if isinstance(error, OSError):  # of a call that hardly fails: too many open files, no more processes
                path = os.fsdecode(error.filename) if isinstance(error.filename, (str, bytes)) else ""
                error = SandboxError("prepare the sandbox", path, error.errno or EIO, error.strerror or str(error))
            if isinstance(error, SandboxError):
                self._send("failed", error.operation, error.path, error.errno, error)
            elif isinstance(error, BaseException):
                self._send("crashed", type(error).__name__, "", 0, error)
        finally:
            # What happened is in the report, and nobody looks at the exit code.
            os._exit(0)

    def report_end(self, wait_status: int) -> None:
        """Report how the process ended."""
        self._send("ended", os.waitstatus_to_exitcode(wait_status), "", 0, "")

    def report_lack(self, what: str) -> None:
        """Report that the sandbox lacks *what*."""
        self._send("degraded", what, "", 0, "")

    def report_owner(self, line: bytes) -> None:
        """Report a file whose owner could not be recorded in it: inode, time of birth in ns, uid and gid."""
        self._send("owner", line.decode(), "", 0, "")

    def _send(self, *fields: object) -> None:
        # By one write: keeper, guard and process share the pipe, and messages must not mix (PIPE_BUF in pipe(7)).
        texts = (str(field).encode(errors="surrogateescape").replace(b"\0", b"") for field in fields)
        os.write(self.fd, b"".join(text + b"\0" for text in texts))


class Report:
    """One message, read back by the builder."""

    __slots__ = ("errno", "kind", "message", "path", "subject")

    def __init__(self, kind: str, subject: str, path: str, errno: int, message: str) -> None:
        self.kind, self.subject, self.path, self.errno, self.message = kind, subject, path, errno, message


def read_reports(data: bytes) -> list[Report]:
    """Return the complete messages in *data*."""
    fields = [field.decode(errors="surrogateescape") for field in data.split(b"\0")]
    groups = (fields[at : at + 5] for at in range(0, len(fields) - 5, 5))
    return [Report(kind, subject, path, int(errno), message) for kind, subject, path, errno, message in groups]
