import gzip
import io
import os
import socket
import subprocess
import sys
import tarfile
import time

import pytest

from pybuild.builder.errors import StepFailed
from pybuild.builder.execute.ops import execute
from pybuild.builder.oci.image import write_image
from pybuild.builder.plan.keys import MEANING
from pybuild.builder.plan.ops import Copy
from tests.builder.content.test_trees import directory, layer_of, member
from tests.helpers.images import tiny_config
from tests.helpers.rawtar import archive, file, pax


def base_of(site, *members):
    """Make ``base`` an image of one layer with these members."""
    layer = layer_of(site.store, *members)
    config = tiny_config([b""])
    config = type(config)(architecture="amd64", os="linux", diff_ids=(layer.diff_id,), history=config.history)
    image = write_image(site.store.blobs, config, (layer.descriptor,))
    site.store.layout.tag("docker.io/library/base:latest", image.descriptor)


def archive_of(site, layers):
    with site.store.blobs.open(layers[-1].descriptor) as stream:
        return tarfile.open(fileobj=io.BytesIO(gzip.decompress(stream.read())))


def made(site, instruction, *, base="scratch", **request):
    """What the layer of the instruction holds: path -> member."""
    with archive_of(site, site.solve(f"FROM {base}\n{instruction}\n", **request)) as archive:
        return {entry.name: entry for entry in archive}


def text_of(site, instruction, path, base="scratch"):
    with archive_of(site, site.solve(f"FROM {base}\n{instruction}\n")) as archive:
        stream = archive.extractfile(path)
        assert stream is not None
        return stream.read().decode()


def owner(entry):
    return entry.uid, entry.gid


def test_a_copy_loads_neither_what_unpacks_layers_nor_slow_modules(tmp_path):
    context = tmp_path / "context"
    context.mkdir()
    context.joinpath("Dockerfile").write_text("FROM scratch\nCOPY . /in/\n")
    for number in range(500):  # so many that their places in the layer are remembered
        context.joinpath(f"file-{number}").touch()
    words = ("-X", "importtime", "-m", "pybuild", "build", "--root", tmp_path / "store", context)
    for content in ("as it was", "touched"):  # the second build has the plan of the first
        context.joinpath("file-0").write_text(content)
        done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=True)
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert "pybuild.builder.execute.earlier_layer" in loaded
    assert loaded.isdisjoint(
        {"dataclasses", "inspect", "secrets", "random", "logging", "pybuild.builder.oci.layers.unpack"}
    )


def test_a_file_keeps_mode_time_and_content_and_belongs_to_root(site):
    site.write({"f": "hello"})
    os.chown(site.context / "f", 5, 6)
    os.chmod(site.context / "f", 0o4751)
    os.utime(site.context / "f", (1, 1234567890))
    entry = made(site, "COPY f /d/g")["d/g"]
    assert (entry.mode, owner(entry), entry.mtime) == (0o4751, (0, 0), 1234567890)
    assert text_of(site, "COPY f /d/g", "d/g") == "hello"


@pytest.mark.parametrize(
    ("instruction", "paths"),
    [
        ("COPY f /new", ["new"]),
        ("COPY f /new/", ["new", "new/f"]),
        ("COPY f /d", ["d", "d/f"]),
        ("COPY f .", ["f"]),
        ("COPY f /a/b/c", ["a", "a/b", "a/b/c"]),
        ("COPY f g /d/", ["d", "d/f", "d/g"]),
        ("COPY sub /d", ["d", "d/x"]),
        ("COPY sub /new", ["new", "new/x"]),
        ("COPY sub /", ["x"]),
        ("COPY f /link/y", ["real", "real/y"]),
        ("COPY f /link", ["real", "real/f"]),
        ("COPY f /dangling", ["nowhere"]),
        ("COPY sub /link/new/", ["real", "real/new", "real/new/x"]),
        ("COPY no*thing /d/", []),
    ],
)
def test_where_a_source_goes(site, instruction, paths):
    base_of(
        site,
        directory("d"),
        directory("real"),
        member("link", b"2", linkname="/real"),
        member("dangling", b"2", linkname="nowhere"),
    )
    site.write({"f": "f", "g": "g", "sub/x": "x"})
    assert list(made(site, instruction, base="base")) == paths
    assert site.store.snapshots.names() == ()


def test_an_existing_destination_keeps_its_owner_and_mode_and_a_directory_below_takes_the_sources(site):
    base_of(site, directory("d", mode=0o1777, uid=7), directory("d/sub", mode=0o700, uid=7))
    site.write({"src/sub/f": "1"})
    os.chmod(site.context / "src" / "sub", 0o2755)
    entries = made(site, "COPY src /d", base="base")
    assert (entries["d"].mode, owner(entries["d"])) == (0o1777, (7, 0))
    assert (entries["d/sub"].mode, owner(entries["d/sub"])) == (0o2755, (0, 0))


