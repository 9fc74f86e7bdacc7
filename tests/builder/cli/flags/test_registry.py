from pathlib import Path

from pybuild.builder.cli.flags.registry import RegistryFlags
from pybuild.builder.store.store import open_store


def test_a_store_gets_at_registries_in_the_way_of_the_flags(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        RegistryFlags().of(store)
        assert (store.auth_file, store.tls_verify) == (None, True)
        RegistryFlags(authfile=Path("a"), tls_verify=False).of(store)
        assert (store.auth_file, store.tls_verify) == (Path("a"), False)
