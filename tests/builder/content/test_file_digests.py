import hashlib
import marshal
import os
import resource
import stat
import time

import pytest

from pybuild.builder.content.file_digests import FileDigests, Memory
from pybuild.builder.content.selections import select
from pybuild.builder.content.source_tree import SourceTree
from pybuild.builder.errors import BuildError
from pybuild.builder.plan.ops import Pick
from pybuild.runtime.paths.safepath import Root
from tests.helpers.sparse import MIB, sparse_file
from tests.helpers.watch import opened_files

LARGE = 3 << 20


@pytest.fixture
def directory(tmp_path):
    place = tmp_path / "context"
    place.mkdir()
    return place


def digests_of(directory, database, *, meanwhile=lambda: None, source_id="here"):
    """The digests of all files, by path, and whether one of them was too young to be remembered."""
    with Root.open_host(directory) as root:
        source = SourceTree(root=root, id=source_id)
        groups = select(source, Pick(path=".", input=1))
        meanwhile()
        with FileDigests(source, database, Memory()) as digests:
            digests.prefetch(groups[0].items)
            found = {
                item.path: digests(item) for item in groups[0].items if item.path and stat.S_ISREG(item.stat.st_mode)
            }
            return found, digests.racy


def later(monkeypatch, seconds=10):
    """Let the clock say that everything on disk is old."""
    now = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: now() + seconds * 1_000_000_000)


def write(directory, name, content):
    (directory / name).parent.mkdir(parents=True, exist_ok=True)
    (directory / name).write_bytes(content)


@pytest.mark.parametrize("content", [b"", b"small", b"x" * 200_000, b"y" * LARGE])
def test_the_digest_of_a_file_is_that_of_its_bytes(directory, database, content):
    write(directory, "d/f", content)
    assert digests_of(directory, database)[0] == {"d/f": hashlib.sha256(content).digest()}


def test_extended_attributes_of_a_copy_are_part_of_the_digest_and_no_others(directory, database):
    write(directory, "f", b"x")
    os.setxattr(directory / "f", "trusted.note", b"1")
    plain = digests_of(directory, database)[0]["f"]
    os.setxattr(directory / "f", "user.note", b"1")
    noted = digests_of(directory, database)[0]["f"]
    assert noted[:32] == plain
    assert len(noted) == 64


def test_an_unchanged_file_is_never_read_again(directory, database, monkeypatch):
    later(monkeypatch)
    write(directory, "small", b"1")
    write(directory, "d/large", b"2" * LARGE)
    write(directory, "d/large2", b"3" * LARGE)
    first, racy = digests_of(directory, database)
    assert not racy
    with opened_files(directory) as opened:
        assert digests_of(directory, database)[0] == first
    assert opened == set()


def test_only_the_file_that_changed_is_read_again(directory, database, monkeypatch):
    later(monkeypatch)
    write(directory, "a", b"1")
    write(directory, "b", b"1")
    digests_of(directory, database)
    status = (directory / "a").stat()
    write(directory, "a", b"2")
    os.utime(directory / "a", ns=(status.st_atime_ns, status.st_mtime_ns))
    with opened_files(directory) as opened:
        found, _ = digests_of(directory, database)
    assert opened == {"a"}
    assert found["a"] == hashlib.sha256(b"2").digest()


def test_of_many_files_those_alone_are_written_that_were_read_since(directory, database, monkeypatch):
    later(monkeypatch)
    for number in range(40):
        write(directory, f"f{number:02}", b"1")
    digests_of(directory, database)
    rows = dict(database.all("SELECT folder, digests FROM file_digests"))
    ((name, whole),) = rows.items()
    for number, count in enumerate((1, 2, 3)):
        write(directory, f"f{number:02}", b"2")
        found, _ = digests_of(directory, database)
        assert found[f"f{number:02}"] == hashlib.sha256(b"2").digest()
        rows = dict(database.all("SELECT folder, digests FROM file_digests"))
        changed = [marshal.loads(marshal.loads(data)[""]).keys() for other, data in rows.items() if other != name]
        if count < 3:  # of 40, a sixteenth is two
            assert changed == [{f"f{each:02}" for each in range(count)}]
            assert rows[name] == whole
    assert changed == []
    with opened_files(directory) as opened:
        assert digests_of(directory, database)[0] == found
    assert opened == set()


def test_a_file_as_young_as_the_clock_is_not_remembered(directory, database):
    write(directory, "f", b"1")
    os.utime(directory / "f", (1, 1))
    _, racy = digests_of(directory, database)
    with opened_files(directory) as opened:
        digests_of(directory, database)
    assert racy
    assert opened == {"f"}


