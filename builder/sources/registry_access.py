"""How a build gets at registries: as the host is configured, except for what its command line says."""

from collections.abc import Callable

from pybuild.builder.oci.registry.access import Access, nobody
from pybuild.builder.store.machine import Machine


def access_of(machine: Machine, tell: Callable[[str], None] = nobody, *, insecure: bool = False) -> Access:
    """Return the access of *machine*; *insecure* registries may be plain or have any certificate.

    *tell* takes what the user should know at once.
    """
    return Access(
        auth_file=machine.auth_file,
        verify=machine.tls_verify and not insecure,
        tell=tell,
        passed_over=machine.passed_over,
    )
