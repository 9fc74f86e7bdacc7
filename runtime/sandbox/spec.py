"""What to run and in which surroundings: frozen values, no behaviour.

The sandbox takes one `Spec`. Host paths are opened by the parent or by the child before the root changes; targets are
paths inside the image and are resolved there, never on the host.
"""

from enum import Enum
from pathlib import Path, PurePosixPath

from pybuild.runtime.kernel.capabilities import DEFAULT
from pybuild.runtime.rootfs.roots import Root
from pybuild.runtime.values import frozen, positional


class Network(Enum):
    """The network of a process: the host's, none but a loopback, one that is handed over to a monitor, or its own.

    The last one is carried by a program of user space: `runtime.private_networks`.
    """

    HOST = "host"
    NONE = "none"
    GIVEN = "given"
    PRIVATE = "private"


@positional
class ExitStatus:
    """How a process ended; exactly one of the two is not None."""

    code: int | None = None
    signal: int | None = None

    @property
    def shell_code(self) -> int:
        """The number a shell would show: the exit code, or 128 plus the signal."""
        return self.code if self.code is not None else 128 + (self.signal or 0)


@frozen
class Process:
    """A program to start inside a root file system.

    *user* is ``name|uid[:name|gid]`` as an image config has it, "" for root; it is resolved with the root's own
    /etc/passwd and /etc/group. *cwd* is created by nobody: it must exist.
    """

    args: tuple[str, ...]
    env: tuple[tuple[str, str], ...] = ()
    cwd: str = "/"
    user: str = ""
    groups: tuple[str, ...] = ()
    """Names and numbers of groups beside those of the user."""
    oom_score_adj: int = 0
    """From -1,000, never killed for lack of memory, to 1,000, killed first."""


SHM_SIZE = 64 << 20
"""Bytes of ``/dev/shm`` unless something else is asked for, as in Docker."""


@frozen
class ResourceLimits:
    """Resource limits; sizes in bytes, None means inherited."""

    shm_size: int | None = None
    """None is `SHM_SIZE`."""
    ulimits: tuple[tuple[str, int, int], ...] = ()
    memory: int | None = None
    cpu_quota: int | None = None
    cpu_period: int | None = None
    cpu_shares: int | None = None
    memory_swap: int | None = None
    """Memory and swap together, -1 for no limit."""
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    cgroup_parent: str = ""
    """Path of the control group to make the sandbox's own in, "" for that of this process."""
    pids: int | None = None
    nano_cpus: int | None = None
    """Processors in billionths, in place of a quota."""
    memory_reservation: int | None = None
    swappiness: int | None = None
    blkio_weight: int | None = None
    """From 10 to 1,000."""
    oom_kill_disable: bool = False
    throttles: tuple[tuple[str, str, int, str], ...] = ()
    """(``read_bps`` and the like, "MAJOR:MINOR" of a disk, a number for each second, its path)."""


@frozen
class Bind:
    """A host file or directory at *target*. *host_path* must already be safe to open by its name."""

    host_path: Path
    target: PurePosixPath
    read_only: bool = True
    recursive: bool = True
    """With what is mounted below it."""
    movable: bool = False
    """It may be moved for the time of the run, where no mounts can be had: nobody else uses it meanwhile."""


@frozen
class BindRoot:
    """A directory or file *source* inside another root (a stage, an image, the build context) at *target*."""

    root: Root
    source: PurePosixPath
    target: PurePosixPath
    read_only: bool = True


@frozen
class Tmpfs:
    """An empty tmpfs at *target*; *size* in bytes, 0 for the kernel's default. *uid* and *gid* are of the sandbox.

    Without a *mode* it has that of the directory that it hides, as with runc, and 1777 where there is none.
    """

    target: PurePosixPath
    size: int = 0
    mode: int | None = None
    uid: int = 0
    gid: int = 0
    read_only: bool = False
    executable: bool = True
    """Programs on it may be run, as those that builds make under /tmp."""


@frozen
class FileMount:
    """A small read-only file made of *content*, on a tmpfs of its own: resolv.conf, hosts, heredoc scripts, secrets."""

    target: PurePosixPath
    content: bytes
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    secret: bool = False
    """Its content must not be on a disk, also where no mounts can be had."""


@frozen
class DeviceNode:
    """The device node *host_path* of the host at *target*; it can be read and written, and not be changed."""

    host_path: Path
    target: PurePosixPath


Mount = Bind | BindRoot | Tmpfs | FileMount | DeviceNode


@frozen
class Spec:
    """Everything that one sandbox needs."""

    root: Root
    process: Process
    mounts: tuple[Mount, ...] = ()
    network: Network = Network.HOST
    hostname: str = "buildkitsandbox"
    hosts: tuple[tuple[str, str], ...] = ()
    """Additional lines of /etc/hosts: (name, address)."""
    limits: ResourceLimits = ResourceLimits()
    insecure: bool = False
    """All capabilities, no seccomp filter, no masked paths."""
    capabilities: int = DEFAULT
    """Those that it has unless it is *insecure*, as far as this process has them."""
    seccomp: bytes | None = None
    """The program of the system-call filter: None for the usual one, b"" for none."""
    no_new_privileges: bool = False
    shared: tuple[str, ...] = ()
    """Namespaces of the host that the process is in: ipc, uts, cgroup."""
    sysctls: tuple[tuple[str, str], ...] = ()
    """Parameters of its own namespaces, by their names with dots or slashes, and their values."""
    read_only: bool = False
    """Nothing can be written in the root, but in what is mounted there."""
    init: bool = False
    """The program is the child of an init, which reaps what it leaves behind; otherwise it is pid 1 itself."""
    interactive: bool = False
    """The process reads what the caller has as standard input, instead of nothing."""
    terminal: bool = False
    """The process gets a terminal of its own. With *interactive*, what the caller has as standard input is typed into
    it, and a terminal that the caller has there is raw meanwhile."""
