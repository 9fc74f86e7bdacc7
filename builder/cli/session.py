"""The command that this process carries out: the store that its command line names, and replacements for tests."""

from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from typing import Any


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
