from pathlib import Path

import pytest

from tests.builder.cli.conftest import BASE, Shop
from tests.helpers.images import tar_of, tiny_image
from tests.helpers.registry import FakeRegistry

pytestmark = pytest.mark.usefixtures("no_registry_settings")


def test_flags_for_what_is_always_so_are_taken(shop: Shop, server: FakeRegistry, tmp_path: Path) -> None:
    name, archive = f"{server.name}/team/app:1", str(tmp_path / "x.tar")
    (tmp_path / "root.tar").write_bytes(tar_of(BASE))
    assert shop.run("import", "--quiet", str(tmp_path / "root.tar"), name).code == 0
    assert shop.run("push", "--disable-content-trust", "--retry=3", "--retry-delay", "5s", name).code == 0
    assert shop.run("pull", "--disable-content-trust=false", "--retry", "3", name).code == 0
    assert shop.run("save", "-q", "-m", "--format=oci-archive", "-o", archive, name).code == 0
    (tmp_path / "tree").mkdir()
    written = tmp_path / "id"
    made = shop.run("commit", "-p", "--pause=false", "-q", f"--iidfile={written}", name, str(tmp_path / "tree"), "new")
    assert (made.code, made.lines) == (0, [written.read_text()])


def test_a_policy_says_when_the_registry_is_asked(shop: Shop) -> None:
    with FakeRegistry() as server:
        name = f"{server.name}/team/app:1"
        refused = shop.run("pull", "--policy=never", name)
        assert (refused.code, refused.err.startswith(f"ERROR: No such image: {name}")) == (1, True)
        server.add(shop.store.blobs, "team/app", "1", tiny_image(shop.store.blobs, BASE).descriptor)
        assert shop.run("pull", "--policy=missing", name).code == 0
        asked = len(server.requests)
        for policy in ("missing", "never"):
            assert shop.run("pull", f"--policy={policy}", name).lines == [name]
        assert len(server.requests) == asked
    newer = shop.run("pull", "--policy=newer", name)
    assert (newer.code, "the store has one" in newer.err) == (0, True)
    assert shop.run("pull", name).code == 4
