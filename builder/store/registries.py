"""The settings for registries that a program may choose, for a store or for one transfer."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from pybuild.builder.errors import RequestError
from pybuild.builder.request import checks
from pybuild.runtime.values import field, frozen

if TYPE_CHECKING:
    from pybuild.builder.oci.registry.access import Access
    from pybuild.builder.store.store import Store


@frozen
class RegistryAccess:
    """Settings for a registry, which replace those in the configuration files of Docker and Podman.

    *username* and *password* are sent to this registry and to none of its mirrors. Without them credentials are read
    from *auth_file*. *certificates* is a directory with ``*.crt``, ``*.cert`` and ``*.key``, which replaces the one in
    ``certs.d``. Without *verify* any certificate and plain HTTP are accepted.

    All settings apply to a transfer. A `Store`, which accesses any number of registries, takes *auth_file* and *verify*
    only.

        ci = pybuild.RegistryAccess(username="ci", password=token)
        pybuild.push("registry.example/app:1", store, registry=ci)

    Raises:
        errors.RequestError: a user name without a password, or a value of another type.
    """

    username: str = ""
    password: str = field(default="", repr=False)
    auth_file: Path | None = None
    certificates: Path | None = None
    verify: bool = True

    def __post_init__(self) -> None:
        checks.types(self)
        if bool(self.username) != bool(self.password):
            raise RequestError("a user name and a password belong together")

    def check_common(self) -> None:
        """Raise RequestError when there are settings for one registry only."""
        if self.username or self.certificates is not None:
            raise RequestError(
                "a user name, a password and certificates are for one registry, not for a store",
                hint="give them to push, pull or copy, or use auth_file",
            )


def access_of(store: "Store", tell: Callable[[str], None] | None = None, *, insecure: bool = False) -> "Access":
    """Return how *store* accesses registries: as the host is configured, except for what it was opened with.

    *insecure* registries may be plain or have any certificate. *tell* takes what the user should know at once.
    """
    # Imported here: the command line declares flags with the class above, and loads no registry client for it.
    from pybuild.builder.oci.registry.access import Access, ignore_message

    common = store.registries or RegistryAccess()
    return Access(
        auth_file=common.auth_file,
        verify=common.verify and not insecure,
        tell=tell or ignore_message,
        passed_over=store.passed_over,
    )
