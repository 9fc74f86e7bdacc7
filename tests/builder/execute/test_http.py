import io
import tarfile
from urllib.parse import unquote

import pytest

from pybuild.builder.errors import BuildError, StepFailed
from pybuild.builder.oci.digest import Digest
from tests.builder.execute.test_copy import archive_of, made, text_of
from tests.helpers.web import MTIME, Web


@pytest.fixture
def web():
    with Web() as server:
        server.files["/a.txt"] = b"content"
        yield server


def test_a_file_from_the_web_is_for_root_alone_and_as_old_as_it_was_there(site, web):
    entry = made(site, f"ADD {web.url('/a.txt')} /d/")["d/a.txt"]
    assert (oct(entry.mode), entry.uid, entry.gid, entry.mtime) == ("0o600", 0, 0, MTIME)
    assert text_of(site, f"ADD {web.url('/a.txt')} /d/", "d/a.txt") == "content"


def test_a_file_from_the_web_takes_the_name_mode_and_owner_that_it_is_given(site, web):
    entry = made(site, f"ADD --chmod=a+rx --chown=5:6 {web.url('/a.txt')} /d")["d"]
    assert (oct(entry.mode), entry.uid, entry.gid) == ("0o755", 5, 6)


def test_a_file_from_the_web_is_not_excluded_but_files_beside_it_are(site, web):
    site.write({"s/a.txt": "1", "s/b": "2"})
    assert sorted(made(site, f"ADD --exclude=*.txt {web.url('/a.txt')} s /d/")) == ["d", "d/a.txt", "d/b"]
    assert text_of(site, f"ADD --exclude=*.txt {web.url('/a.txt')} s /d/", "d/a.txt") == "content"


def test_no_time_is_later_than_the_epoch(site, web):
    assert made(site, f"ADD {web.url('/a.txt')} /d", source_date_epoch=1000)["d"].mtime == 1000


def test_files_of_all_kinds_go_together(site, web):
    site.write({"f": "1"})
    entries = made(site, f"ADD {web.url('/a.txt')} f <<h /d/\nx\nh")
    assert sorted(entries) == ["d", "d/a.txt", "d/f", "d/h"]


def test_the_same_content_from_another_place_is_not_copied_again(site, web):
    web.files |= {"/one/f": b"1", "/two/f": b"1"}
    site.solve(f"FROM scratch\nADD {web.url('/one/f')} /f\n")
    assert site.ran(f"FROM scratch\nADD {web.url('/two/f')} /f\n") == []
    web.files["/two/f"] = b"2"
    assert site.ran() == ["Http", "copy to /f"]


def test_content_that_the_store_lost_is_brought_again(site, web):
    digest = Digest.of(b"content")
    text = f"FROM scratch\nADD --checksum={digest} {web.url('/a.txt')} /f\n"
    first = site.solve(text)
    site.store.blobs.remove(digest)
    assert site.solve(no_cache=True)[-1].diff_id == first[-1].diff_id
    site.store.blobs.remove(digest)
    web.files["/a.txt"] = b"other"
    with pytest.raises(StepFailed, match="digest mismatch"):
        site.solve(no_cache=True)


def test_an_image_is_built_again_without_the_server_when_a_checksum_is_given(site, web):
    text = f"FROM scratch\nADD --checksum={Digest.of(b'content')} {web.url('/a.txt')} /f\n"
    site.solve(text)
    web.taken()
    assert site.ran() == []
    assert site.ran(no_cache=True) == ["Http", "copy to /f"]
    assert web.requests == []


def test_a_wrong_checksum_is_an_error_and_nothing_is_kept(site, web):
    with pytest.raises(BuildError, match="digest mismatch"):
        site.solve(f"FROM scratch\nADD --checksum={Digest.of(b'else')} {web.url('/a.txt')} /f\n")
    assert not site.store.blobs.exists(Digest.of(b"content"))


@pytest.mark.parametrize("name", ["%5B*%5D", "a%20b", "%3F", "-x"])
def test_a_name_is_no_pattern(site, web, name):
    web.files[f"/{name}"] = b"x"
    web.files["/other"] = b"y"
    assert f"d/{unquote(name)}" in made(site, f"ADD {web.url('/other')} {web.url('/' + name)} /d/")


def test_a_name_that_would_be_a_deletion_is_refused(site, web):
    web.files["/.wh.x"] = b"x"
    with pytest.raises(StepFailed, match=r"\.wh\.x"):
        site.solve(f"FROM scratch\nADD {web.url('/.wh.x')} /d/\n")


def test_archives_stay_packed_unless_asked(site, web):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:xz") as tar:
        tar.addfile(tarfile.TarInfo("inner"))
    web.files["/a.tar.xz"] = stream.getvalue()
    assert sorted(made(site, f"ADD {web.url('/a.tar.xz')} /d/")) == ["d", "d/a.tar.xz"]
    assert sorted(made(site, f"ADD --unpack {web.url('/a.tar.xz')} /d/")) == ["d", "d/inner"]
    with archive_of(site, site.solve(f"FROM scratch\nADD --unpack {web.url('/a.txt')} /d/\n")) as archive:
        assert archive.getnames() == ["d", "d/a.txt"]
