"""How a build gets at registries: as the host is configured, except for what its command line says."""

from builder.machine import Machine
from builder.oci.registry.access import Access


def access_of(machine: Machine, *, insecure: bool = False) -> Access:
    """Return the access of *machine*; *insecure* registries may be plain or have any certificate."""
    return Access(auth_file=machine.auth_file, verify=machine.tls_verify and not insecure)
