"""What a command line says about the way to a registry, in place of what the files of the host and its user say."""

from dataclasses import dataclass, field
from pathlib import Path

from builder.oci.registry.tokens import Credentials


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """The defaults leave everything to the files."""

    credentials: Credentials | None = field(default=None, repr=False)
    """For this registry; its mirrors never see them."""
    auth_file: Path | None = None
    """Where credentials are looked for, and nowhere else."""
    certificates: Path | None = None
    """A folder with ``*.crt``, ``*.cert`` and ``*.key`` for the registry, in place of those in ``certs.d``."""
    verify: bool = True
    """False permits any certificate, and plain http."""


AS_CONFIGURED = Access()
"""Nothing but the files."""
