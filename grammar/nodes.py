"""The abstract syntax tree: one frozen value per instruction, as written, before any variable is expanded.

A *word* keeps its raw text (quotes, escapes and variables still in it) and its span; `grammar.words.expand` expands it
later, when the scope is known. Flag values are words too. The tree is complete: no later phase reads the text again.
"""

from enum import Enum
from typing import ClassVar

from pybuild.grammar.source import Span
from pybuild.runtime.values import field, frozen, positional


@positional
class Word:
    """A piece of text that may hold quotes, escapes and variables.

    As in BuildKit, an element of a JSON array is an ordinary word: the decoded string is expanded and unquoted like any
    other word, so ``COPY ["$a", "'b c'"]`` names the value of ``a`` and ``b c``.
    """

    text: str
    span: Span = field(compare=False)
    literal: bool = False
    """True for text that is never expanded or unquoted: a pattern of --exclude, the name in MAINTAINER."""


@frozen
class Heredoc:
    """``<<NAME`` with its body; *expand* is False when the name was quoted. Tabs are already stripped for ``<<-``.

    The span is that of its marker, not of its body.
    """

    name: str
    body: str
    raw: str = field(compare=False, default="")
    """The body as written, with its tabs, for a shell that reads the heredoc itself."""
    expand: bool
    strip_tabs: bool = False
    fd: int = 0
    span: Span = field(compare=False)


@positional
class ShellForm:
    """Text that is passed to the shell unchanged (continuations joined, comments removed)."""

    text: str


@positional
class ExecForm:
    """The arguments of a JSON array, unescaped by JSON, never expanded by the builder."""

    args: tuple[str, ...]


CommandLine = ShellForm | ExecForm


class MountKind(Enum):
    """``type=`` of RUN --mount."""

    BIND = "bind"
    CACHE = "cache"
    TMPFS = "tmpfs"
    SECRET = "secret"  # noqa: S105 - a mount type, not a password
    SSH = "ssh"


@frozen
class MountFlag:
    """One ``--mount=`` with normalized keys; `grammar.dockerfile.mounts.settle` checks values with variables.

    A type with a variable is kept as a key until then, and *kind* has no meaning.

    Keys kept in *options*: target, source, from, id, readonly ("true"/"false"), sharing, mode, uid, gid, size (bytes),
    required ("true"/"false"), env. Aliases (dst, destination, src, ro, rw, readwrite) are folded by the parser. A key
    that was not given is missing; defaults are applied when the mount is made.
    """

    kind: MountKind
    options: tuple[tuple[str, Word], ...]
    span: Span = field(compare=False)

    def get(self, key: str) -> Word | None:
        """Return the word for *key*, None when it was not given."""
        return dict(self.options).get(key)


@frozen
class Node:
    """The fields of every instruction: its span, its text in one line, and the comment directly above it.

    *FORM* is its syntax, for hints.
    """

    span: Span = field(compare=False)
    original: str = field(compare=False)
    """The instruction as one line: continuations joined, comments removed, heredoc bodies left out; for step names."""
    comment: str = field(default="", compare=False)


@frozen
class From(Node):
    """``FROM [--platform=P] image [AS name]``; *name* is lower case."""

    FORM: ClassVar[str] = "FROM IMAGE, or FROM IMAGE AS NAME"

    image: Word
    platform: Word | None = None
    name: str | None = None


@frozen
class Arg(Node):
    """``ARG name[=default]...``."""

    FORM: ClassVar[str] = "ARG NAME, or ARG NAME=DEFAULT"

    items: tuple[tuple[str, Word | None], ...]


@frozen
class Env(Node):
    """``ENV key=value...`` or the legacy form ``ENV key value`` (*legacy*)."""

    FORM: ClassVar[str] = "ENV NAME=VALUE"

    pairs: tuple[tuple[Word, Word], ...]
    legacy: bool = False


@frozen
class Label(Node):
    """``LABEL key=value...`` or the legacy form."""

    FORM: ClassVar[str] = "LABEL NAME=VALUE"

    pairs: tuple[tuple[Word, Word], ...]
    legacy: bool = False


@frozen
class Run(Node):
    """``RUN [flags] command``. With heredocs, *command* is the text of the first line, ``<<NAME`` still in it."""

    FORM: ClassVar[str] = "RUN COMMAND"

    command: CommandLine
    heredocs: tuple[Heredoc, ...] = ()
    mounts: tuple[MountFlag, ...] = ()
    network: str = "default"
    """default, none or host."""
    security: str = "sandbox"
    """sandbox or insecure."""


