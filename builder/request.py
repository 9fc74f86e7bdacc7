"""What the user asked for: one frozen value, complete before anything runs."""

from pathlib import Path, PurePosixPath
from typing import ClassVar

from pybuild.runtime.values import frozen


@frozen
class Compression:
    """How new layers are compressed: ``gzip``, ``zstd`` or ``uncompressed``; level None is the default of each."""

    algorithm: str = "gzip"
    level: int | None = None


@frozen
class Shape:
    """How an image is written: Docker's media types or OCI's, and how all of its layers are compressed, base included.

    *compression* None leaves each layer as it is.
    """

    docker: bool = False
    compression: Compression | None = None


@frozen
class Stored:
    """What the store keeps of a build beside its cache.

    *canonical* also names the image by its digest; one without any name gets such a one from the full name *dangling*.
    """

    image: bool = True
    shape: Shape = Shape()
    canonical: bool = False
    dangling: str = ""
    epoch: int | None = None
    """The time of the image, in seconds, whatever SOURCE_DATE_EPOCH says."""
    rewrite: bool = False
    """There must be such a time."""


class Output:
    """One ``-o``: where the image goes besides the store. `builder.outputs.kinds` has the class of each kind.

    What a build asks of an output of any kind stands here, so that none of its phases needs to know them all.
    """

    __slots__ = ()

    one_platform: ClassVar[str] = ""
    """What Docker says when a kind that takes one image is to take those of several platforms."""
    rootfs: ClassVar[str] = ""
    """The type of a kind that writes the rootfs in place of the image, and takes that of one target only."""
    together: ClassVar[bool] = False
    """The images of several targets go to it at once, when all of them are there."""
    pushes: ClassVar[bool] = False

    @property
    def shape(self) -> Shape:
        """How the image is written; of no matter where its files are."""
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
    """What ``RUN --mount=type=secret`` gives to a step: the content of a file, or of an environment variable."""

    id: str
    file: Path | None = None
    variable: str = ""


@frozen
class Resources:
    """Limits of every RUN, in bytes and microseconds; None means no limit of our own. They are part of no key."""

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
    """Path of the group that those of the steps are made in; "" for the builder's own."""
    pids: int | None = None


@frozen
class Volume:
    """A file or folder of the host that each RUN sees at *target*. It is part of no key and of no layer."""

    host_path: Path
    target: PurePosixPath
    read_only: bool = False


@frozen
class CacheSpec:
    """One ``--cache-from`` or ``--cache-to``: *type* is local, registry or inline, the options are as written."""

    type: str
    options: tuple[tuple[str, str], ...] = ()

    def option(self, key: str) -> str:
        """Return the value of an option, "" when it is not given."""
        return dict(self.options).get(key, "")

    def flag(self, key: str) -> bool:
        """Tell whether an option is switched on."""
        from pybuild.grammar.golang import parse_bool

        text = self.option(key)
        return text != "" and parse_bool(text)


@frozen
class Annotation:
    """A line of text beside an image: of its manifest, for one platform or all (""), or of the index above it."""

    kind: str
    platform: str = ""
    key: str
    value: str


@frozen
class Target:
    """One of several targets: a stage and the names of its image."""

    stage: str
    tags: tuple[str, ...] = ()


@frozen
class Request:
    """A build. Paths are the user's own and are opened by name; everything below the context is not."""

    context: Path | str
    """A folder; text is the address of a git repository, an archive or a Dockerfile."""
    dockerfile: Path | None = None
    """None: ``Dockerfile`` (else ``dockerfile``) in the context. A relative path is of a context that is elsewhere."""
    contexts: tuple[tuple[str, str], ...] = ()
    """(name, value) of named contexts, names as `builder.stages.contexts.context_name` spells them."""
    tags: tuple[str, ...] = ()
    build_args: tuple[tuple[str, str], ...] = ()
    target: str | None = None
    targets: tuple[Target, ...] = ()
    """Several targets of one build, in place of *target* and *tags*."""
    labels: tuple[tuple[str, str], ...] = ()
    annotations: tuple[Annotation, ...] = ()
    platform: str | None = None
    platforms: tuple[str, ...] = ()
    """Several platforms: an image for each of them, and an index. Empty for the image of *platform* alone."""
    network: str = "default"
    add_hosts: tuple[tuple[str, str], ...] = ()
    """(name, address)."""
    no_cache: bool = False
    no_cache_filter: tuple[str, ...] = ()
    """Stages whose steps run whatever the cache has."""
    cache_ttl: float | None = None
    """Seconds after which a layer of the cache does not count; None is no limit."""
    pull: str = "missing"
    """When registries are asked for bases: if ``missing``, ``always``, ``never``; ``newer``: always, if they answer."""
    compression: Compression = Compression()
    outputs: tuple[Output, ...] = ()
    stored: Stored = Stored()
    squash: str = ""
    """``new``: one layer for all above the base; ``all``: one for the whole image."""
    source_date_epoch: int | None = None
    secrets: tuple[Secret, ...] = ()
    ssh: tuple[tuple[str, Path], ...] = ()
    """(id, socket of an agent)."""
    allow: frozenset[str] = frozenset()
    """Entitlements that steps may ask for: ``security.insecure``, ``network.host``."""
    resources: Resources = Resources()
    volumes: tuple[Volume, ...] = ()
    resolv_conf: str = ""
    """What steps have as /etc/resolv.conf; "" for the host's."""
    environment: tuple[tuple[str, str], ...] = ()
    """Variables that every base is taken to have."""
    unset_env: tuple[str, ...] = ()
    unset_labels: tuple[str, ...] = ()
    """Variables and labels that the image is not to have, wherever they come from."""
    ignore_file: Path | None = None
    """In place of the ignore files of the Dockerfile and the context."""
    jobs: int | None = None
    """How many steps run at the same time, None for a number that suits most builds."""
    cache_from: tuple[CacheSpec, ...] = ()
    cache_to: tuple[CacheSpec, ...] = ()