@pytest.mark.parametrize("destination", ["/new", "/new/"])
def test_a_new_destination_directory_is_plain_whatever_the_source_was(site, destination):
    site.write({"src/f": "1"})
    os.chmod(site.context / "src", 0o700)
    entry = made(site, f"COPY --chown=5:6 src {destination}")["new"]
    assert (entry.mode, owner(entry)) == (0o755, (5, 6))


def test_an_owner_holds_for_everything_and_a_mode_for_what_is_copied(site):
    site.write({"src/sub/f": "1"})
    os.symlink("f", site.context / "src" / "l")
    entries = made(site, "COPY --chown=5:6 --chmod=0640 src /a/b")
    assert {owner(entry) for entry in entries.values()} == {(5, 6)}
    modes = {path: entry.mode for path, entry in entries.items()}
    assert modes == {"a": 0o640, "a/b": 0o640, "a/b/l": 0o777, "a/b/sub": 0o640, "a/b/sub/f": 0o640}


def test_an_owner_without_a_group_has_the_group_of_its_number(site):
    site.write({"f": "1"})
    assert owner(made(site, "COPY --chown=7 f /f")["f"]) == (7, 7)


def test_owner_names_are_those_of_the_image(site):
    site.write({"passwd": "alice:x:11:12::/:\n", "group": "staff:x:13:\n", "f": "1"})
    text = "COPY passwd group /etc/\nCOPY --chown={} f /f"
    assert owner(made(site, text.format("alice"))["f"]) == (11, 12)
    assert owner(made(site, text.format("alice:staff"))["f"]) == (11, 13)


def test_owners_that_the_image_does_not_know_are_root_and_said_to_be(site):
    site.write({"group": "staff:x:13:\n", "f": "1"})
    text = "COPY group /etc/\nCOPY --chown={} f /f"
    assert owner(made(site, text.format("bob"))["f"]) == (0, 0)
    assert owner(made(site, text.format("bob:staff"))["f"]) == (0, 13)
    assert owner(made(site, text.format("7:nobodies"))["f"]) == (7, 7)


def test_an_owner_out_of_range_is_refused(site):
    site.write({"f": "1"})
    with pytest.raises(StepFailed, match="4294967295"):
        made(site, "COPY --chown=4294967295 f /f")


def test_files_of_a_stage_keep_their_owner(site):
    site.write({"f": "1"})
    layers = site.solve("FROM scratch AS a\nCOPY --chown=5:6 f /d/f\nFROM scratch\nCOPY --from=a /d /e\n")
    with archive_of(site, layers) as archive:
        owners = {entry.name: owner(entry) for entry in archive}
    assert owners == {"e": (0, 0), "e/f": (5, 6)}


def test_links_stay_links_and_hard_links_stay_one_file(site):
    site.write({"src/a": "1"})
    os.link(site.context / "src" / "a", site.context / "src" / "b")
    os.symlink("/anywhere", site.context / "src" / "l")
    entries = made(site, "COPY src /d")
    assert entries["d/l"].linkname == "/anywhere"
    assert entries["d/b"].islnk()
    assert entries["d/b"].linkname == "d/a"


def test_special_files_are_copied_as_they_are(site):
    site.write({"src/f": "1"})
    os.mkfifo(site.context / "src" / "pipe")
    os.mknod(site.context / "src" / "null", 0o20666, os.makedev(1, 3))
    entries = made(site, "COPY src /d")
    assert entries["d/pipe"].isfifo()
    assert (entries["d/null"].devmajor, entries["d/null"].devminor) == (1, 3)


@pytest.mark.parametrize("size", [1, 200_000, 3 << 20])
def test_attributes_of_the_user_stay_in_the_context(site, size):
    site.write({"f": "1" * size})
    os.setxattr(site.context / "f", "user.note", b"x")
    assert made(site, "COPY f /f")["f"].pax_headers == {}
    os.setxattr(site.context / "f", "user.note", b"y")
    assert site.ran() == []


def test_attributes_of_the_user_that_a_step_has_set_are_kept(site):
    layer = archive(pax(("SCHILY.xattr.user.note", b"x\xff")), file("f", b"1"))
    (site.context / "a.tar").write_bytes(layer)
    text = "FROM scratch AS made\nADD a.tar /\nFROM scratch\nCOPY --from=made /f /g\n"
    with archive_of(site, site.solve(text)) as copied:
        note = copied.getmember("g").pax_headers["SCHILY.xattr.user.note"]
    assert note.encode("utf-8", "surrogateescape") == b"x\xff"


