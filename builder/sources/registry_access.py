"""How a build accesses registries: as the host is configured, except for flags of the command line."""

from collections.abc import Callable

from pybuild.builder.oci.registry.access import Access, nobody
from pybuild.builder.store.store import Store


def access_of(store: Store, tell: Callable[[str], None] = nobody, *, insecure: bool = False) -> Access:
    """Return the access of *store*; *insecure* registries may be plain or have any certificate.

    *tell* takes what the user should know at once.
    """
    return Access(
        auth_file=store.auth_file,
        verify=store.tls_verify and not insecure,
        tell=tell,
        passed_over=store.passed_over,
    )
