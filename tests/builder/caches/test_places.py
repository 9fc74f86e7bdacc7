"""Places of caches as values."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pybuild.builder.caches.gha import GhaPlace
from pybuild.builder.caches.local import LocalPlace
from pybuild.builder.caches.places import (
    GhaCache,
    InlineCache,
    KeptCache,
    LocalCache,
    RegistryCache,
    Writing,
    kept,
    place_of,
)
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
    ("made", "message"),
    [
        (lambda: RegistryCache(ref="UPPER"), "invalid ref: "),
        (lambda: RegistryCache(ref=""), "invalid ref: "),
        (lambda: GhaCache(scope="a,b"), "a scope has no commas"),
        (lambda: GhaCache(scope="a" * 401), "at most 400 characters"),
        (lambda: GhaCache(timeout=-1), "timeout: a duration cannot be negative"),
        (lambda: GhaCache(timeout=float("nan")), "timeout: a duration cannot be negative"),
        (lambda: LocalCache(directory=Path("a\0")), "invalid directory: it has a NUL byte"),
        (lambda: GhaCache(version=3), "invalid version=3"),
        (lambda: Writing(force_compression=True), "force-compression needs compression="),
    ],
)
def test_a_value_that_means_nothing_is_refused(made: Callable[[], Any], message: str) -> None:
    with pytest.raises(RequestError) as caught:
        made()
    assert message in f"{caught.value} {caught.value.hint}"


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