@pytest.mark.parametrize("instruction", ["COPY s /d/s", "COPY s /d/", "COPY . /d", "COPY s* /d/", "ADD s /d/s"])
def test_a_socket_of_the_context_is_an_empty_file(site, instruction):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.fspath(site.context / "s"))
    os.chmod(site.context / "s", 0o640)
    os.utime(site.context / "s", (1, 1000))
    entry = made(site, instruction)["d/s"]
    assert (entry.isreg(), entry.size, entry.mode, entry.mtime) == (True, 0, 0o640, 1000)


@pytest.mark.parametrize("extra", [0, 1])
def test_a_path_that_no_reader_takes_is_not_written(site, extra):
    site.write({"f": "1"})
    path = "/".join(["d" * 255] * 16)[: 4095 + extra - len("/f")] + "/f"
    if not extra:
        assert path in made(site, f"COPY f /{path}")
        return
    with pytest.raises(StepFailed, match="a path of 4096 bytes; a layer holds at most 4095"):
        site.solve(f"FROM scratch\nCOPY f /{path}\n")


def test_a_name_that_no_file_system_takes_is_not_written(site):
    site.write({"f": "1"})
    with pytest.raises(StepFailed, match="a name of more than 255 bytes"):
        site.solve(f"FROM scratch\nCOPY f /d/{'é' * 128}/f\n")


def test_a_name_that_is_no_text_survives(site):
    (site.context / "src").mkdir()
    (site.context / "src" / "\udcff\udcfe").write_text("1")
    assert "d/\udcff\udcfe" in made(site, "COPY src /d")


@pytest.mark.parametrize(
    ("instruction", "message"),
    [
        ("COPY sub /file", "cannot copy to non-directory: /file"),
        ("COPY f /file/", "cannot copy to non-directory: /file"),
        ("COPY f /file/x", "cannot copy to non-directory: /file"),
        ("COPY sub /d2", "cannot copy to non-directory: /d2/x"),
        ("COPY g /d", "cannot replace to directory /d/g with file"),
        ("COPY f /loop/x", "too many links"),
    ],
)
def test_what_does_not_go_together_is_refused(site, instruction, message):
    base_of(
        site,
        member("file"),
        directory("d"),
        directory("d/g"),
        directory("d2"),
        member("d2/x"),
        member("loop", b"2", linkname="loop"),
    )
    site.write({"f": "1", "g": "1", "sub/x/y": "1"})
    with pytest.raises(StepFailed) as caught:
        made(site, instruction, base="base")
    assert message in caught.value.message
    assert caught.value.lines == (2, 2)


def test_a_heredoc_is_a_file_of_root(site):
    entry = made(site, "COPY --chmod=0700 <<run.sh <<b /d/\necho 1\nrun.sh\n2\nb")["d/run.sh"]
    assert (entry.mode, owner(entry), entry.size) == (0o700, (0, 0), 7)
    assert text_of(site, "COPY <<f /g\ntext\nf", "g") == "text\n"


def test_large_files_are_copied_whole(site):
    (site.context / "big").write_bytes(b"0123456789abcdef" * (200 << 10))
    assert made(site, "COPY big /big")["big"].size == 3200 << 10
    assert text_of(site, "COPY big /big", "big").endswith("abcdef")


def test_no_time_is_later_than_the_epoch(site):
    site.write({"f": "1"})
    assert made(site, "COPY f /d/f", source_date_epoch=1000)["d/f"].mtime == 1000


def test_a_layer_is_the_same_whenever_it_is_written(site):
    site.write({"src/b": "1", "src/a": "2"})
    first = site.solve("FROM scratch\nCOPY src /\n")
    again = site.solve(no_cache=True)
    assert first[-1].diff_id == again[-1].diff_id


@pytest.mark.parametrize(
    ("instruction", "path"),
    [
        ("COPY src/ /new/", "new"),
        ("COPY src /there", "there"),
        ("COPY src/. /made/up", "made/up"),
        ("COPY --link src /linked", "linked"),
        ("COPY --parents ./src/./in/f /with", "with"),
        ("COPY in src /both/", "both"),
        ("COPY --chmod=711 --chown=1:2 src /there", "there"),
    ],
)
def test_a_directory_has_the_time_of_the_one_it_was_copied_from(site, instruction, path):
    base_of(site, directory("there", mode=0o750, mtime=7))
    site.write({"src/in/f": "1", "in/g": "2"})
    os.utime(site.context / "src/in", (1, 3000))
    os.utime(site.context / "src", (1, 1234567890))
    entries = made(site, instruction, base="base")
    assert entries[path].mtime == 1234567890
    assert entries[path].mode == (0o750 if path == "there" else 0o755)


def test_an_uncached_copy_of_the_same_sources_is_the_same_layer_whenever_it_is_made(site, monkeypatch):
    site.write({"a/f": "1"})
    base_of(site, directory("app"))
    first = site.solve("FROM base\nCOPY . /app\nCOPY a /new\n")
    monkeypatch.setattr(time, "time", lambda: 2_000_000_000.5)
    again = site.solve(no_cache=True)
    assert [layer.diff_id for layer in again] == [layer.diff_id for layer in first]


