from pathlib import Path

import pytest

from pybuild.builder.containers.catalog import Containers
from pybuild.builder.containers.document import container_document
from pybuild.builder.containers.names import new_id
from pybuild.builder.store.store import Store
from pybuild.runtime.values import replace
from tests.builder.containers.test_catalog import HOLD
from tests.builder.containers.test_config import PLAIN


@pytest.mark.parametrize(("snapshotter", "driver"), [("copying", "vfs"), ("overlay", "overlay2")])
def test_the_driver_is_the_one_that_keeps_the_rootfs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, snapshotter: str, driver: str
) -> None:
    monkeypatch.setenv("PYBUILD_SNAPSHOTTER", snapshotter)
    with Store.open(tmp_path / "store") as store:
        made = Containers(store).add(replace(PLAIN, id=new_id(), created="1"), "one", HOLD, {})
        assert container_document(made)["Driver"] == driver
