"""What tests of several modules of the runtime use."""

import pytest

from pybuild.runtime.paths import walk


@pytest.fixture(params=["kernel", "walk"])
def resolver(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Have paths resolved by the kernel, then by hand."""
    monkeypatch.setattr(walk, "kernel_resolves", lambda: request.param == "kernel")
    return request.param
