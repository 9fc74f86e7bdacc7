"""What a command line says about the way to a registry, in place of what the files of the host and its user say."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from pybuild.builder.oci.registry.auth.tokens import Credentials


def nobody(_text: str) -> None:
    """Nobody wants to know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """The defaults leave everything to the files."""

    credentials: Credentials | None = field(default=None, repr=False)
    """For this registry; its mirrors never see them."""
    auth_file: Path | None = None
    """Where credentials are looked for, and nowhere else."""
    certificates: Path | None = None
    """A directory with ``*.crt``, ``*.cert`` and ``*.key`` for the registry, in place of those in ``certs.d``."""
    verify: bool = True
    """False permits any certificate, and plain http."""
    tell: Callable[[str], None] = nobody
    """Takes what a user should know at once: that a request waits, and how long. May be called by several threads."""
    passed_over: set[str] = field(default_factory=set, compare=False)
    """Mirrors that gave no answer; whoever shares the set does not ask them again."""


AS_CONFIGURED = Access()
"""Nothing but the files."""
