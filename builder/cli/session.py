"""The command that this process carries out: what it works with, and the store that its command line names."""

from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from typing import Any


class Tools:
    """The ports of the commands; tests hand in others. None stands for the program's own."""

    def __init__(
        self, open_store: Callable[[Path | None, Any], Any] | None = None, build: Callable[..., Any] | None = None
    ) -> None:
        self.open_store, self.build = open_store, build


class Session:
    """One command."""

    def __init__(self, tools: Tools) -> None:
        self.tools = tools
        self.root: str | None = None
        """The store that the command line names; None is the default."""
        self.opened: Path | None = None
        """The directory of the store, once it is open."""


_session: ContextVar[Session] = ContextVar("session")


def begin(tools: Tools) -> Session:
    """Begin a command that works with *tools*."""
    begun = Session(tools)
    _session.set(begun)
    return begun


def session() -> Session:
    """Return what was begun last."""
    return _session.get(None) or begin(Tools())
