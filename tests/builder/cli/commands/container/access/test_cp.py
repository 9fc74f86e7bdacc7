import fcntl
import gzip
import io
import os
import subprocess
import sys
import tarfile
import threading
import time
from pathlib import Path

import pytest

from pybuild.builder.containers.catalog import Containers
from pybuild.builder.containers.files import whole_tree
from tests.builder.cli.conftest import Shop
from tests.helpers.waiting import until


@pytest.fixture(params=["running", "stopped"])
def one(pen: Shop, request: pytest.FixtureRequest) -> str:
    script = "mkdir -p /d/e; echo a >/d/a; echo b >/d/e/b; ln -s /etc/motd /link; ln -s a /d/l; chmod 640 /d/a; chown 5:6 /d/a"
    pen.run(
        "run", "-d", "--name", "one", "-v", "vol:/v", "box", "sh", "-c", f"{script}; echo v > /v/f; echo ok; sleep 1000"
    )
    while pen.run("logs", "one").out != "ok\n":
        pass
    if request.param == "stopped":
        pen.run("kill", "one")
    return "one"


def tree(path: Path) -> dict[str, str]:
    return {str(each.relative_to(path)): each.read_text() for each in sorted(path.rglob("*")) if each.is_file()}


def test_files_come_out(pen: Shop, one: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    assert pen.run("cp", f"{one}:/d", str(out)).code == 0
    assert tree(out) == {"d/a": "a\n", "d/e/b": "b\n", "d/l": "a\n"}
    assert os.readlink(out / "d/l") == "a"
    status = (out / "d/a").stat()
    assert (status.st_uid, status.st_mode & 0o777) == (os.getuid(), 0o640)
    assert pen.run("cp", f"{one}:/d/.", str(out)).code == 0
    assert (out / "a").read_text() == "a\n"
    assert pen.run("cp", f"{one}:/d", str(tmp_path / "new")).code == 0
    assert tree(tmp_path / "new") == {"a": "a\n", "e/b": "b\n", "l": "a\n"}
    assert pen.run("cp", "-a", f"{one}:/d/a", str(out / "kept")).code == 0
    assert ((out / "kept").stat().st_uid, (out / "kept").stat().st_gid) == (5, 6)
    assert pen.run("cp", f"{one}:/link", str(out)).code == 0
    assert os.readlink(out / "link") == "/etc/motd"
    assert pen.run("cp", "-L", f"{one}:/link", str(out / "followed")).code == 0
    assert (out / "followed").read_text() == "welcome\n"
    assert pen.run("cp", f"{one}:/v/f", str(out)).code == 0
    assert (out / "f").read_text() == "v\n"


def test_files_go_in(pen: Shop, one: str, tmp_path: Path) -> None:
    (tmp_path / "in/sub").mkdir(parents=True)
    (tmp_path / "in/f").write_text("new\n")
    (tmp_path / "in/sub/g").write_text("deep\n")
    os.chown(tmp_path / "in/f", 7, 8)
    for words in ((f"{tmp_path}/in", "one:/tmp"), (f"{tmp_path}/in/.", "one:/d"), (f"{tmp_path}/in/f", "one:/etc/f2")):
        assert pen.run("cp", *words).code == 0
    assert pen.run("cp", f"{tmp_path}/in/f", "one:/v/").code == 0
    if not pen.run("ps", "-q").out:
        pen.run("commit", one, "copied")
        shown = pen.run(
            "run",
            "-v",
            "vol:/v",
            "copied",
            "sh",
            "-c",
            "cat /tmp/in/f /tmp/in/sub/g /d/f /d/a /etc/f2 /v/f; stat -c %u:%g /d/f",
        )
    else:
        shown = pen.run(
            "exec", one, "sh", "-c", "cat /tmp/in/f /tmp/in/sub/g /d/f /d/a /etc/f2 /v/f; stat -c %u:%g /d/f"
        )
    assert shown.out == "new\ndeep\nnew\na\nnew\nnew\n0:0\n"


def test_mistakes_are_told(pen: Shop, one: str, tmp_path: Path) -> None:
    for words, text in (
        ((f"{one}:/nope", str(tmp_path)), "Could not find the file /nope"),
        ((f"{one}:/d", f"{tmp_path}/no/such/place"), "Could not find the directory"),
        ((f"{one}:/d/a", f"{tmp_path}/new/"), "no such directory"),
        (("a", "b"), "must specify at least one container source"),
        ((f"{one}:/a", f"{one}:/b"), "copying between containers is not supported"),
    ):
        result = pen.run("cp", *words)
        assert (result.code in {1, 2}, text in result.err) == (True, True), result.err
    (tmp_path / "file").write_text("")
    assert pen.run("cp", f"{one}:/d", f"{tmp_path}/file").code == 1
    assert pen.run("cp", f"{tmp_path}/file", f"{one}:/d/e").code == 0


def test_no_link_of_the_container_leads_out(pen: Shop, tmp_path: Path) -> None:
    # CVE-2018-15664: the container swaps a directory for a link to the host while files are copied.
    canary = tmp_path / "canary"
    canary.mkdir()
    (tmp_path / "evil").write_text("evil\n")
    swap = f"cd /; mkdir -p a b{canary}; while :; do mv a x; ln -s {canary} a; rm a; mv x a; done"
    pen.run("run", "-d", "--name", "one", "box", "sh", "-c", swap)
    errors: list[str] = []

    def work() -> None:
        for _ in range(40):
            result = pen.run("cp", f"{tmp_path}/evil", "one:/a/evil")
            errors.append(result.err)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert list(canary.iterdir()) == []
    assert not any("Traceback" in error for error in errors)
    pen.run("exec", "one", "sh", "-c", f"ln -s ../../../../../..{tmp_path} /up")
    pen.run("cp", f"{tmp_path}/evil", "one:/up/canary/evil")
    pen.run("cp", "one:/up/evil", str(canary / "out"))
    assert not (canary / "evil").exists()
    assert not (canary / "out").exists()


def archived(pen: Shop, *words: str) -> tarfile.TarFile:
    """The archive that ``cp`` writes, read again."""
    program = [sys.executable, "-m", "pybuild", "--root", str(pen.store.root), "cp", *words, "-"]
    raw = subprocess.run(program, capture_output=True, check=True).stdout
    return tarfile.open(fileobj=io.BytesIO(raw))


def taken(pen: Shop, archive: bytes, target: str) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-m", "pybuild", "--root", str(pen.store.root), "cp", "-", target]
    done = subprocess.run(program, capture_output=True, check=False, input=archive)
    return subprocess.CompletedProcess(program, done.returncode, done.stdout.decode(), done.stderr.decode())


def archive_of(*members: tuple[str, bytes | str | None], how: str = "w", **status: int) -> bytes:
    """An archive of files (bytes), symlinks (a target) and directories (None)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=how) as file:  # type: ignore[call-overload]
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.uid, info.gid, info.mode = status.get("uid", 0), status.get("gid", 0), status.get("mode", 0o644)
            info.mtime = 1000
            if isinstance(content, bytes):
                info.size = len(content)
            else:
                info.type = tarfile.DIRTYPE if content is None else tarfile.SYMTYPE
                info.linkname = content or ""
            file.addfile(info, io.BytesIO(content) if isinstance(content, bytes) else None)
    return out.getvalue()


def test_an_archive_comes_out(pen: Shop, one: str) -> None:
    with archived(pen, f"{one}:/d") as file:
        assert sorted(file.getnames()) == ["d", "d/a", "d/e", "d/e/b", "d/l"]
        member = file.getmember("d/a")
        assert (member.uid, member.gid, member.mode, member.size) == (5, 6, 0o640, 2)
        assert file.getmember("d/l").linkname == "a"
        content = file.extractfile("d/a")
        assert content is not None
        assert content.read() == b"a\n"
    with archived(pen, f"{one}:/d/.") as file:
        assert sorted(file.getnames()) == [".", "./a", "./e", "./e/b", "./l"]
    with archived(pen, f"{one}:/link") as file:
        assert file.getmember("link").linkname == "/etc/motd"
    with archived(pen, "-L", f"{one}:/link") as file:
        assert file.getmember("motd").size == len("welcome\n")
    with archived(pen, f"{one}:/v/f") as file:
        assert file.getnames() == ["f"]
    missing = pen.run("cp", f"{one}:/nope", "-")
    assert (missing.code, missing.out) == (1, "")


def test_an_archive_goes_in(pen: Shop, one: str) -> None:
    content = archive_of(("sub", None), ("sub/f", b"new"), ("sub/.wh.f", b"no whiteout"), uid=7, gid=8, mode=0o750)
    assert taken(pen, content, f"{one}:/d").returncode == 0
    assert taken(pen, gzip.compress(archive_of(("z", b"packed"))), f"{one}:/v").returncode == 0
    with archived(pen, f"{one}:/d/sub") as file:
        assert sorted(file.getnames()) == ["sub", "sub/.wh.f", "sub/f"]
        assert {(each.uid, each.gid, each.mode, each.mtime) for each in file.getmembers()} == {(7, 8, 0o750, 1000)}
    with archived(pen, f"{one}:/v/z") as file:
        assert file.getmember("z").size == 6
    assert "must be a directory" in taken(pen, content, f"{one}:/d/a").stderr
    assert "Could not find the file /nope" in taken(pen, content, f"{one}:/nope").stderr
    assert "Traceback" not in taken(pen, b"x" * 2000, f"{one}:/d").stderr


def test_nothing_of_an_archive_leaves_the_container(pen: Shop, one: str, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    hostile = [
        archive_of(("../../../../x", b"up")),
        archive_of((f"{outside}/x", b"absolute")),
        archive_of(("out", str(outside)), ("out/x", b"through a link")),
        archive_of(("out", "../../../../../../../../" + str(outside)), ("out/x", b"through a link")),
    ]
    for content in hostile:
        taken(pen, content, f"{one}:/d/e")
    assert [*outside.iterdir()] == []
    assert not Path("/x").exists()


def test_who_reads_a_stopped_container_does_not_disturb_who_writes(pen: Shop) -> None:
    pen.run("create", "--name", "one", "--network", "none", "box")
    containers = Containers(pen.store)
    container = containers.find("one")
    with (
        whole_tree(containers, container, writes=True) as written,
        whole_tree(containers, container, writes=False) as read,
    ):
        with open(written.open("etc/motd", os.O_WRONLY | os.O_TRUNC), "wb") as file:
            file.write(b"changed")
        assert read.stat("etc/motd") is not None
    with whole_tree(containers, container, writes=False) as read, open(read.open("etc/motd"), "rb") as file:
        assert file.read() == b"changed"


def test_the_volumes_of_a_stopped_container_are_in_its_tree(pen: Shop, tmp_path: Path) -> None:
    (tmp_path / "bound").mkdir()
    (tmp_path / "bound/f").write_text("host")
    (tmp_path / "file").write_text("one file")
    bound = ("-o", "type=none", "-o", "o=bind", "-o", f"device={tmp_path}/bound")
    assert pen.run("volume", "create", "elsewhere", *bound).code == 0
    binds = ("-v", "elsewhere:/data/v", "-v", "plain:/data/w/x", "-v", f"{tmp_path}/file:/data/file")
    pen.run("create", "--name", "one", "--network", "none", *binds, "box", "true")
    assert taken(pen, archive_of(("g", b"new")), "one:/data/v").returncode == 0
    assert taken(pen, archive_of(("v/h", b"h"), ("w/x/deep", b"d"), ("own", b"o")), "one:/data").returncode == 0
    assert tree(tmp_path / "bound") == {"f": "host", "g": "new", "h": "h"}
    assert tree(pen.store.root / "volumes/plain/data") == {"deep": "d"}
    assert pen.run("cp", "one:/data", str(tmp_path / "out")).code == 0
    assert tree(tmp_path / "out") == {
        "file": "one file", "own": "o", "v/f": "host", "v/g": "new", "v/h": "h", "w/x/deep": "d",
    }  # fmt: skip
    assert pen.run("diff", "one").lines == ["A /data", "A /data/own"]  # no mount point is left


def test_what_the_kernel_shows_is_not_copied(pen: Shop, one: str, tmp_path: Path) -> None:
    program = [sys.executable, "-m", "pybuild", "--root", str(pen.store.root), "cp", f"{one}:/.", "-"]
    packed = subprocess.run(program, stdout=subprocess.PIPE, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        names = [member.name for member in archive]
    assert {"./d/a", "./v/f"} <= {*names}
    assert [name for name in names if name.startswith(("./proc/", "./sys/", "./dev/"))] == []
    assert pen.run("cp", f"{one}:/.", str(tmp_path / "out")).code == 0
    assert (tmp_path / "out/v/f").read_text() == "v\n"
    assert [*(tmp_path / "out/proc").iterdir()] == []
    assert "Could not find the file /proc/version" in pen.run("cp", f"{one}:/proc/version", "-").err
    if pen.run("ps", "-q").out:  # nothing was unmounted for the container itself
        assert pen.run("exec", one, "cat", "/proc/self/comm", "/sys/kernel/uevent_seqnum").code == 0


def test_a_container_is_not_started_again_while_its_files_are_copied(pen: Shop) -> None:
    pen.run("run", "-d", "--name", "one", "--network", "none", "--restart", "always", "box", "false")
    containers = Containers(pen.store)
    container = containers.find("one")
    until(lambda: container.state.status == "restarting")
    with whole_tree(containers, container, writes=True):
        until(lambda: container.state.status == "restarting")  # it may have been started just before
        state = container.state
        time.sleep(1)  # longer than the next pauses
        assert container.state == state
    until(lambda: container.state.restarts > state.restarts)


def test_what_is_read_only_is_not_written(pen: Shop, one: str, tmp_path: Path) -> None:
    content = archive_of(("g", b"new"))
    for name, options in (("sealed", ("--read-only",)), ("open", ())):
        volumes = ("-v", "kept:/kept:ro", "-v", "written:/written")
        pen.run("run", "-d", "--name", name, *options, *volumes, "box", "sleep", "1000")
    if pen.run("inspect", "-f", "{{.State.Running}}", one).out == "false\n":
        pen.run("kill", "sealed", "open")
    for name in ("sealed", "open"):
        assert taken(pen, content, f"{name}:/written").returncode == 0
        assert "mounted volume is marked read-only" in taken(pen, content, f"{name}:/kept").stderr
    for path in ("/tmp", "/"):
        assert "container rootfs is marked read-only" in taken(pen, content, f"sealed:{path}").stderr
    assert tree(pen.store.root / "volumes/kept/data") == {}
    # Through a link it is the kernel that refuses, which is not about the store.
    assert taken(pen, archive_of(("link", "/kept")), "open:/").returncode == 0
    refused = taken(pen, content, "open:/link")
    assert (refused.returncode, refused.stderr) == (1, "ERROR: /link: read-only file system\n")


def test_one_command_at_a_time_writes_to_a_stopped_container(pen: Shop) -> None:
    pen.run("create", "--name", "one", "--network", "none", "box", "cat", "/f")
    containers = Containers(pen.store)
    container = containers.find("one")
    with (container.directory / "lock").open("a") as lock:
        with whole_tree(containers, container, writes=True), pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
