"""Places of caches as values."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pybuild.builder.caches.gha import GhaPlace
from pybuild.builder.caches.local import LocalPlace
from pybuild.builder.caches.places import GhaCache, InlineCache, KeptCache, LocalCache, RegistryCache, kept, place_of
from pybuild.builder.caches.registry import RegistryPlace
from pybuild.builder.errors import RequestError


@pytest.mark.parametrize(
    ("spec", "place"),
    [
        (LocalCache(directory=Path("a")), LocalPlace),
        (RegistryCache(ref="example.com/a"), RegistryPlace),
        (GhaCache(), GhaPlace),
    ],
)
def test_each_kind_has_its_place(spec: KeptCache, place: type) -> None:
    assert isinstance(place_of(spec), place)
    assert kept([InlineCache(), spec]) == [spec]


@pytest.mark.parametrize(
    ("made", "field"),
    [
        (lambda: LocalCache(directory="a"), "directory"),
        (lambda: RegistryCache(ref="a", insecure="yes"), "insecure"),
        (lambda: GhaCache(timeout="10m"), "timeout"),
    ],
)
def test_a_wrong_value_is_refused_when_it_is_made(made: Callable[[], Any], field: str) -> None:
    with pytest.raises(RequestError, match=f"invalid {field}: expected"):
        made()
