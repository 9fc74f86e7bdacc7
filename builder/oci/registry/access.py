"""Settings of a command line for access to a registry, which override the files of the host and the user."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from pybuild.builder.oci.registry.auth.tokens import Credentials


def ignore_message(_text: str) -> None:
    """Ignore the message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """The defaults leave all settings to the files."""

    credentials: Credentials | None = field(default=None, repr=False)
    """For this registry; they are never sent to its mirrors."""
    auth_file: Path | None = None
    """The only file that credentials are read from."""
    certificates: Path | None = None
    """A directory with ``*.crt``, ``*.cert`` and ``*.key`` for the registry, instead of those in ``certs.d``."""
    verify: bool = True
    """False permits any certificate, and plain http."""
    tell: Callable[[str], None] = ignore_message
    """Takes messages for the user, such as that a request waits, and how long. Called by several threads."""
    passed_over: set[str] = field(default_factory=set, compare=False)
    """Mirrors that did not answer. Everything that shares this set skips them."""


AS_CONFIGURED = Access()
"""The settings of the files only."""
