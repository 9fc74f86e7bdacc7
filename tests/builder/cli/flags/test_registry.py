from pathlib import Path

from pybuild.builder.cli.flags.registry import RegistryFlags
from pybuild.builder.store.registries import RegistryAccess


def test_registries_are_accessed_in_the_way_of_the_flags() -> None:
    assert RegistryFlags().access() == RegistryAccess()
    flags = RegistryFlags(authfile=Path("a"), tls_verify=False)
    assert flags.access() == RegistryAccess(auth_file=Path("a"), verify=False)
