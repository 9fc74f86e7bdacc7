"""Ops: the operations of the vertices of the graph, as pure data.

An op, its inputs and a blob store are all that is needed to execute it, on this host or another one. Everything that
can change the result is a field of the op (environment, directory, user, shell, mounts), so that no hidden state can
make a cache key wrong; what must not change the key (names for display, proxies) is marked with ``metadata=ASIDE``.

Inputs are numbered: input 0 of Run, Copy and Mkdir is the rootfs that they change.
"""

from typing import ClassVar

from pybuild.runtime.values import field, frozen

PROXIES = ("http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy")
"""The predefined build arguments for proxies, which may be written in any case (Dockerfile reference, "ARG")."""
ASIDE = {"aside": True}
"""Metadata of a field that is not part of any key."""


@frozen
class Scratch:
    """The empty rootfs."""


@frozen
class Base:
    """The layers of an image, pinned. Its identity is the diff IDs: the same content under another name is the same."""

    diff_ids: tuple[str, ...]
    manifest: str = field(default="", metadata=ASIDE)
    """Digest of the image manifest in the blob store."""
    reference: str = field(default="", metadata=ASIDE)


@frozen
class Local:
    """A directory of the host without ignored files. It has no key of its own: only selected content counts."""

    name: str = "context"


@frozen
class Http:
    """A file from the web, pinned by its content: a tree with this one file, called *name*."""

    digest: str
    """Digest of the content, a blob of the store; it is fetched from *url* again when it is missing."""
    name: str
    mtime: int = 0
    # The mode of a file from the web (Dockerfile reference, "ADD").
    mode: int = 0o600
    url: str = field(default="", metadata=ASIDE)


@frozen
class Git:
    """A commit of a git repository, checked out: a tree with the files of *subdir*, with the time of the commit."""

    commit: str
    subdir: str = ""
    keep_git_dir: bool = False
    submodules: bool = True
    tag: str = ""
    """The full name of the tag that ``.git`` has, when it is kept."""
    url: str = field(default="", metadata=ASIDE)
    ref: str = field(default="", metadata=ASIDE)
    """The ref that leads to the commit, for servers that do not serve commits by their hash."""


@frozen
class Inline:
    """A file whose content is in the Dockerfile (a heredoc)."""

    name: str
    content: str


@frozen
class Pick:
    """Files selected from input number *input*: a path or a pattern relative to its root.

    *unpack*: archives among them are unpacked (ADD).
    """

    path: str
    input: int
    unpack: bool = False


@frozen
class Exact(Pick):
    """What is at *path*, a name even where it looks like a pattern: ``app/[slug]`` as the source of a bind mount."""


@frozen
class Copy:
    """COPY and ADD of files: *sources* go to *destination* of input 0, as one layer.

    *destination* is absolute; a trailing slash means a directory. *chown* is as written, resolved with the user files
    of the rootfs; *chmod* is octal or symbolic. With *link* the rootfs is not read: no symlink is followed, and parent
    directories are created (see `keys.own_key`).
    """

    sources: tuple[Pick | Inline, ...]
    destination: str
    chown: str = ""
    chmod: str = ""
    link: bool = False
    parents: bool = False
    exclude: tuple[str, ...] = ()


@frozen
class Mkdir:
    """Create directory *path* with its parents, mode 0755, owned by *user* (WORKDIR); existing ones are kept."""

    path: str
    user: str = ""


# Each mount has what its type uses, and what Docker lets a user write for it without any effect: that is part of its
# key, as it always was. *input* is the number of the input that ``from`` names, -1 for none.


@frozen
class BindMount:
    """A tree of an input, or the part at *source* in it; writes to it are discarded."""

    target: str
    source: str = ""
    input: int = -1
    read_only: bool = True
    id: str = ""
    env: str = ""


@frozen
class CacheMount:
    """A directory that outlives the build. *sharing* is ``shared``, ``private`` or ``locked``."""

    target: str
    id: str = ""
    source: str = ""
    input: int = -1
    read_only: bool = False
    sharing: str = "shared"
    mode: int | None = None
    uid: int = 0
    gid: int = 0
    env: str = ""


@frozen
class TmpfsMount:
    """A directory in memory of at most *size* bytes; 0 is no limit."""

    target: str
    size: int = 0
    source: str = ""
    input: int = -1
    read_only: bool = False
    id: str = ""
    env: str = ""


@frozen
class SecretMount:
    """A secret as a file at *target*, as the variable *env*, or both."""

    target: str
    id: str = ""
    source: str = ""
    input: ClassVar[int] = -1
    read_only: bool = False
    mode: int | None = None
    uid: int = 0
    gid: int = 0
    required: bool = False
    env: str = ""


@frozen
class SshMount:
    """The socket of an SSH agent."""

    target: str
    id: str = ""
    source: ClassVar[str] = ""
    input: int = -1
    read_only: bool = False
    mode: int | None = None
    uid: int = 0
    gid: int = 0
    required: bool = False
    env: str = ""


RunMount = BindMount | CacheMount | TmpfsMount | SecretMount | SshMount


@frozen
class Script:
    """A read-only file that exists only while a Run runs (a heredoc with a #! line)."""

    path: str
    content: str


@frozen
class Run:
    """RUN: a process in input 0; what it changes is one layer."""

    args: tuple[str, ...]
    env: tuple[tuple[str, str], ...] = ()
    cwd: str = "/"
    user: str = ""
    network: str = "default"
    security: str = "sandbox"
    # The host name of steps in BuildKit, which scripts can see.
    hostname: str = "buildkitsandbox"
    hosts: tuple[tuple[str, str], ...] = ()
    mounts: tuple[RunMount, ...] = ()
    scripts: tuple[Script, ...] = ()
    proxies: tuple[tuple[str, str], ...] = field(default=(), metadata=ASIDE)
    platform: str = field(default="", metadata=ASIDE)
    """The platform of the programs of input 0; the key depends on the files themselves. "": this host."""


Op = Scratch | Base | Local | Http | Git | Copy | Mkdir | Run
