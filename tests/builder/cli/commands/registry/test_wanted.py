from pathlib import Path

import pytest

from pybuild.builder.oci.blobs import BlobStore
from tests.builder.cli.conftest import BASE, Shop
from tests.helpers.hosts import need_root
from tests.helpers.images import tiny_image
from tests.helpers.registry import FakeRegistry

pytestmark = pytest.mark.usefixtures("no_registry_settings")


def test_an_image_is_pulled_as_the_policy_says(
    shop: Shop, server: FakeRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    need_root()
    monkeypatch.delenv("PYBUILD_SNAPSHOTTER")
    source, name = BlobStore(tmp_path / "source"), f"{server.name}/team/app:1"
    server.add(source, "team/app", "1", tiny_image(source, BASE).descriptor)

    def created(policy: str) -> tuple[int, str, str]:
        made = shop.run("create", "--pull", policy, name, "true")
        image = shop.run("inspect", "-f", "{{.Image}}", made.out.strip()).out if made.code == 0 else ""
        if made.code == 0:
            assert shop.run("rm", made.out.strip()).code == 0
        return made.code, image, made.err

    refused = created("never")
    assert (refused[0], "No such image" in refused[2]) == (1, True)
    code, first, told = created("missing")
    assert (code, f"Unable to find image '{name}' locally" in told) == (0, True)
    server.add(source, "team/app", "1", tiny_image(source, {"other": b"x"}).descriptor)
    assert created("missing")[1] == created("never")[1] == created("")[1] == first
    assert created("always")[1] not in {"", first}
    assert shop.run("create", "--pull", "newer", name, "true").code == 2


def test_run_without_a_container_pulls_as_well(shop: Shop, server: FakeRegistry, tmp_path: Path) -> None:
    source = BlobStore(tmp_path / "source")
    server.add(source, "team/app", "1", tiny_image(source, BASE).descriptor)
    shop.run("run", "--pull", "missing", f"{server.name}/team/app:1", "/no/such/program")
    assert shop.names() == [f"{server.name}/team/app:1"]
    missing = shop.run("run", "--pull", "always", f"{server.name}/team/none:1", "true")
    assert (missing.code, "failed to pull" in missing.err) == (125, True), missing.err
