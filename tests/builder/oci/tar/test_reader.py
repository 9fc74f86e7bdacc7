import io
import tarfile

import pytest

from pybuild.builder.oci.errors import LayerError
from pybuild.builder.oci.limits import Limits
from pybuild.builder.oci.tar.entry import Entry, EntryKind
from pybuild.builder.oci.tar.reader import TarReader
from tests.helpers import rawtar
from tests.helpers.rawtar import END, archive, base256, directory, file, gnu_long, hardlink, header, pax, symlink


def read(data: bytes, limits: Limits | None = None) -> list[tuple[Entry, bytes]]:
    return [(entry, content.read()) for entry, content in TarReader(io.BytesIO(data), limits or Limits())]


def only(data: bytes) -> Entry:
    ((entry, _),) = read(data)
    return entry


@pytest.mark.parametrize("flavour", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_what_tarfile_writes_is_read(flavour: int) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=flavour) as tar:
        for name in ("short", "p" * 90 + "/" + "n" * 90):
            info = tarfile.TarInfo(name)
            info.size, info.mode, info.uid, info.mtime = 3, 0o4755, 1000, 1_600_000_000
            tar.addfile(info, io.BytesIO(b"abc"))
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "t" * 99
        tar.addfile(link)
    found = read(out.getvalue())
    assert [entry.path for entry, _ in found] == ["short", "p" * 90 + "/" + "n" * 90, "link"]
    assert found[0] == (
        Entry(path="short", kind=EntryKind.FILE, mode=0o4755, uid=1000, size=3, mtime=1_600_000_000),
        b"abc",
    )
    assert found[2][0].linkname == "t" * 99


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("/a", "a"), ("./a", "a"), ("../a", "a"), ("a/../../b", "b"), ("./..//x", "x"), ("a/./b//c/", "a/b/c"),
        (".", ""), ("./", ""), ("./.", ""), ("/", ""), ("", ""), ("..", ""), ("a/..", ""), ("...", "..."),
    ],
)  # fmt: skip
def test_names_are_cleaned_as_paths_below_the_root(name: str, path: str) -> None:
    assert only(archive(file(name))).path == path
    assert only(archive(hardlink("x", name))).linkname == path


def test_old_archives_mark_directories_with_a_slash() -> None:
    old = [header(name, b"\0", magic=bytes(8)) for name in ("d/", "f")]
    kinds = [entry.kind for entry, _ in read(archive(*old, file("g/")))]
    assert kinds == [EntryKind.DIRECTORY, EntryKind.FILE, EntryKind.FILE]


def test_the_prefix_belongs_to_ustar_alone() -> None:
    assert only(archive(header("n", prefix=b"p/q"))).path == "p/q/n"
    assert only(archive(header("n", prefix=b"p/q", magic=b"ustar  \0"))).path == "n"
    assert only(archive(header("n", prefix=b"p/q", magic=bytes(8)))).path == "n"


def test_pax_records_go_before_the_header_and_gnu_names_before_both() -> None:
    records = (
        ("path", "grün/x"),
        ("uid", "3000000000"),
        ("gid", "5"),
        ("mtime", "-1.5"),
        ("SCHILY.xattr.user.a", b"\0=\n"),
    )
    entry = only(archive(pax(*records), file("short", uid=1, mtime=9)))
    assert (entry.path, entry.uid, entry.gid, entry.mtime) == ("grün/x", 3_000_000_000, 5, -2)
    assert entry.xattrs == (("user.a", b"\0=\n"),)
    both = pax(("path", "pax"), ("linkpath", "pax")) + gnu_long("g/" * 150 + "n") + gnu_long("t" * 300, b"K")
    entry = only(archive(both, symlink("short", "t")))
    assert (entry.path, entry.linkname) == ("g/" * 150 + "n", "t" * 300)


