"""Containers in a network namespace of their own, in which nothing is left at the end."""

from collections.abc import Iterator

import pytest

from tests.builder.cli.commands.container.conftest import pen
from tests.builder.cli.conftest import Shop
from tests.helpers.networks import await_commands, need_netavark, own_network, seen, seen_once

__all__ = ["pen"]


@pytest.fixture
def net(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Shop]:
    need_netavark()
    with own_network():
        before = seen()
        shop: Shop = request.getfixturevalue("pen")
        monkeypatch.delenv("PYBUILD_NETWORK")
        yield shop
        for identity in shop.run("ps", "-aq", "--no-trunc").lines:
            assert shop.run("rm", "-fv", identity).code == 0
        await_commands(shop.store.root)
        assert seen_once(before) == before
