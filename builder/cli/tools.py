"""What every command uses: its session, the store, printing, and reading standard input.

This module imports neither click, without which the most common command lines are read, nor anything of ours: until
`builder.interrupts` is loaded, an interrupt shows a traceback.
"""

import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from contextvars import ContextVar
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    # Usual commands about containers open no store.
    from pybuild.builder.store.registries import RegistryAccess
    from pybuild.builder.store.store import Store

_HANDLES = "/proc/self/fd"


class Tools:
    """Replacements for tests of the functions that open a store and build; None stands for the real one."""

    def __init__(
        self, open_store: Callable[[Path | None, Any], Any] | None = None, build: Callable[..., Any] | None = None
    ) -> None:
        self.open_store, self.build = open_store, build


class Session:
    """The command that is carried out."""

    def __init__(self, tools: Tools) -> None:
        self.tools = tools
        self.root: str | None = None
        """The store that the command line names; None is the default."""
        self.opened: Path | None = None
        """The directory of the store, once it is open."""


_session: ContextVar[Session] = ContextVar("session")


def begin(tools: Tools) -> Session:
    """Start the session of a command that works with *tools*, and return it."""
    begun = Session(tools)
    _session.set(begun)
    return begun


def session() -> Session:
    """Return the current session."""
    return _session.get(None) or begin(Tools())


def store(registries: "RegistryAccess | None" = None) -> "Store":
    """Open the store that the command line names; *registries* is as for `Store.open`.

    Raises:
        SandboxUnavailable: /proc is missing, without which no file of a store is opened.
    """
    if not os.path.exists(_HANDLES):
        from pybuild.runtime.errors import SandboxUnavailable

        raise SandboxUnavailable("/proc is not mounted here", "mount it: mount -t proc proc /proc")
    from pybuild.builder.store.store import open_store

    current = session()
    root = Path(current.root) if current.root else None
    opened: Store = (current.tools.open_store or open_store)(root, registries)
    opened.hear(warn)
    current.opened = opened.root
    return opened


def pass_on(stream: int, data: bytes) -> None:
    """Write *data*, which a command wrote to *stream* (1 or 2), to the same stream of this process, unchanged."""
    file = (sys.stdout if stream == 1 else sys.stderr).buffer
    with _writing("/dev/stdout" if stream == 1 else "/dev/stderr"):
        file.write(data)
        file.flush()


def say(text: str) -> None:
    """Print one line of result, sanitized."""
    put(_harmless(text) + "\n")


def put(text: str | bytes) -> None:
    """Write *text* to standard output unchanged."""
    with _writing("/dev/stdout"):
        if isinstance(text, bytes):
            sys.stdout.flush()
            sys.stdout.buffer.write(text)
            sys.stdout.buffer.flush()
        else:
            sys.stdout.write(text)
            sys.stdout.flush()


def _writing(path: str) -> AbstractContextManager[None]:
    from pybuild.builder.store.free_space import writing

    return writing(path)


def note(text: str) -> None:
    """Print a note on standard error, such as what the command waits for."""
    put_error(_harmless(text) + "\n")


def warn(text: str) -> None:
    """Print a warning on standard error."""
    put_error(f"WARNING: {_harmless(text)}\n")


def put_error(text: str) -> None:
    """Write *text* to standard error as it stands."""
    sys.stderr.write(text)
    sys.stderr.flush()


def _harmless(text: str) -> str:
    if text.isprintable():
        return text
    from pybuild.builder.display.sanitize import clean

    return clean(text)


def is_terminal(fd: int) -> bool:
    """Return whether the standard stream *fd* is a terminal."""
    try:
        return os.isatty(fd)
    except OSError:  # it is closed
        return False


def open_stdin() -> BufferedReader:
    """Open standard input for bytes. A terminal is an error: nobody types an archive."""
    if is_terminal(0):
        from click import UsageError

        raise UsageError("standard input is a terminal: give a file, or redirect")
    return os.fdopen(os.dup(0), "rb")
