"""--chown by the files of the root, and what a hostile root can put there; test_identity.py has the rules."""

import os
import resource
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from pybuild.runtime.errors import UnknownUser, UnsafePathError
from pybuild.runtime.paths.safepath import Root
from pybuild.runtime.rootfs.identity import MAX_ID
from pybuild.runtime.rootfs.users import resolve_owner

PASSWD = """\
root:x:0:0:root:/root:/bin/sh
bob:x:1000:1001:Bob,,,:/home/bob:/bin/sh
1000:x:77:77::/number:
"""
GROUP = """\
root:x:0:
adm:x:4:daemon
"""


def surprised(unknown: UnknownUser) -> None:
    raise AssertionError(unknown)


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Root]:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text(PASSWD)
    (tmp_path / "etc/group").write_text(GROUP)
    with Root.open_host(tmp_path) as root:
        yield root


@pytest.fixture
def scratch(tmp_path: Path) -> Iterator[Root]:
    with Root.open_host(tmp_path) as root:
        yield root


@pytest.mark.parametrize(
    ("chown", "ids"),
    [
        ("bob", (1000, 1001)),
        ("1000", (1000, 1000)),
        ("0", (0, 0)),
        ("bob:adm", (1000, 4)),
        ("bob:77", (1000, 77)),
        ("1000:adm", (1000, 4)),
        ("1:2", (1, 2)),
        (":adm", (0, 4)),
        ("bob:", (1000, 0)),
        ("7:", (7, 0)),
        ("root", (0, 0)),
        ("bob:root", (1000, 0)),
        (f"{MAX_ID}:{MAX_ID}", (MAX_ID, MAX_ID)),
        ("", (0, 0)),
    ],
)
def test_a_copied_file_gets_the_owner_that_buildkit_gives_it(root: Root, chown: str, ids: tuple[int, int]) -> None:
    assert resolve_owner(root, chown, surprised) == ids


@pytest.mark.parametrize(
    ("chown", "message"),
    [
        ("4294967295", "unable to find user 4294967295: the id is out of range, which ends at 4294967294"),
        ("1:4294967295", "unable to find group 4294967295: the id is out of range, which ends at 4294967294"),
    ],
)
def test_a_number_out_of_range_is_an_error(root: Root, chown: str, message: str) -> None:
    with pytest.raises(UnknownUser) as caught:
        resolve_owner(root, chown, surprised)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("chown", "ids", "messages"),
    [
        ("alice", (0, 0), ["unable to find user alice: no matching entries in passwd file"]),
        ("alice:adm", (0, 4), ["unable to find user alice: no matching entries in passwd file"]),
        ("bob:nobodies", (1000, 1001), ["unable to find group nobodies: no matching entries in group file"]),
        ("5:nobodies", (5, 5), ["unable to find group nobodies: no matching entries in group file"]),
        ("bob:adm:x", (1000, 1001), ["unable to find group adm:x: no matching entries in group file"]),
        ("\u0663", (0, 0), ["unable to find user \u0663: no matching entries in passwd file"]),
    ],
)
def test_an_unknown_name_is_reported_and_counts_for_nothing(
    root: Root, chown: str, ids: tuple[int, int], messages: list[str]
) -> None:
    told: list[UnknownUser] = []
    assert resolve_owner(root, chown, told.append) == ids
    assert list(map(str, told)) == messages


def test_numbers_and_root_need_no_files(scratch: Root) -> None:
    assert resolve_owner(scratch, "5:6", surprised) == (5, 6)
    assert resolve_owner(scratch, "root:root", surprised) == (0, 0)


def test_the_files_may_be_links_inside_the_root(root: Root, tmp_path: Path) -> None:
    (tmp_path / "usr").mkdir()
    (tmp_path / "etc/passwd").rename(tmp_path / "usr/passwd")
    (tmp_path / "etc/passwd").symlink_to("/usr/passwd")
    assert resolve_owner(root, "bob", surprised) == (1000, 1001)


def test_names_that_are_no_text_are_found_too(root: Root, tmp_path: Path) -> None:
    (tmp_path / "etc/passwd").write_bytes(b"\xff\xfe:x:1:2::/:\nbob:x:3:4::/caf\xe9:\r\n")
    assert resolve_owner(root, os.fsdecode(b"\xff\xfe"), surprised) == (1, 2)
    assert resolve_owner(root, "bob", surprised) == (3, 4)


def hostile(kind: str, path: Path) -> None:
    path.unlink()
    match kind:
        case "sparse":
            with path.open("wb") as file:
                file.truncate(12 << 30)
        case "fifo":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case "zero":
            path.symlink_to("zero")
            os.mknod(path.parent / "zero", 0o20666, os.makedev(1, 5))
        case "loop":
            path.symlink_to(path.name)


@pytest.mark.parametrize("kind", ["sparse", "fifo", "folder", "zero", "loop"])
@pytest.mark.parametrize("name", ["passwd", "group"])
def test_a_hostile_database_is_refused_at_once_and_without_memory(
    root: Root, tmp_path: Path, kind: str, name: str
) -> None:
    if kind == "zero" and os.geteuid() != 0:
        pytest.skip("needs root: it makes a device node")
    hostile(kind, tmp_path / "etc" / name)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UnsafePathError, match=f"etc/{name}"):
        resolve_owner(root, "bob:adm", surprised)
    assert resolve_owner(root, "7:8", surprised) == (7, 8)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 << 10


@pytest.mark.parametrize("target", ["/dev/zero", "../../../../../../etc/passwd", "/proc/kmsg"])
def test_a_link_out_of_the_root_finds_nothing_of_the_host(root: Root, tmp_path: Path, target: str) -> None:
    (tmp_path / "etc/passwd").rename(tmp_path / "etc/old")
    (tmp_path / "etc/passwd").symlink_to(target)
    told: list[UnknownUser] = []
    with suppress(UnsafePathError):
        assert resolve_owner(root, "daemon", told.append) == (0, 0)
        assert told != []
