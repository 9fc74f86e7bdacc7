"""Ops: what a vertex of the graph does, as pure data.

An op, its inputs and a blob store are all that is needed to carry it out, on this machine or another. Everything that
can change the result is a field of the op (environment, directory, user, shell, mounts), so that no hidden state can
make a cache key lie; what must not change the key (names for display, proxies) is marked with ``metadata=ASIDE``.

Inputs are numbered: input 0 of Run, Copy and Mkdir is the root file system that they change.
"""

from typing import ClassVar

from pybuild.runtime.values import field, frozen

ASIDE = {"aside": True}
"""Metadata of a field that is carried along but is no part of any key."""


@frozen
class Scratch:
    """The empty root file system."""


@frozen
class Base:
    """The layers of an image, pinned. Its identity is the diff IDs: the same content under another name is the same."""

    diff_ids: tuple[str, ...]
    manifest: str = field(default="", metadata=ASIDE)
    """Digest of the image manifest in the blob store."""
    reference: str = field(default="", metadata=ASIDE)


@frozen
class Local:
    """A directory of the host, filtered by its ignore file. It has no key of its own: only selected content counts."""

    name: str = "context"


@frozen
class Http:
    """A file from the web, pinned by its content: a root with this one file, called *name*."""

    digest: str
    """Digest of the content, a blob of the store; it is brought again from *url* when it is not there."""
    name: str
    mtime: int = 0
    mode: int = 0o600
    url: str = field(default="", metadata=ASIDE)


@frozen
class Git:
    """A commit of a git repository, checked out: a root with the files of *subdir*, all as old as the commit."""

    commit: str
    subdir: str = ""
    keep_git_dir: bool = False
    submodules: bool = True
    tag: str = ""
    """The full name of the tag that ``.git`` has, when it is kept."""
    url: str = field(default="", metadata=ASIDE)
    ref: str = field(default="", metadata=ASIDE)
    """What leads to the commit, for servers that hand out nothing but what has a name."""


@frozen
class Inline:
    """A file whose content stands in the Dockerfile (a heredoc)."""

    name: str
    content: str


@frozen
class Pick:
    """Files selected from input number *input*: a path or a pattern relative to its root.

    *unpack* makes an archive among them unpack (ADD).
    """

    path: str
    input: int
    unpack: bool = False


@frozen
class Copy:
    """COPY and ADD of files: *sources* go to *destination* of input 0, as one layer.

    *destination* is absolute; a trailing slash says that it is a directory. *chown* is as written, resolved with the
    user files of the root file system; *chmod* is octal or symbolic. With *link* nothing of the root file system is
    looked at: no link is followed, and the directories on the way are made (see `keys.own_key`).
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
    """Make directory *path* with its parents, mode 0755, owned by *user* (WORKDIR); what exists is left alone."""

    path: str
    user: str = ""


# Each mount has what its type uses, and what Docker lets a user write for it without any effect: that is part of its
# key, as it always was. *input* is the number of the input that ``from`` names, -1 for none.


@frozen
class BindMount:
    """A tree of an input, or what is at *source* in it; what is written to it is dropped."""

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
    hostname: str = "buildkitsandbox"
    hosts: tuple[tuple[str, str], ...] = ()
    mounts: tuple[RunMount, ...] = ()
    scripts: tuple[Script, ...] = ()
    proxies: tuple[tuple[str, str], ...] = field(default=(), metadata=ASIDE)
    platform: str = field(default="", metadata=ASIDE)
    """What the programs of input 0 are for; the files themselves are what the key goes by. "": this machine."""


Op = Scratch | Base | Local | Http | Git | Copy | Mkdir | Run