def test_the_root_of_a_stage_has_the_time_of_the_latest_that_lies_in_it(site):
    site.write({"f": "1", "d/late": "2"})
    for name, seconds in {"f": 1000, "d/late": 9000, "d": 2000}.items():
        os.utime(site.context / name, (1, seconds))
    text = "FROM scratch AS stage\nCOPY f /\nCOPY d /d\nFROM scratch\nCOPY --from=stage / /new\n"
    with archive_of(site, site.solve(text)) as archive:
        assert archive.getmember("new").mtime == 2000


def test_a_copy_of_before_directories_had_times_and_modes_of_their_own_is_made_again(site, monkeypatch):
    site.write({"src/f": "1"})
    with monkeypatch.context() as before:
        before.setitem(MEANING, Copy, 1)
        site.solve("FROM scratch\nCOPY --chmod=700 src /d\n")
    assert site.ran() == ["copy to /d"]
    assert site.ran() == []


def test_a_symbolic_mode_is_worked_out_for_each_entry(site):
    site.write({"src/run": "1", "src/text": "2", "src/d/x": "3"})
    for name, mode in {"run": 0o700, "text": 0o600, "d": 0o700, "d/x": 0o4711}.items():
        os.chmod(site.context / "src" / name, mode)
    os.symlink("run", site.context / "src" / "link")
    entries = made(site, "COPY --chmod=u=rwX,go=rX src /o/")
    modes = {name: oct(entry.mode) for name, entry in entries.items()}
    assert modes == {
        "o": "0o755", "o/run": "0o755", "o/text": "0o644", "o/d": "0o755", "o/d/x": "0o755", "o/link": "0o777",
    }  # fmt: skip
    assert made(site, "COPY --chmod=+x <<f /g\nx\nf")["g"].mode == 0o755


def test_a_linked_copy_makes_its_own_directories_and_follows_no_link(site):
    base_of(site, directory("real", mode=0o700), member("lib", b"2", linkname="real"), directory("kept", mode=0o1777))
    site.write({"f": "1"})
    assert sorted(made(site, "COPY f /lib/f", base="base")) == ["real", "real/f"]
    entries = made(site, "COPY --link f /lib/f", base="base")
    assert {name: entry.isdir() for name, entry in entries.items()} == {"lib": True, "lib/f": False}
    assert made(site, "COPY --link f /kept/", base="base")["kept"].mode == 0o755
    assert owner(made(site, "COPY --link --chown=5:6 f /kept/", base="base")["kept"]) == (5, 6)


@pytest.mark.parametrize(("flag", "names"), [("", ["d", "d/x"]), ("--unpack=false", ["d", "d/a.tar"])])
def test_add_unpacks_a_local_archive_unless_it_must_not(site, flag, names):
    with tarfile.open(site.context / "a.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo("x"))
    assert sorted(made(site, f"ADD {flag} a.tar /d/")) == names


def test_a_link_that_an_earlier_step_copied_is_replaced_by_a_file(site):
    site.write({"links/other": "1", "f": "new"})
    os.symlink("elsewhere", site.context / "links" / "f")
    assert made(site, "COPY links /links\nCOPY f /links/")["links/f"].isfile()


def test_a_second_name_of_a_file_keeps_its_content_when_the_first_is_overwritten(site):
    site.write({"1/a": "linked", "2/a": "other"})
    os.link(site.context / "1" / "a", site.context / "2" / "b")
    assert text_of(site, "COPY 1 2 /d/", "d/a") == "other"
    assert text_of(site, "COPY 1 2 /d/", "d/b") == "linked"


def test_a_directory_may_be_deeper_than_python_recurses(site):
    for depth in range(1, 1101):
        (site.context / "/".join("d" * depth)).mkdir()
    assert len(made(site, "COPY d /d")) == 1100


def test_parents_are_kept_when_asked(site):
    site.write({"a/b/f": "1", "a/other": "1"})
    assert list(made(site, "COPY --parents a/b/f /d/")) == ["d", "d/a", "d/a/b", "d/a/b/f"]


def test_a_file_that_is_written_to_before_it_is_copied_is_an_error_that_leaves_nothing_behind(site):
    old, new = "a" * 200_000, "b" * 200_000
    site.write({"f": old})
    os.utime(site.context / "f", (1, 1))

    def write_first(work):
        site.write({"f": new})
        return execute(work)

    usual, site.execute = site.execute, write_first
    with pytest.raises(StepFailed, match='"/f" changed while it was read'):
        made(site, "COPY f /f")
    site.execute = usual
    site.write({"f": old})
    assert text_of(site, "COPY f /f", "f") == old
