"""Roots of a file system as values."""

from pathlib import Path

import pytest

from pybuild.runtime.rootfs.roots import DirectoryRoot, OverlayRoot


def test_a_root_is_read_only_or_writable_by_what_it_is_made_of() -> None:
    lowers = (Path("/a"), Path("/b"))
    view = OverlayRoot(lowers=lowers)
    assert (view.upper, view.work, view.lasting) == (None, None, False)
    assert view != OverlayRoot(lowers=lowers[::-1])
    assert DirectoryRoot(path=Path("/a")).read_only is False


def test_a_root_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        DirectoryRoot(path=Path("/a")).path = Path("/")  # type: ignore[misc]