def test_digests_of_another_directory_are_not_taken(directory, database, monkeypatch):
    later(monkeypatch)
    write(directory, "f", b"1")
    digests_of(directory, database)
    with opened_files(directory) as opened:
        digests_of(directory, database, source_id="there")
    assert opened == {"f"}


def test_of_a_directory_without_identity_nothing_is_remembered(directory, database, monkeypatch):
    later(monkeypatch)
    write(directory, "f", b"1")
    digests_of(directory, database, source_id="")
    assert database.all("SELECT * FROM file_digests") == []


@pytest.mark.parametrize("size", [10, LARGE])
def test_a_file_that_changes_while_it_is_read_is_an_error(directory, database, size):
    write(directory, "f", b"1" * size)
    with pytest.raises(BuildError, match='"/f" changed while it was read') as caught:
        digests_of(directory, database, meanwhile=lambda: write(directory, "f", b"2" * (size + 1)))
    assert caught.value.hint


def test_a_file_that_is_replaced_while_it_is_read_is_an_error(directory, database):
    write(directory, "f", b"1")

    def replace():
        write(directory, "new", b"1")
        (directory / "new").rename(directory / "f")

    with pytest.raises(BuildError, match="changed while it was read"):
        digests_of(directory, database, meanwhile=replace)


def test_a_file_that_becomes_a_link_is_not_followed(directory, database):
    write(directory, "f", b"1")
    write(directory.parent, "secret", b"1")

    def swap():
        (directory / "f").unlink()
        (directory / "f").symlink_to("../secret")

    with pytest.raises((BuildError, OSError)):
        digests_of(directory, database, meanwhile=swap)


@pytest.mark.parametrize("nonsense", [b"nonsense", marshal.dumps([1]), marshal.dumps({"": b"nonsense"})])
def test_what_is_remembered_and_cannot_be_read_is_forgotten(nonsense, directory, database, monkeypatch):
    later(monkeypatch)
    write(directory, "f", b"1")
    digests_of(directory, database)
    database.run("UPDATE file_digests SET digests = ?", (nonsense,))
    assert digests_of(directory, database)[0]["f"] == hashlib.sha256(b"1").digest()


def test_no_descriptor_is_left_open(directory, database):
    for number in range(40):
        write(directory, f"d{number}/f", b"1")
    database.one("SELECT 1")
    before = len(os.listdir("/proc/self/fd"))
    digests_of(directory, database)
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.fixture
def few_descriptors():
    """Leave room for two dozen open files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(number) for number in os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 24, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("few_descriptors")
def test_large_files_are_not_all_open_at_once(directory, database):
    for number in range(60):
        write(directory, f"f{number}", b"")
        os.truncate(directory / f"f{number}", 1 << 20)
    found, _ = digests_of(directory, database)
    assert set(found.values()) == {hashlib.sha256(bytes(1 << 20)).digest()}
    assert len(found) == 60


def test_holes_count_as_zeros_and_are_not_read(directory, database, monkeypatch):
    path = sparse_file(directory / "sparse", 40 * MIB, (3, b"abc"), (20 * MIB + 5, b"def"))
    expected = hashlib.sha256(path.read_bytes()).digest()
    sizes = []
    preadv = os.preadv
    monkeypatch.setattr(os, "preadv", lambda *given: sizes.append(preadv(*given)) or sizes[-1])

    assert digests_of(directory, database)[0] == {"sparse": expected}
    assert sum(sizes) < MIB


def test_threads_that_read_ahead_end_with_the_build(directory, database):
    for name in ("a", "b"):
        sparse_file(directory / name, 1 << 42)

    def interrupted():
        with Root.open_host(directory) as root:
            source = SourceTree(root=root, id="here")
            groups = select(source, Pick(path=".", input=1))
            with FileDigests(source, database, Memory()) as digests:
                digests.prefetch(groups[0].items)
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()


def test_files_of_another_file_system_at_the_same_place_are_read(directory, database, monkeypatch):
    later(monkeypatch)
    write(directory, "f", b"1")
    opened = []
    for mounted in ("one", "one", "two", None, None):
        monkeypatch.setattr("pybuild.builder.content.source_tree.identity", lambda _fd, mounted=mounted: mounted)
        with opened_files(directory) as now:
            digests_of(directory, database)
        opened.append(now)

    assert opened == [{"f"}, set(), {"f"}, {"f"}, {"f"}]