def test_global_records_hold_until_a_local_one_or_an_empty_value_replaces_them() -> None:
    data = archive(
        pax(("uid", "7"), ("comment", "x"), flag=b"g"),
        file("a"),
        pax(("uid", "8")),
        file("b"),
        pax(("uid", "")),
        file("c", uid=1),
        pax(("uid", ""), flag=b"g"),
        file("d", uid=2),
    )
    assert [entry.uid for entry, _ in read(data)] == [7, 8, 1, 2]


def test_sizes_in_base_256_and_in_pax_are_understood() -> None:
    assert read(archive(header("f", size=base256(3, 12)) + rawtar.padded(b"abc"))) == [
        (Entry(path="f", kind=EntryKind.FILE, size=3), b"abc")
    ]
    assert read(archive(pax(("size", "3")), header("f", size=0) + rawtar.padded(b"abc")))[0][1] == b"abc"
    assert only(archive(header("f", mtime=base256(-62135596800, 12)))).mtime == -62135596800


def test_only_files_have_data() -> None:
    data = archive(hardlink("h", "f", size=512), symlink("s", "t", size=99), directory("d", size=5), file("f", b"x"))
    assert [entry.size for entry, _ in read(data)] == [0, 0, 0, 1]


def test_the_stream_is_read_to_its_very_end() -> None:
    for more in (b"", bytes(10240), b"junk" * 1000, bytes(5 << 20)):
        stream = io.BytesIO(archive(file("a")) + more)
        assert len(list(TarReader(stream))) == 1
        assert stream.read() == b""


def test_an_archive_may_lack_its_end_mark_but_not_half_an_entry() -> None:
    whole = pax(("path", "n")) + file("a", b"x" * 700) + directory("d") + END
    for cut in range(len(whole)):
        if cut in {0, 2560, 3072, 3584}:
            assert len(read(whole[:cut])) == (cut >= 2560) + (cut >= 3072)
        else:
            with pytest.raises(LayerError, match=r"ends|single" if cut >= 512 else "not a tar archive"):
                read(whole[:cut])


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("not tar", b"this is no archive" * 100),
        ("wrong checksum", archive(header("a", checksum=b"000000\0 "))),
        ("garbage checksum", archive(header("a", checksum=b"zzzzzz\0 "))),
        ("garbage size", archive(header("a", size=b"12x\0"))),
        ("signed size", archive(header("a", size=b"-1\0"))),
        ("underscore in size", archive(header("a", size=b"1_0\0"))),
        ("not octal", archive(header("a", size=b"00000000009\0"))),
        ("negative size", archive(header("a", size=base256(-512, 12)))),
        ("size of 2^63", archive(header("a", size=base256(1 << 63, 12)))),
        ("size of 2^90", archive(header("a", size=base256(1 << 90, 12)))),
        ("negative owner", archive(header("a", uid=base256(-1, 8)))),
        ("owner -1", archive(pax(("uid", str((1 << 32) - 1))), file("a"))),
        ("owner 2^40", archive(pax(("gid", str(1 << 40))), file("a"))),
        ("unknown type", archive(header("a", b"Z"))),
        ("volume label", archive(header("a", b"V"))),
        ("device number", archive(header("a", b"3", device=(4096, 0)))),
        ("empty link", archive(symlink("a", ""))),
        ("zero byte in a pax name", archive(pax(("path", b"a\0b")), file("x"))),
        ("long component", archive(gnu_long("n" * 256), file("x"))),
        ("long name", archive(gnu_long("a/" * 2100), file("x"))),
        ("zero byte in a target", archive(pax(("linkpath", b"a\0b")), symlink("x", "t"))),
        ("long target", archive(gnu_long("t" * 4096, b"K"), symlink("x", "t"))),
        ("record without length", archive(header("p", b"x", size=4) + rawtar.padded(b"abc\n"), file("x"))),
        ("record too long", archive(header("p", b"x", size=9) + rawtar.padded(b"99 a=bcd\n"), file("x"))),
        ("record of length 0", archive(header("p", b"x", size=6) + rawtar.padded(b"0 a=b\n"), file("x"))),
        ("record of length 3", archive(header("p", b"x", size=6) + rawtar.padded(b"3 a=b\n"), file("x"))),
        ("record without newline", archive(header("p", b"x", size=6) + rawtar.padded(b"6 a=bc"), file("x"))),
        ("record without equals sign", archive(header("p", b"x", size=6) + rawtar.padded(b"6 abc\n"), file("x"))),
        ("record of a signed length", archive(header("p", b"x", size=7) + rawtar.padded(b"+7 a=b\n"), file("x"))),
        ("record without key", archive(header("p", b"x", size=5) + rawtar.padded(b"5 =b\n"), file("x"))),
        ("record with a zero byte in its key", archive(header("p", b"x", size=7) + rawtar.padded(b"7 a\0=b\n"), file("x"))),
        ("record of huge length", archive(header("p", b"x", size=40) + rawtar.padded(b"9" * 38 + b" a"), file("x"))),
        ("bad pax number", archive(pax(("size", "-1")), file("x"))),
        ("pax size of 2^63", archive(pax(("size", str(1 << 63))), file("x"))),
        ("bad pax time", archive(pax(("mtime", "1e9")), file("x"))),
        ("pax header of 8 GiB", archive(header("p", b"x", size=base256(8 << 30, 12)), file("x"))),
        ("long name of 8 GiB", archive(header("p", b"L", size=base256(8 << 30, 12)), file("x"))),
        ("pax header cut", header("p", b"x", size=600) + bytes(512)),
        ("nothing behind a pax header", archive(pax(("path", "x")))),
        ("a lone zero block", file("a") + bytes(512) + file("b") + END),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_malformed_archives_are_refused(name: str, data: bytes) -> None:
    with pytest.raises(LayerError):
        read(data)


