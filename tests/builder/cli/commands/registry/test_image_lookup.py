from pathlib import Path

import pytest

from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.image import read_image
from pybuild.builder.oci.model import Platform
from tests.builder.cli.conftest import BASE, Shop
from tests.helpers.hosts import need_root
from tests.helpers.images import AMD64, ARM64, tiny_image
from tests.helpers.registry import FakeRegistry

S390X = Platform(os="linux", architecture="s390x")
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
    assert shop.run("create", "--pull", "newer", name, "true").code == 125


def test_run_without_a_container_pulls_as_well(shop: Shop, server: FakeRegistry, tmp_path: Path) -> None:
    source = BlobStore(tmp_path / "source")
    server.add(source, "team/app", "1", tiny_image(source, BASE).descriptor)
    shop.run("run", "--pull", "missing", f"{server.name}/team/app:1", "/no/such/program")
    assert shop.names() == [f"{server.name}/team/app:1"]
    missing = shop.run("run", "--pull", "always", f"{server.name}/team/none:1", "true")
    assert (missing.code, "failed to pull" in missing.err) == (125, True), missing.err


def test_an_image_for_another_platform_is_pulled_for_the_one_that_was_asked_for(
    shop: Shop, server: FakeRegistry, tmp_path: Path
) -> None:
    source, name = BlobStore(tmp_path / "source"), f"{server.name}/team/app:1"
    shop.store.layout.tag(name, tiny_image(shop.store.blobs, BASE, platform=AMD64).descriptor)
    known = f"image with reference {name} was found but does not provide the specified platform (linux/arm64)"
    for policy in ("never", "missing"):
        refused = shop.run("run", "--platform", "linux/arm64", "--pull", policy, name, "true")
        assert (refused.code, known in refused.err, "linux/amd64" in refused.err) == (125, True, True), refused.err
    server.add(source, "team/app", "1", tiny_image(source, BASE, platform=ARM64).descriptor)
    pulled = shop.run("run", "--platform", "linux/arm64", name, "/no/such/program")
    assert "failed to pull" not in pulled.err
    assert read_image(shop.store.blobs, shop.store.layout.resolve(name)).config.architecture == "arm64"


def test_an_image_for_another_platform_that_nobody_asked_for_is_warned_of(shop: Shop) -> None:
    shop.store.layout.tag("docker.io/library/s:latest", tiny_image(shop.store.blobs, BASE, platform=S390X).descriptor)
    told = shop.run("run", "--pull", "never", "s", "true").err
    assert "The requested image's platform (linux/s390x) does not match the detected host platform" in told
    asked = shop.run("run", "--platform", "linux/s390x", "--pull", "never", "s", "true").err
    assert "does not match" not in asked
