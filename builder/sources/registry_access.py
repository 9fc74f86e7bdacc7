"""How a build accesses registries: as the host is configured, except for what its store was opened with."""

from collections.abc import Callable

from pybuild.builder.oci.registry.access import Access, nobody
from pybuild.builder.store.registries import RegistryAccess
from pybuild.builder.store.store import Store


def access_of(store: Store, tell: Callable[[str], None] = nobody, *, insecure: bool = False) -> Access:
    """Return the access of *store*; *insecure* registries may be plain or have any certificate.

    *tell* takes what the user should know at once.
    """
    common = store.registries or RegistryAccess()
    return Access(
        auth_file=common.auth_file,
        verify=common.verify and not insecure,
        tell=tell,
        passed_over=store.passed_over,
    )
