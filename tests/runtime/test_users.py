"""USER and --chown by the files of the root, and what a hostile root can put there."""

import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.safepath import Root
from runtime.users import MAX_ID, UnknownUser, UserIds, resolve_owner, resolve_user

PASSWD = """\
root:x:0:0:root:/root:/bin/sh
# comment:x:7:7::/:
daemon:x:1:2::/usr/sbin:/usr/sbin/nologin

bob:x:1000:1001:Bob,,,:/home/bob:/bin/sh
nohome:x:1002:1002
nohome2:x:1003:1003:::
broken:x:abc:1:::/
short:x:5
bob:x:9999:9999::/second:
wide:x:4294967295:1:::
1000:x:77:77::/number:
"""
GROUP = """\
root:x:0:
wheel:x:10:root,bob
adm:x:4:daemon
staff:x:50:other,bob,root
#bob:x:66:bob
bad:x:y:bob
users:x:1001:bob
"""


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
    ("user", "ids"),
    [
        ("", UserIds(0, 0, (0, 10, 50), "/root")),
        ("root", UserIds(0, 0, (0, 10, 50), "/root")),
        ("bob", UserIds(1000, 1001, (1001, 10, 50), "/home/bob")),
        ("1000", UserIds(1000, 1001, (1001, 10, 50), "/home/bob")),
        ("daemon", UserIds(1, 2, (2, 4), "/usr/sbin")),
        ("nohome", UserIds(1002, 1002, (1002,), "/")),
        ("nohome2", UserIds(1003, 1003, (1003,), "/")),
        ("4242", UserIds(4242, 0, (0,), "/")),
        ("bob:adm", UserIds(1000, 4, (4,), "/home/bob")),
        ("1000:1000", UserIds(1000, 1000, (1000,), "/home/bob")),
        ("bob:77", UserIds(1000, 77, (77,), "/home/bob")),
        ("4242:wheel", UserIds(4242, 10, (10,), "/")),
        (":wheel", UserIds(0, 10, (10,), "/root")),
        ("bob:", UserIds(1000, 1001, (1001, 10, 50), "/home/bob")),
        (str(MAX_ID), UserIds(MAX_ID, 0, (0,), "/")),
    ],
)
def test_a_process_gets_the_ids_that_docker_gives_it(root: Root, user: str, ids: UserIds) -> None:
    assert resolve_user(root, user) == ids


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
        ("bob:", (1000, 1001)),
        ("root", (0, 0)),
        ("bob:root", (1000, 0)),
        (f"{MAX_ID}:{MAX_ID}", (MAX_ID, MAX_ID)),
        ("", (0, 0)),
    ],
)
def test_a_copied_file_gets_the_owner_that_buildkit_gives_it(root: Root, chown: str, ids: tuple[int, int]) -> None:
    assert resolve_owner(root, chown) == ids


@pytest.mark.parametrize(
    ("user", "message"),
    [
        ("alice", "unable to find user alice: no matching entries in passwd file"),
        ("broken", "unable to find user broken: no matching entries in passwd file"),
        ("wide", "unable to find user wide: no matching entries in passwd file"),
        ("#bob", "unable to find user #bob: no matching entries in passwd file"),
        ("bob:nobodies", "unable to find group nobodies: no matching entries in group file"),
        ("bob:bad", "unable to find group bad: no matching entries in group file"),
        ("bob:adm:x", "unable to find group adm:x: no matching entries in group file"),
        ("$(x)", r"unable to find user $(x): no matching entries in passwd file"),
        ("4294967295", "user or group id 4294967295 is out of range: it must be between 0 and 4294967294"),
        ("1:4294967295", "user or group id 4294967295 is out of range: it must be between 0 and 4294967294"),
        ("-1", "user or group id -1 is out of range: it must be between 0 and 4294967294"),
        ("٣", "unable to find user ٣: no matching entries in passwd file"),
        ("9" * 5000, "out of range"),
    ],
)
def test_an_unknown_user_is_named_in_the_error(root: Root, user: str, message: str) -> None:
    for resolve in (resolve_user, resolve_owner):
        with pytest.raises(UnknownUser) as caught:
            resolve(root, user)
        assert message in str(caught.value)


def test_numbers_and_root_need_no_files(scratch: Root) -> None:
    assert resolve_user(scratch, "") == UserIds(0, 0, (0,), "/")
    assert resolve_user(scratch, "5:6") == UserIds(5, 6, (6,), "/")
    assert resolve_owner(scratch, "root:root") == (0, 0)
    with pytest.raises(UnknownUser, match="unable to find user root: no matching entries in passwd file"):
        resolve_user(scratch, "root")
    with pytest.raises(UnknownUser, match="unable to find user bob"):
        resolve_owner(scratch, "bob")


def test_the_files_may_be_links_inside_the_root(root: Root, tmp_path: Path) -> None:
    (tmp_path / "usr").mkdir()
    (tmp_path / "etc/passwd").rename(tmp_path / "usr/passwd")
    (tmp_path / "etc/passwd").symlink_to("/usr/passwd")
    assert resolve_user(root, "bob").uid == 1000


def test_a_line_with_strange_bytes_harms_no_other(root: Root, tmp_path: Path) -> None:
    (tmp_path / "etc/passwd").write_bytes(b"\xff\xfe:x:1:1::/:\nbob:x:3:4::/caf\xe9:\r\n")
    assert resolve_user(root, "bob") == UserIds(3, 4, (4, 10, 50, 1001), os.fsdecode(b"/caf\xe9"))


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
    for user in ("bob:staff", "bob"):
        if (name, user) == ("passwd", "bob:staff") or user == "bob":
            with pytest.raises(UnknownUser, match=f"unable to look up users and groups: /etc/{name}"):
                resolve_user(root, user)
    with pytest.raises(UnknownUser):
        resolve_owner(root, "bob:staff")
    assert resolve_owner(root, "7:8") == (7, 8)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 << 10


@pytest.mark.parametrize("target", ["/dev/zero", "../../../../../../etc/passwd", "/proc/kmsg"])
def test_a_link_out_of_the_root_finds_nothing_of_the_host(root: Root, tmp_path: Path, target: str) -> None:
    (tmp_path / "etc/passwd").rename(tmp_path / "etc/old")
    (tmp_path / "etc/passwd").symlink_to(target)
    with pytest.raises(UnknownUser):
        resolve_user(root, "daemon")


def test_a_database_of_many_short_lines_costs_its_size_once(root: Root, tmp_path: Path) -> None:
    (tmp_path / "etc/passwd").write_bytes(b":" * (4 << 20) + b"\n" + b"a:::\n" * 50_000 + b"last:x:3:4\n")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert resolve_user(root, "last").uid == 3
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 40 << 10
