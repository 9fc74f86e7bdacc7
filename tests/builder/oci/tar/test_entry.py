"""Names, times and attributes of entries, as an archive may hold them."""

import pytest

from pybuild.builder.oci.tar.entry import Entry, EntryKind, clean_path, kept_xattr, portable_xattr
from pybuild.runtime.ownership.record import ATTRIBUTE


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("/a", "a"),
        ("./a/", "a"),
        ("x/../../a", "a"),
        ("../../etc", "etc"),
        ("a//b/./c", "a/b/c"),
        ("/..", ""),
        (".", ""),
    ],
)
def test_no_name_climbs_out_of_the_root(name: str, path: str) -> None:
    assert clean_path(name) == path


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("security.capability", True),
        ("user.mime", True),
        ("user.overlay.opaque", False),
        ("trusted.overlay.redirect", False),
        ("security.selinux", False),
        ("system.posix_acl_access", False),
    ],
)
def test_attributes_that_are_content_are_kept(name: str, kept: bool) -> None:
    assert kept_xattr(name) is kept


def test_a_capability_says_nothing_of_this_host() -> None:
    of_a_namespace = b"\x01\x00\x00\x03" + bytes(range(16)) + b"\xa0\x86\x01\x00"
    assert portable_xattr("security.capability", of_a_namespace) == b"\x01\x00\x00\x02" + bytes(range(16))
    assert portable_xattr("user.x", of_a_namespace) == of_a_namespace


def test_a_time_later_than_permitted_is_the_latest_second() -> None:
    entry = Entry(path="a", kind=EntryKind.FILE)
    late = entry.at(5_000_000_001, latest=4)
    assert (late.mtime, late.nanoseconds) == (4, 0)
    kept = entry.at(3_000_000_007, latest=4)
    assert (kept.mtime, kept.nanoseconds) == (3, 7)


def test_the_record_of_an_owner_belongs_to_no_image() -> None:
    assert not kept_xattr(ATTRIBUTE)
