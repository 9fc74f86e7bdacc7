import bz2
import gzip
import io
import lzma
import tarfile

import pytest
import zstandard

from pybuild.builder.errors import BuildError, StepFailed
from tests.builder.content.test_trees import directory, member
from tests.builder.execute.test_copy import archive_of, base_of, owner
from tests.helpers import rawtar
from tests.helpers.images import tar_of
from tests.helpers.rawtar import archive, file, hardlink, padded, pax, symlink

COMPRESSORS = {
    "plain": lambda data: data,
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": lambda data: zstandard.ZstdCompressor().compress(data),
}


def added(site, content, instruction="ADD a /d/", base="scratch"):
    """The members of the layer that adding *content* makes, in order."""
    (site.context / "a").write_bytes(content)
    with archive_of(site, site.solve(f"FROM {base}\n{instruction}\n")) as layer:
        return {entry.name: entry for entry in layer}


@pytest.mark.parametrize(
    "members",
    [
        (hardlink("h", "/etc/passwd"),),
        (hardlink("h", "../../etc/passwd"),),
        (hardlink("h", "later"), file("later")),
        (rawtar.directory("sub"), hardlink("h", "sub")),
        (hardlink("h", "h"),),
        (file("h"), hardlink("h", "h")),
        (rawtar.directory("sub"), file("sub/x"), file("sub"), hardlink("h", "sub/x")),
        (file("x"), file("x/y")),
    ],
)
def test_an_archive_whose_layer_could_not_be_unpacked_fails_the_step(site, members):
    with pytest.raises(StepFailed, match=r"a hard link to|cannot copy to non-directory"):
        added(site, archive(*members))


@pytest.mark.parametrize("size", [100, 5 << 20])
def test_a_file_may_end_with_a_hole(site, size):
    sparse = (("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0"), ("GNU.sparse.realsize", str(size)))
    entries = added(site, archive(pax(("GNU.sparse.name", "x"), *sparse), file("x", padded(b"1\n0\n0\n"))))
    assert entries["d/x"].size == size


@pytest.mark.parametrize("compression", COMPRESSORS)
def test_an_archive_is_unpacked_however_it_is_compressed(site, compression):
    entries = added(site, COMPRESSORS[compression](tar_of({"x": b"1", "sub/y": b"2"})))
    assert list(entries) == ["d", "d/x", "d/sub", "d/sub/y"]


@pytest.mark.parametrize(
    "content", [b"", b"text", b"\0" * 1024, gzip.compress(b"text", mtime=0), b"\x1f\x8b", b"BZh9nonsense", b"x" * 2000]
)
def test_what_is_no_archive_is_copied_as_a_file(site, content):
    entries = added(site, content)
    assert list(entries) == ["d", "d/a"]
    assert entries["d/a"].size == len(content)


def test_copy_leaves_an_archive_packed(site):
    assert list(added(site, tar_of({"x": b"1"}), "COPY a /d/")) == ["d", "d/a"]


def test_a_destination_without_a_slash_is_a_directory_for_an_archive(site):
    assert list(added(site, tar_of({"x": b"1"}), "ADD a /new")) == ["new", "new/x"]


def test_members_keep_their_owner_unless_another_is_asked_for(site):
    content = archive(file("x", b"1", uid=5, gid=6))
    assert owner(added(site, content)["d/x"]) == (5, 6)
    assert owner(added(site, content, "ADD --chown=7:8 a /d/")["d/x"]) == (7, 8)


def test_a_mode_is_not_applied_to_members(site):
    assert added(site, archive(file("x", b"1", mode=0o644)), "ADD --chmod=0700 a /d/")["d/x"].mode == 0o644


@pytest.mark.parametrize("name", ["../../x", "/x", "./x", "sub/../../x"])
def test_a_hostile_name_stays_below_the_destination(site, name):
    assert list(added(site, archive(file(name, b"1")))) == ["d", "d/x"]


@pytest.mark.parametrize("target", ["/../../etc", "/etc", "..", "../..", "../../etc", "etc", "in/../../etc"])
def test_a_symlink_of_the_archive_leads_nowhere_outside_the_destination(site, target):
    entries = added(site, archive(symlink("l", target), file("l/passwd", b"evil")), "ADD a /d/e")
    assert all(path == "d" or path.startswith("d/e") for path in entries)
    assert entries["d/e/l"].linkname == target
    assert sum(path.endswith("passwd") for path in entries) == 1


