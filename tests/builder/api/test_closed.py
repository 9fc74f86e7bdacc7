"""A closed store is an error of our own for everything that takes one."""

from collections.abc import Callable
from pathlib import Path

import pytest

import pybuild
from pybuild import errors

USES: dict[str, Callable[[pybuild.Store, Path], object]] = {
    "build": lambda store, directory: pybuild.build(pybuild.Request.of(context=directory), store),
    "containers": lambda store, _: pybuild.containers(store),
    "copy": lambda store, directory: pybuild.copy("a", f"oci:{directory}/out", store),
    "create_network": lambda store, _: pybuild.create_network("a", store),
    "inspect": lambda store, _: pybuild.inspect("a", store),
    "list": lambda store, _: pybuild.list(store),
    "load": lambda store, directory: pybuild.load(directory / "a.tar", store),
    "networks": lambda store, _: pybuild.networks(store),
    "prune": lambda store, _: pybuild.prune(store),
    "pull": lambda store, _: pybuild.pull("localhost:1/a", store),
    "push": lambda store, _: pybuild.push("localhost:1/a", store),
    "run": lambda store, _: pybuild.run("a", ("true",), store),
    "save": lambda store, directory: pybuild.save(["a"], directory / "a.tar", store),
    "start": lambda store, _: pybuild.start("a", ("true",), store),
    "tag": lambda store, _: pybuild.tag("a", "b", store),
    "with": lambda store, _: store.__enter__(),
}


@pytest.mark.parametrize("name", USES)
def test_use_after_close_is_an_error(tmp_path: Path, name: str) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
    store = pybuild.Store.open(tmp_path / "store")
    store.close()
    with pytest.raises(errors.StoreError, match=f"the store {store.root} is closed"):
        USES[name](store, tmp_path)


def test_every_function_that_takes_a_store_is_here() -> None:
    assert set(pybuild.__all__) - USES.keys() == {
        *("Cancel", "Command", "Container", "Image", "Network", "Outcome", "Pruned", "RegistryAccess"),
        *("Request", "Store", "become_root", "errors", "events", "request"),
    }