@pytest.mark.parametrize("data", [b"x", b"PK\x05\x06" + bytes(18), b"FROM scratch\n" * 30, bytes(511)])
def test_a_small_file_of_another_kind_is_not_a_cut_archive(data: bytes) -> None:
    with pytest.raises(LayerError, match=r"^this is not a tar archive"):
        read(data)
    with pytest.raises(LayerError, match="in the middle of a header"):
        read(file("a") + data)


def test_times_that_no_system_call_takes_are_cut_to_what_it_takes() -> None:
    for given, kept in ((1 << 62, 1 << 40), (-(1 << 62), -(1 << 40))):
        assert only(archive(header("f", mtime=base256(given, 12)))).mtime == kept
        assert only(archive(pax(("mtime", f"{given}.5")), file("f"))).mtime == kept


@pytest.mark.parametrize("name", ["../x", "/x", "a/../../x", "./..//x", "/../../x"])
def test_targets_of_hard_links_are_cleaned_as_names_are(name: str) -> None:
    assert only(archive(hardlink("h", name))).linkname == "x"


def test_bombs_of_headers_end_at_the_limit() -> None:
    with pytest.raises(LayerError, match="entries"):
        read(file("a") * 200 + END, Limits(entries=100))
    with pytest.raises(LayerError, match="entries"):
        read(pax(("a", "b")) * 200 + END, Limits(entries=100))
    with pytest.raises(LayerError, match="global"):
        read(b"".join(pax((f"k{i}", "v" * 100), flag=b"g") for i in range(20)) + END, Limits(header=1000))
    with pytest.raises(LayerError, match="extension header"):
        read(archive(pax(("a", "b" * 2000)), file("a")), Limits(header=1000))


def test_signed_checksums_of_old_programs_are_accepted() -> None:
    block = bytearray(header(b"gr\xfcn", magic=bytes(8)))
    block[148:156] = b" " * 8
    signed = sum(byte - 256 if byte > 127 else byte for byte in block)
    block[148:156] = b"%06o\0 " % signed
    assert only(bytes(block) + END).path == "gr\udcfcn"
