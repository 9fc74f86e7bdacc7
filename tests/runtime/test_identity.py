"""The rules of USER, on file contents alone; test_sandbox.py has them with real files."""

import pytest

from runtime.errors import SandboxError
from runtime.identity import match_identity

PASSWD = b"root:x:0:0:root:/root:/bin/sh\n# c:x:7:7::/c:\n\nshort:x:5\nann:x:1000:1001:Ann:/home/ann:/bin/sh\nbad:x:y:1::/:\n12:x:77:78::/n:\n"
GROUP = b"root:x:0:\nann:x:1001:\nwheel:x:10:root,ann\nstaff:x:50:ann,\nodd:x:z:ann\n"


@pytest.mark.parametrize(
    ("user", "group", "uid", "gid", "groups", "home"),
    [
        (b"", b"", 0, 0, (0, 10), b"/root"),
        (b"ann", b"", 1000, 1001, (1001, 10, 50), b"/home/ann"),
        (b"1000", b"", 1000, 1001, (1001, 10, 50), b"/home/ann"),
        (b"01000", b"", 1000, 1001, (1001, 10, 50), b"/home/ann"),
        (b"ann", b"wheel", 1000, 10, (10,), b"/home/ann"),
        (b"ann", b"4", 1000, 4, (4,), b"/home/ann"),
        (b"short", b"", 5, 0, (0,), b"/"),
        (b"12", b"", 12, 0, (0,), b"/"),  # a number is an id, although someone has it as a name
        (b"4294967294", b"", 4294967294, 0, (0,), b"/"),
    ],
)
def test_names_and_numbers_become_ids(
    user: bytes, group: bytes, uid: int, gid: int, groups: tuple[int, ...], home: bytes
) -> None:
    found = match_identity(user, group, PASSWD, GROUP)
    assert (found.uid, found.gid, found.groups, found.home) == (uid, gid, groups, home)


@pytest.mark.parametrize(
    ("user", "group"),
    [
        (b"ghost", b""),
        (b"ann", b"ghost"),
        (b"bad", b""),
        (b"-1", b""),
        (b"4294967295", b""),
        (b"1", b"9" * 5000),
        (b"c", b""),
    ],
)
def test_what_is_not_there_or_out_of_range_is_an_error(user: bytes, group: bytes) -> None:
    with pytest.raises(SandboxError):
        match_identity(user, group, PASSWD, GROUP)


def test_without_files_there_is_only_root() -> None:
    found = match_identity(b"", b"", b"", b"")
    assert (found.uid, found.gid, found.groups, found.home) == (0, 0, (0,), b"/")
