"""What is known of a directory while a layer is unpacked."""

from pybuild.builder.oci.layers.unpack_directory import Directory, added, join


def chain(*names: str) -> list[Directory]:
    """Directories in each other below a root, which comes first."""
    found = [Directory(None, "")]
    for name in names:
        found.append(Directory(found[-1], name))
    return found


def test_a_path_has_no_slash_in_front() -> None:
    root, _, inner = chain("usr", "lib")
    assert (root.path, inner.path) == ("", "usr/lib")
    assert (join(root, "etc"), join(inner, "libc.so")) == ("etc", "usr/lib/libc.so")


def test_directories_that_hold_nothing_share_one_empty_set_that_stays_empty() -> None:
    one, other = chain("other")
    one.whiteouts = added(one.whiteouts, "gone")
    one.whiteouts = added(one.whiteouts, "away")
    assert (one.whiteouts, other.whiteouts, Directory(None, "").whiteouts) == ({"gone", "away"}, set(), set())


def test_a_directory_is_deleted_when_it_is_opaque_or_has_a_whiteout() -> None:
    root, usr, lib = chain("usr", "lib")
    assert not lib.deleted
    usr.whiteouts = added(usr.whiteouts, "lib")
    assert (lib.deleted, usr.deleted) == (True, False)
    root.opaque = True
    assert root.deleted


def test_the_lower_tree_shows_as_far_as_it_has_directories_and_nothing_hides_them() -> None:
    directories = chain("usr", "lib")
    for each in directories:
        each.in_lower = True
    root, usr, lib = directories
    assert lib.shows_lower
    usr.opaque = True
    assert (root.shows_lower, usr.shows_lower, lib.shows_lower) == (True, False, False)


def test_what_is_claimed_is_claimed_up_to_the_root() -> None:
    root, usr, lib = chain("usr", "lib")
    other = Directory(usr, "bin")
    lib.claim()
    assert [each.ours for each in (root, usr, lib, other)] == [True, True, True, False]
