"""The small values that a request is made of: an output, a secret, a limit."""

from pathlib import Path, PurePosixPath
from typing import ClassVar

from pybuild.builder.request import checks
from pybuild.runtime.values import fields, frozen

EPOCH = "SOURCE_DATE_EPOCH"
"""The build argument, and the variable, that sets the time of an image."""


def seconds_of(text: str) -> int | None:
    """Return the seconds since 1970 that *text* is; None when it names something that has a time, or is empty."""
    # The latest time has 12 digits, and int() raises ValueError for more than 4300.
    is_time = text.isascii() and text.isdigit() and len(text) <= 12 and int(text) <= checks.LATEST
    return int(text) if is_time else None


@frozen
class Compression:
    """How new layers are compressed: ``gzip``, ``zstd`` or ``uncompressed``; level None is the default of each."""

    algorithm: str = "gzip"
    level: int | None = None

    def __post_init__(self) -> None:
        checks.types(self)
        checks.compression(self.algorithm, self.level)


@frozen
class Shape:
    """How an image is written: Docker's media types or OCI's, and how all of its layers are compressed, base included.

    *compression* None leaves each layer as it is.
    """

    docker: bool = False
    compression: Compression | None = None

    def __post_init__(self) -> None:
        checks.types(self)


@frozen
class Stored:
    """What the store keeps of a build besides its cache.

    *canonical* adds a name with the digest of the image. *dangling* is the full name that an image without a name gets,
    with its digest.
    """

    image: bool = True
    shape: Shape = Shape()
    canonical: bool = False
    dangling: str = ""
    epoch: int | None = None
    """The time of the image, in seconds, whatever SOURCE_DATE_EPOCH says."""
    rewrite: bool = False
    """There must be a time, given here or by SOURCE_DATE_EPOCH."""

    def __post_init__(self) -> None:
        checks.types(self)
        checks.epoch("source-date-epoch", self.epoch)


class Output:
    """One ``-o``: where the image goes besides the store. `builder.outputs.kinds` has the class of each kind.

    The properties that a build needs of an output are declared here, so that no phase has to know all kinds.
    """

    __slots__ = ()

    one_platform: ClassVar[str] = ""
    """Docker's message when a kind that takes one image gets those of several platforms."""
    writes_image: ClassVar[bool] = True
    """Whether it writes the image itself, and so has a field `shape`."""
    rootfs: ClassVar[str] = ""
    """The type of a kind that writes the rootfs, and takes one target only."""
    together: ClassVar[bool] = False
    """The images of several targets are written at once, when all of them exist."""
    pushes: ClassVar[bool] = False

    def __post_init__(self) -> None:
        checks.types(self)

    def check(self) -> None:
        """Raise what would make writing fail at the end of the build, as far as it can be known before."""

    @property
    def shape(self) -> Shape:
        """How the image is written, if it is."""
        return Shape()

    @property
    def file(self) -> Path | None:
        """The file that is written, None when it is not one."""
        return None

    @property
    def streams(self) -> bool:
        """Whether it goes to standard output."""
        return False

    @property
    def emptied(self) -> Path | None:
        """The directory that is emptied before it is written to."""
        return None


@frozen
class Secret:
    """What ``RUN --mount=type=secret`` gives to a step: the content of a file, or of an environment variable.

    One of *file* and *variable* is set.
    """

    id: str
    file: Path | None = None
    variable: str = ""

    def __post_init__(self) -> None:
        checks.types(self)
        checks.secret(self.id, self.file, self.variable)


@frozen
class Resources:
    """Limits of every RUN, in bytes and microseconds; None means no limit. They are part of no key."""

    shm_size: int | None = None
    ulimits: tuple[tuple[str, int, int], ...] = ()
    """(name, soft, hard)."""
    memory: int | None = None
    cpu_quota: int | None = None
    cpu_period: int | None = None
    cpu_shares: int | None = None
    memory_swap: int | None = None
    """Memory and swap together, -1 for no limit."""
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    cgroup_parent: str = ""
    """Path of the parent cgroup of the steps; "" for the builder's own."""
    pids: int | None = None

    def __post_init__(self) -> None:
        checks.types(self)
        if any(getattr(self, each.name) != each.default for each in fields(self)):
            # Imported here: most builds have no limits.
            from pybuild.builder.request.limits import check

            check(self)


@frozen
class Volume:
    """A file or directory of the host that each RUN sees at *target*. It is part of no key and of no layer."""

    host_path: Path
    target: PurePosixPath
    read_only: bool = False

    def __post_init__(self) -> None:
        checks.types(self)
        checks.mount_target(self.target)


@frozen
class Device:
    """A device node of the host that each RUN has at *target*, to read and to write."""

    host_path: Path
    target: PurePosixPath

    def __post_init__(self) -> None:
        checks.types(self)
        checks.mount_target(self.target)


@frozen
class Rights:
    """What the process of each RUN may do, as far as that is not usual. It is part of no key."""

    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    """As `capabilities.named` returns them."""
    groups: tuple[str, ...] = ()
    """Names and numbers of groups beside those of the user."""
    devices: tuple[Device, ...] = ()
    seccomp: str | None = None
    """A profile in Docker's JSON, "" for no filter, None for the usual filter."""
    no_new_privileges: bool = False
    env: tuple[tuple[str, str], ...] = ()
    """Variables that a device wants."""
    volumes: tuple[Volume, ...] = ()
    """Files of the host that a device wants."""

    def __post_init__(self) -> None:
        checks.types(self)


class CacheSpec:
    """One ``--cache-from`` or ``--cache-to``. `builder.caches.places` has the class of each kind."""

    __slots__ = ()

    inline: ClassVar[bool] = False
    """Whether it is written into the config of the image."""

    @property
    def pinned(self) -> bool:
        """Whether it is one that is there already, by its digest, and so cannot be written."""
        return False


@frozen
class Annotation:
    """An annotation of the manifest of an image, for one platform or all (""), or of the index above it."""

    kind: str
    platform: str = ""
    key: str
    value: str

    def __post_init__(self) -> None:
        checks.types(self)
        checks.annotation_kind(self.kind)
        checks.annotation(self.kind, self.platform, self.key, self.value)


@frozen
class Target:
    """One of several targets: a stage and the names of its image."""

    stage: str
    tags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        checks.types(self)
        checks.stage(self.stage)
        checks.tags(self.tags)
