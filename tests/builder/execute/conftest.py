"""A store and a build context for tests that execute single steps."""

from pathlib import Path

import pytest

from pybuild.builder.store.store import Store
from tests.helpers.fake_execute import Site


@pytest.fixture
def site(tmp_path: Path, store: Store) -> Site:
    context = tmp_path / "context"
    context.mkdir()
    return Site(store=store, context=context)
