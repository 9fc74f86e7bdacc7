"""What to run in a sandbox, and in which environment: frozen values without behaviour.

A sandbox is described by one `Spec`. Paths of the host are opened before the root changes. Targets are paths inside the
image and are resolved there, never on the host.
"""

from enum import Enum
from pathlib import Path, PurePosixPath

from pybuild.runtime.kernel.capabilities import DEFAULT
from pybuild.runtime.rootfs.roots import Root
from pybuild.runtime.values import frozen, positional


class Network(Enum):
    """The network of a process.

    HOST is that of the host, NONE has only a loopback interface, GIVEN is a namespace that a monitor gets, PRIVATE is
    one whose connections a program in user space carries: `runtime.private_networks`.
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
        """The status as a shell shows it: the exit code, or 128 plus the signal."""
        return self.code if self.code is not None else 128 + (self.signal or 0)


@frozen
class Process:
    """A program to start inside a root file system.

    *user* is ``name|uid[:name|gid]`` as in an image config, "" for root. It is looked up in /etc/passwd and /etc/group
    of the root. A missing *cwd* is created, for this user.
    """

    args: tuple[str, ...]
    env: tuple[tuple[str, str], ...] = ()
    cwd: str = "/"
    user: str = ""
    groups: tuple[str, ...] = ()
    """Names or numbers of groups, in addition to those of the user."""
    oom_score_adj: int = 0
    """From -1,000 (never killed for lack of memory) to 1,000 (killed first): see proc(5)."""


SHM_SIZE = 64 << 20
"""The default size of ``/dev/shm`` in bytes, as in Docker."""
NO_SHM = -1
"""In place of a size: there is no ``/dev/shm``."""


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
    """The path of the parent of the sandbox's control group, "" for the control group of this process."""
    pids: int | None = None
    nano_cpus: int | None = None
    """Processors in billionths, in place of a quota."""
    memory_reservation: int | None = None
    swappiness: int | None = None
    blkio_weight: int | None = None
    """From 10 to 1,000."""
    oom_kill_disable: bool = False
    throttles: tuple[tuple[str, str, int, str], ...] = ()
    """(``read_bps``, ``write_iops`` and so on, "MAJOR:MINOR" of a disk, the limit per second, the disk's path)."""


@frozen
class Bind:
    """A host file or directory at *target*. No part of *host_path* may be controlled by an image or a step."""

    host_path: Path
    target: PurePosixPath
    read_only: bool = True
    recursive: bool = True
    """Whether the mounts below it are included."""
    propagation: str = ""
    """What is mounted below it later is seen on the other side, too: ``shared``, ``slave``, or ``rshared`` and
    ``rslave`` for the mounts below as well; "" for private."""
    movable: bool = False
    """Whether isolation chroot may move it into the tree for the time of the run, since nobody else uses it."""


@frozen
class BindRoot:
    """A directory or file *source* inside another root (a stage, an image, the build context) at *target*."""

    root: Root
    source: PurePosixPath
    target: PurePosixPath
    read_only: bool = True


@frozen
class Tmpfs:
    """An empty tmpfs at *target*; *size* in bytes, 0 for the kernel's default. *uid* and *gid* are ids inside.

    Without a *mode* it has the mode of the directory below it, or 1777 if there is none, as with runc.
    """

    target: PurePosixPath
    size: int = 0
    mode: int | None = None
    uid: int = 0
    gid: int = 0
    read_only: bool = False
    executable: bool = True
    """Whether programs on it can be executed, as builds do under /tmp."""


@frozen
class FileSystem:
    """A file system of a device or a server at *target*, mounted for this sandbox alone. Only root of the host can.

    *kind*, *source* and *options* are what mount(8) is given, with one option in each item.
    """

    kind: str
    source: str
    options: tuple[str, ...]
    target: PurePosixPath
    read_only: bool = False


@frozen
class FileMount:
    """A small read-only file made of *content*, on a tmpfs of its own: resolv.conf, hosts, heredoc scripts, secrets."""

    target: PurePosixPath
    content: bytes
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    secret: bool = False
    """Whether isolation chroot, which has no mounts, must keep the content off the disk, too."""


@frozen
class DeviceNode:
    """The device node *host_path* of the host at *target*. The device can be read and written; chmod fails."""

    host_path: Path
    target: PurePosixPath


Mount = Bind | BindRoot | Tmpfs | FileSystem | FileMount | DeviceNode


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
    """The capabilities that it gets, as far as this process has them, unless it is *insecure*."""
    seccomp: bytes | None = None
    """The system-call filter as a BPF program: None for the default one, b"" for none."""
    no_new_privileges: bool = False
    shared: tuple[str, ...] = ()
    """The namespaces that stay those of the host: pid, ipc, uts, cgroup."""
    sysctls: tuple[tuple[str, str], ...] = ()
    """(name, value) of kernel parameters of its own namespaces. Names have dots or slashes."""
    read_only: bool = False
    """Whether the root is read-only. What is mounted in it is not affected."""
    init: bool = False
    """Whether pid 1 is an init that starts the program and reaps orphans. Otherwise the program is pid 1."""
    interactive: bool = False
    """Whether the process reads the standard input of the caller, and not /dev/null."""
    terminal: bool = False
    """Whether the process gets a new terminal.

    With *interactive*, the standard input of the caller is typed into it; a terminal there is in raw mode then.
    """