def test_a_symlink_upwards_leads_to_the_destination(site):
    members = symlink("up", ".."), file("up/conf/one", b"1"), symlink("abs", "/conf"), file("abs/two", b"2")
    entries = added(site, archive(*members), "ADD a /dest")
    assert list(entries) == ["dest", "dest/up", "dest/conf", "dest/conf/one", "dest/abs", "dest/conf/two"]


@pytest.mark.parametrize("target", ["..", "/", "../..", "../../real"])
def test_members_go_through_symlinks_of_the_image_below_the_destination_alone(site, target):
    base_of(site, directory("d"), directory("d/real"), directory("real"), member("d/l", b"2", linkname=target))
    entries = added(site, archive(file("l/x", b"1")), base="base")
    assert ("d/real/x" if target.endswith("real") else "d/x") in entries
    assert not any(path.startswith("real") or path == "x" for path in entries)


def test_the_destination_itself_is_found_in_the_image(site):
    base_of(site, directory("opt"), directory("opt/d"), member("d", b"2", linkname="/opt/../opt/d"))
    entries = added(site, archive(symlink("up", ".."), file("up/x", b"1")), base="base")
    assert list(entries) == ["opt", "opt/d", "opt/d/up", "opt/d/x"]


def test_a_hard_link_leads_to_what_a_symlink_upwards_leads_to(site):
    members = file("x", b"1"), symlink("up", "/.."), hardlink("y", "up/x")
    entries = added(site, archive(*members), "ADD a /d/e")
    assert entries["d/e/y"].linkname == "d/e/x"


def test_a_hard_link_to_a_file_of_the_image_outside_the_destination_is_refused(site):
    base_of(site, directory("etc"), member("etc/passwd"))
    with pytest.raises(StepFailed, match="a hard link to 'etc/passwd', which is not a file"):
        added(site, archive(hardlink("y", "/etc/passwd")), base="base")


def test_a_member_takes_the_place_of_what_is_there(site):
    base_of(site, directory("d"), directory("d/x"), member("d/y", b"2", linkname="z"))
    entries = added(site, archive(file("x", b"1"), file("y", b"2")), base="base")
    assert entries["d/x"].isreg()
    assert entries["d/y"].isreg()


def test_hard_links_lead_to_the_same_place(site):
    entries = added(site, archive(file("x", b"1"), hardlink("y", "/../x")))
    assert entries["d/y"].islnk()
    assert entries["d/y"].linkname == "d/x"


def test_a_large_member_arrives_whole(site):
    content = bytes(range(256)) * (12 << 10)
    added(site, tar_of({"x": content}))
    with archive_of(site, site.solve()) as layer:
        stream = layer.extractfile("d/x")
        assert stream is not None
        assert stream.read() == content


def test_a_damaged_archive_is_an_error_of_the_step(site):
    whole = tar_of({"x": b"1" * 5000})
    with pytest.raises(StepFailed, match="failed to unpack the archive"):
        added(site, whole[:3000])
    with pytest.raises(BuildError, match="failed to unpack the archive"):
        added(site, gzip.compress(whole)[:-20])


def test_several_archives_and_files_may_be_added_at_once(site):
    (site.context / "b").write_bytes(tar_of({"y": b"1"}))
    (site.context / "c").write_bytes(b"file")
    assert list(added(site, tar_of({"x": b"1"}), "ADD a b c /d/")) == ["d", "d/x", "d/y", "d/c"]


def test_an_archive_in_a_heredoc_is_text(site):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w"):
        pass
    assert list(added(site, buffer.getvalue(), "ADD <<a /d/\ntext\na")) == ["d", "d/a"]


def test_a_large_member_needs_no_room_beside_the_layer(site, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", "/nonexistent")
    content = bytes(300_000) + b"x" * 3_000_000

    found = added(site, archive(file("large", content), file("small", b"s")))

    assert found["d/large"].size == len(content)
    assert found["d/small"].size == 1