@frozen
class Copy(Node):
    """``COPY [flags] source... destination``; *sources* holds words and heredocs in the order written."""

    FORM: ClassVar[str] = "COPY SOURCE... DESTINATION"

    sources: tuple[Word | Heredoc, ...]
    destination: Word
    from_: Word | None = None
    chown: Word | None = None
    chmod: Word | None = None
    link: bool = False
    parents: bool = False
    exclude: tuple[Word, ...] = ()


@frozen
class Add(Node):
    """``ADD [flags] source... destination``; sources may be URLs, git references, archives and heredocs."""

    FORM: ClassVar[str] = "ADD SOURCE... DESTINATION"

    sources: tuple[Word | Heredoc, ...]
    destination: Word
    chown: Word | None = None
    chmod: Word | None = None
    link: bool = False
    exclude: tuple[Word, ...] = ()
    checksum: Word | None = None
    keep_git_dir: bool = False
    unpack: bool | None = None


@frozen
class Workdir(Node):
    """``WORKDIR path``."""

    FORM: ClassVar[str] = "WORKDIR DIRECTORY"

    path: Word


@frozen
class User(Node):
    """``USER user[:group]``."""

    FORM: ClassVar[str] = "USER NAME, or USER NAME:GROUP"

    user: Word


@frozen
class Shell(Node):
    """``SHELL ["executable", "parameters"]``."""

    FORM: ClassVar[str] = 'SHELL ["PROGRAM", "ARGUMENT"]'

    args: tuple[str, ...]


@frozen
class Cmd(Node):
    """``CMD`` in shell or exec form."""

    FORM: ClassVar[str] = "CMD COMMAND"

    command: CommandLine


@frozen
class Entrypoint(Node):
    """``ENTRYPOINT`` in shell or exec form."""

    FORM: ClassVar[str] = "ENTRYPOINT COMMAND"

    command: CommandLine


@frozen
class Expose(Node):
    """``EXPOSE port[/protocol]...``; a word may expand to several ports."""

    FORM: ClassVar[str] = "EXPOSE PORT, or EXPOSE PORT/PROTOCOL"

    ports: tuple[Word, ...]


@frozen
class Volume(Node):
    """``VOLUME path...``."""

    FORM: ClassVar[str] = "VOLUME DIRECTORY"

    paths: tuple[Word, ...]


@frozen
class StopSignal(Node):
    """``STOPSIGNAL signal``."""

    FORM: ClassVar[str] = "STOPSIGNAL SIGNAL"

    signal: Word


@frozen
class Healthcheck(Node):
    """``HEALTHCHECK NONE`` (*command* is None) or ``HEALTHCHECK [options] CMD command``; durations in nanoseconds."""

    FORM: ClassVar[str] = "HEALTHCHECK CMD COMMAND, or HEALTHCHECK NONE"

    command: CommandLine | None
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0


@frozen
class Maintainer(Node):
    """``MAINTAINER name``."""

    FORM: ClassVar[str] = "MAINTAINER NAME"

    name: Word


@frozen
class Onbuild(Node):
    """``ONBUILD instruction``; *trigger* is its text (with heredoc bodies), already known to parse."""

    FORM: ClassVar[str] = "ONBUILD and an instruction for the image that builds on this one"

    trigger: str


Instruction = (
    From
    | Arg
    | Env
    | Label
    | Run
    | Copy
    | Add
    | Workdir
    | User
    | Shell
    | Cmd
    | Entrypoint
    | Expose
    | Volume
    | StopSignal
    | Healthcheck
    | Maintainer
    | Onbuild
)


@frozen
class Directive:
    """A parser directive ``# key=value``; *key* is lower case."""

    key: str
    value: str
    span: Span = field(compare=False)


@frozen
class Dockerfile:
    """A parsed file: directives, then instructions in order. The first instructions are global ARGs, then a FROM."""

    instructions: tuple[Instruction, ...]
    directives: tuple[Directive, ...] = ()
    escape: str = "\\"
    warnings: tuple[tuple[str, Span], ...] = field(default=(), compare=False)
    """Lexical facts that the checks report: (rule name, span), e.g. ("NoEmptyContinuation", span)."""
