"""What tests of several modules of the runtime use: resolvers of paths, and the rootfs of a sandbox."""

from pathlib import Path

import pytest

from pybuild.runtime.paths import walk
from tests.helpers.hosts import need_root
from tests.runtime.sandboxes import Image, make_base


@pytest.fixture(params=["kernel", "walk"])
def resolver(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Have paths resolved by the kernel, then by hand."""
    monkeypatch.setattr(walk, "kernel_resolves", lambda: request.param == "kernel")
    return request.param


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    need_root()
    return make_base(tmp_path_factory.mktemp("base"))


@pytest.fixture
def image(tmp_path: Path, base: Path) -> Image:
    return Image(tmp_path, base)
