import io
import tarfile

import pytest

from pybuild.builder.oci.tar.entry import Entry, EntryKind
from pybuild.builder.oci.tar.header import encode_header, padding
from tests.helpers.rawtar import END

FILE = Entry(path="etc/motd", kind=EntryKind.FILE, mode=0o640, uid=7, gid=8, size=0, mtime=1_700_000_000)


def seen_by_tarfile(entry: Entry) -> tarfile.TarInfo:
    stream = io.BytesIO(encode_header(entry) + END)
    with tarfile.open(fileobj=stream, encoding="utf-8", errors="surrogateescape") as archive:
        (found,) = archive.getmembers()
    return found


def test_an_ordinary_file_takes_one_block_that_says_all() -> None:
    block = encode_header(FILE)
    assert len(block) == 512
    assert block[257:265] == b"ustar\x0000"
    assert block[265:329] == bytes(64)
    found = seen_by_tarfile(FILE)
    assert (found.name, found.mode, found.uid, found.gid, found.mtime) == ("etc/motd", 0o640, 7, 8, 1_700_000_000)
    assert (found.uname, found.gname, found.pax_headers) == ("", "", {})


@pytest.mark.parametrize(
    ("kind", "flag"),
    [
        (EntryKind.FILE, tarfile.REGTYPE),
        (EntryKind.DIRECTORY, tarfile.DIRTYPE),
        (EntryKind.FIFO, tarfile.FIFOTYPE),
        (EntryKind.CHAR, tarfile.CHRTYPE),
        (EntryKind.BLOCK, tarfile.BLKTYPE),
    ],
)
def test_each_kind_has_its_flag(kind: EntryKind, flag: bytes) -> None:
    found = seen_by_tarfile(FILE._replace(kind=kind, dev_major=8, dev_minor=17))
    assert found.type == flag
    device = (8, 17) if kind in {EntryKind.CHAR, EntryKind.BLOCK} else (0, 0)
    assert (found.devmajor, found.devminor) == device


def test_directories_end_with_a_slash_and_the_root_is_a_dot() -> None:
    assert encode_header(Entry(path="a/b", kind=EntryKind.DIRECTORY)).startswith(b"a/b/\0")
    assert encode_header(Entry(path="", kind=EntryKind.DIRECTORY)).startswith(b"./\0")


@pytest.mark.parametrize(
    ("path", "pax"),
    [
        ("n" * 100, False),
        ("n" * 101, True),
        ("p" * 155 + "/" + "n" * 100, False),
        ("p" * 156 + "/" + "n" * 100, True),
        ("p" * 155 + "/" + "n" * 101, True),
        ("a/" * 60 + "n", False),
        ("a/" * 2000 + "n", True),
        ("grün", True),
        ("nothing \udcff utf-8", True),
    ],
)
def test_long_and_foreign_names_need_a_pax_header_only_if_they_do_not_fit(path: str, pax: bool) -> None:
    entry = FILE._replace(path=path)
    assert seen_by_tarfile(entry).name == path
    assert (len(encode_header(entry)) > 512) == pax
    directory = entry._replace(kind=EntryKind.DIRECTORY)
    assert seen_by_tarfile(directory).name == path


@pytest.mark.parametrize("target", ["x", "t" * 100, "t" * 101, "../grün", "\udcfe"])
@pytest.mark.parametrize("kind", [EntryKind.SYMLINK, EntryKind.HARDLINK])
def test_link_targets_are_kept_whole(kind: EntryKind, target: str) -> None:
    assert seen_by_tarfile(Entry(path="link", kind=kind, linkname=target)).linkname == target


@pytest.mark.parametrize(
    ("field", "value"),
    [("uid", 0o7777777), ("uid", 0o10000000), ("gid", 4_000_000_000), ("mtime", -1), ("mtime", 1 << 36)],
)
def test_numbers_that_do_not_fit_go_to_the_pax_header(field: str, value: int) -> None:
    entry = FILE._replace(**{field: value})  # type: ignore[arg-type]
    assert getattr(seen_by_tarfile(entry), field) == value
    assert (len(encode_header(entry)) > 512) == (value != 0o7777777)


def test_a_size_of_more_than_8_gib_goes_to_the_pax_header() -> None:
    header = encode_header(FILE._replace(size=1 << 33))
    assert b"18 size=8589934592\n"[3:] in header
    assert len(header) == 1536


def test_attributes_are_records_in_order_of_their_names() -> None:
    one = FILE._replace(xattrs=(("user.b", b"\0binary\n="), ("security.capability", b"x" * 200)))
    other = FILE._replace(xattrs=one.xattrs[::-1])
    assert encode_header(one) == encode_header(other)
    records = seen_by_tarfile(one).pax_headers
    assert records["SCHILY.xattr.user.b"] == "\0binary\n="
    assert records["SCHILY.xattr.security.capability"] == "x" * 200


@pytest.mark.parametrize("length", [*range(1, 12), *range(85, 105), *range(985, 1003)])
def test_a_record_counts_its_own_length(length: int) -> None:
    entry = FILE._replace(xattrs=(("user.k", b"v" * length),))
    assert seen_by_tarfile(entry).pax_headers["SCHILY.xattr.user.k"] == "v" * length


def test_data_is_padded_to_whole_blocks() -> None:
    assert [len(padding(size)) for size in (0, 1, 511, 512, 513)] == [0, 511, 1, 0, 511]
