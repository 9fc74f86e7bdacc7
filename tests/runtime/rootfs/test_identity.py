"""The rules of USER, on file contents alone; test_sandbox.py has them with real files."""

import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest

from pybuild.runtime.errors import UnknownUser
from pybuild.runtime.rootfs import identity
from pybuild.runtime.rootfs.identity import MAX_ID, match_identity, read_bounded

PASSWD = b"""\
root:x:0:0:root:/root:/bin/sh
# c:x:7:7::/c:

short:x:5
ann:x:1000:1001:Ann:/home/ann:/bin/sh
ann:x:9999:9999::/second:
homeless:x:1002:1002:::
bad:x:y:1::/:
badgroup:x:8:y::/:
wide:x:4294967295:1:::
12:x:77:78::/n:
caf\xe9:x:3:4::/caf\xe9:\r
"""
GROUP = b"""\
root:x:0:
ann:x:1001:ann
wheel:x:10:root,ann
staff:x:50:ann,
again:x:50:ann
odd:x:z:ann
#ann:x:66:ann
"""


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
        (b"+12", b"", 12, 0, (0,), b"/"),
        (b"1000", b"1000", 1000, 1000, (1000,), b"/home/ann"),
        (b"", b"wheel", 0, 10, (10,), b"/root"),
        (b"homeless", b"", 1002, 1002, (1002,), b"/"),
        (b"caf\xe9", b"", 3, 4, (4,), b"/caf\xe9"),
        (b"4294967294", b"4294967294", MAX_ID, MAX_ID, (MAX_ID,), b"/"),
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
        (b"ann", b"odd"),
        (b"bad", b""),
        (b"badgroup", b""),
        (b"wide", b""),
        (b"#ann", b""),
        (b"9" * 5000, b""),
        (b"-1", b""),
        (b"4294967295", b""),
        (b"1", b"9" * 5000),
        (b"c", b""),
    ],
)
def test_what_is_not_there_or_out_of_range_is_an_error(user: bytes, group: bytes) -> None:
    with pytest.raises(UnknownUser):
        match_identity(user, group, PASSWD, GROUP)


def test_without_files_there_is_only_root() -> None:
    found = match_identity(b"", b"", b"", b"")
    assert (found.uid, found.gid, found.groups, found.home) == (0, 0, (0,), b"/")


def test_a_database_of_many_short_lines_costs_its_size_a_few_times_at_most() -> None:
    passwd = b":" * (1 << 20) + b"\n" + b"a:::\n" * 50_000 + b"last:x:3:4\n"
    tracemalloc.start()
    try:
        assert match_identity(b"last", b"", passwd, passwd).uid == 3
        assert tracemalloc.get_traced_memory()[1] < 4 * len(passwd)
    finally:
        tracemalloc.stop()


def test_the_child_can_load_the_rules_without_the_modules_that_take_time() -> None:
    script = "import sys; sys.path.append(sys.argv[1]); import pybuild.runtime.rootfs.identity; print(*sys.modules)"
    command = [sys.executable, "-I", "-S", "-c", script, str(Path(__file__).parents[3] / ".src")]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert "pybuild.runtime.rootfs.identity" in loaded
    assert not {"re", "dataclasses", "enum", "typing", "collections", "contextlib", "functools"} & set(loaded)


def test_a_file_that_grows_is_read_to_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "passwd"
    path.write_bytes(b"x" * 10)

    def grow(_mode: int) -> bool:
        path.write_bytes(b"x" * 1000)
        return True

    # Between the look at its status and the first byte.
    monkeypatch.setattr(identity, "S_ISREG", grow)
    root = os.open(tmp_path, os.O_PATH)
    try:
        assert read_bounded(root, b"passwd", 100) == b"x" * 100
    finally:
        os.close(root)
