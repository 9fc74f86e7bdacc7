import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.builder.cli.commands.container.conftest import pen
from tests.builder.cli.conftest import Shop

__all__ = ["pen"]


@contextmanager
def empty_disk(file: Path) -> Iterator[str]:
    """Yield a loop device with an ext4 file system in *file*, without the directory lost+found."""
    file.write_bytes(b"")
    os.truncate(file, 8 << 20)
    subprocess.run(["/sbin/mkfs.ext4", "-q", file], check=True)
    subprocess.run(["/sbin/debugfs", "-w", "-R", "rmdir lost+found", file], check=True, capture_output=True)
    attach = ["/sbin/losetup", "--find", "--show", file]
    device = subprocess.run(attach, check=True, capture_output=True, text=True).stdout.strip()
    try:
        yield device
    finally:
        subprocess.run(["/sbin/losetup", "--detach", device], check=True)


def test_a_volume_outlives_its_containers(pen: Shop) -> None:
    assert pen.run("volume", "create", "data").out == "data\n"
    assert pen.run("volume", "create", "data").out == "data\n"
    pen.run("run", "--rm", "-v", "data:/d", "box", "sh", "-c", "echo x > /d/f")
    assert pen.run("run", "--rm", "-v", "data:/e:ro", "box", "cat", "/e/f").out == "x\n"
    assert pen.run("run", "--rm", "-v", "data:/e:ro", "box", "touch", "/e/g").code == 1
    assert pen.run("run", "--rm", "--mount", "source=data,target=/m", "--name", "mm", "box", "cat", "/m/f").out == "x\n"
    assert pen.run("volume", "ls").lines == ["DRIVER    VOLUME NAME", "local     data"]
    found = json.loads(pen.run("volume", "inspect", "data").out)[0]
    shown = pen.run("volume", "inspect", "-f", "{{.Labels}} {{.Options}} {{json .Options}}", "data").out
    assert shown.endswith(" map[] null\n")
    assert (found["Name"], found["Driver"], found["Scope"]) == ("data", "local", "local")
    with open(found["Mountpoint"] + "/f", encoding="ascii") as file:
        assert file.read() == "x\n"


def test_an_empty_volume_gets_what_the_image_has_there(pen: Shop) -> None:
    assert pen.run("run", "--rm", "-v", "home:/home", "box", "stat", "-c", "%U", "/home/alice").out == "alice\n"
    assert pen.run("run", "--rm", "-v", "other:/home:nocopy", "box", "ls", "/home").out == ""
    pen.run("run", "--rm", "-v", "home:/etc", "box", "true")
    # The mount points of the container's own files stay in a volume, as in Docker.
    assert (
        pen.run("run", "--rm", "-v", "home:/x", "box", "ls", "/x").lines == "alice hostname hosts resolv.conf".split()
    )


def test_volumes_of_the_image_and_without_names_go_with_their_container(pen: Shop, tmp_path: object) -> None:
    with open(f"{tmp_path}/Dockerfile", "w", encoding="ascii") as file:
        file.write("FROM box\nVOLUME /home\n")
    assert pen.run("build", "-t", "with", str(tmp_path)).code == 0
    pen.run("create", "--name", "one", "with")
    pen.run("create", "--name", "two", "-v", "/data", "-v", "named:/n", "box")
    assert len(pen.run("volume", "ls", "-q").lines) == 3
    assert pen.run("rm", "one").code == 0
    assert pen.run("rm", "-v", "two").code == 0
    left = pen.run("volume", "ls", "-q").lines
    assert sorted(map(len, left)) == [5, 64]
    assert pen.run("volume", "prune", "-f").lines[1] == next(name for name in left if len(name) == 64)
    assert pen.run("volume", "ls", "-q").out == "named\n"
    assert pen.run("volume", "prune", "-a", "-f").lines[1] == "named"


def test_one_in_use_stays(pen: Shop) -> None:
    identity = pen.run("create", "--name", "one", "-v", "data:/d", "box").out.strip()
    refused = pen.run("volume", "rm", "data")
    assert (refused.code, refused.err) == (1, f"ERROR: remove data: volume is in use - [{identity}]\n")
    assert pen.run("volume", "prune", "-a", "-f").out == "Total reclaimed space: 0B\n"
    assert pen.run("volume", "ls", "-q", "-f", "dangling=true").out == ""
    pen.run("rm", "one")
    assert pen.run("volume", "ls", "-q", "-f", "dangling=true").out == "data\n"
    assert pen.run("volume", "rm", "data").out == "data\n"
    missing = pen.run("volume", "rm", "data")
    assert (missing.code, missing.err) == (1, "ERROR: get data: no such volume\n")
    assert pen.run("volume", "create", "../x").code == 1


def test_a_missing_directory_is_made_for_v(pen: Shop, tmp_path: object) -> None:
    place = f"{tmp_path}/new/deep"
    assert pen.run("run", "--rm", "--name", "one", "-v", f"{place}:/d", "box", "sh", "-c", "echo x > /d/f").code == 0
    with open(f"{place}/f", encoding="ascii") as file:
        assert file.read() == "x\n"


def test_tmpfs_is_empty_and_as_large_as_said(pen: Shop) -> None:
    script = "mount | grep ' /t ' | grep -o 'size=[0-9]*k'; stat -c %a /t"
    result = pen.run("run", "--rm", "--name", "one", "--tmpfs", "/t:size=1m,mode=750", "box", "sh", "-c", script)
    assert result.out == "size=1024k\n750\n"


def test_dangling_is_a_boolean_as_everywhere(pen: Shop) -> None:
    for value in ("maybe", ""):
        wrong = pen.run("volume", "ls", "-f", f"dangling={value}")
        assert (wrong.code, wrong.out) == (1, "")
        assert f"invalid --filter: dangling={value}" in wrong.err
    pen.run("volume", "create", "--label", "a=b", "free")
    pen.run("create", "--name", "one", "-v", "used:/d", "box")
    assert pen.run("volume", "ls", "-q", "-f", "name=fre", "-f", "name=use").out == "free\nused\n"
    assert pen.run("volume", "ls", "-q", "-f", "label=a", "-f", "label=x").out == ""
    for value, names in (("t", "free\n"), ("TRUE", "free\n"), ("F", "used\n"), ("0", "used\n")):
        assert pen.run("volume", "ls", "-q", "-f", f"dangling={value}").out == names
    for value, names in (("a", "free\n"), ("a=b", "free\n"), ("a=", ""), ("b", "")):
        assert pen.run("volume", "ls", "-q", "-f", f"label={value}").out == names


def test_options_of_the_driver(pen: Shop, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("of the host\n")
    bind = ("-o", "type=none", "-o", "o=bind", "-o", f"device={tmp_path}")
    assert pen.run("volume", "create", *bind, "bound").out == "bound\n"
    assert pen.run("volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs", "-o", "o=size=64k", "quick").code == 0
    run = ("run", "--rm", "--network", "none", "-v", "bound:/b", "-v", "quick:/q", "box", "sh", "-c")
    assert pen.run(*run, "cat /b/file; echo new > /b/new; grep ' /q ' /proc/mounts").lines[0] == "of the host"
    assert (tmp_path / "new").read_text() == "new\n"
    mounted = pen.run(*run, "grep ' /q ' /proc/mounts; ls /q").lines
    assert ("size=64k" in mounted[0], len(mounted)) == (True, 1)
    assert '"device"' in pen.run("volume", "inspect", "bound").out
    pen.run("volume", "rm", "bound", "quick")
    assert (tmp_path / "file").exists()


def test_a_volume_on_a_disk_is_mounted_for_the_container_alone(pen: Shop, tmp_path: Path) -> None:
    with empty_disk(tmp_path / "disk.img") as device:
        made = ("-o", "type=ext4", "-o", f"device={device}", "-o", "o=noatime,errors=remount-ro", "disk")
        assert pen.run("volume", "create", *made).out == "disk\n"
        run = ("run", "--rm", "--network", "none", "-v")
        written = pen.run(
            *run, "disk:/etc", "box", "sh", "-c", "echo new > /etc/new; ls /etc; grep ' /etc ' /proc/mounts"
        )
        assert {"passwd", "new"} <= set(written.lines), "the files of the image are in an empty volume"
        assert written.lines[-1].startswith(f"{device} /etc ext4 rw,nodev,noatime")
        read = pen.run(*run, "disk:/d:ro", "box", "sh", "-c", "cat /d/new; echo x > /d/x")
        assert (read.code, read.lines[0], "Read-only" in read.err) == (1, "new", True)
        assert device not in Path("/proc/mounts").read_text()


@pytest.mark.parametrize("mode", ["", ":nocopy"])
@pytest.mark.parametrize(
    ("kind", "device", "way", "reason"),
    [
        ("nonefs", ":/x", "addr=127.0.0.1,ro", "the kernel of this host has no file system nonefs"),
        ("ext4", "/dev/nothing", "ro", "/dev/nothing: "),
    ],
)
def test_a_volume_that_cannot_be_mounted_is_missed_and_can_be_removed(
    pen: Shop, kind: str, device: str, way: str, reason: str, mode: str
) -> None:
    made = pen.run("volume", "create", "-o", f"type={kind}", "-o", f"o={way}", "-o", f"device={device}", "remote")
    assert (made.code, made.out) == (0, "remote\n")
    refused = pen.run("run", "--rm", "--network", "none", "-v", f"remote:/m{mode}", "box", "true")
    assert (refused.code, reason in refused.err) == (125, True), refused
    assert pen.run("ps", "-aq").out == ""
    assert pen.run("volume", "rm", "remote").code == 0


def test_a_volume_that_is_made_by_a_mount_has_its_labels_and_options(pen: Shop, tmp_path: Path) -> None:
    options = f"volume-opt=type=none,volume-opt=o=bind,volume-opt=device={tmp_path},volume-label=a=b,volume-label=c"
    mount = f"type=volume,src=made,dst=/m,{options}"
    assert pen.run("run", "--rm", "--network", "none", "--mount", mount, "box", "sh", "-c", "echo x > /m/x").code == 0
    assert (tmp_path / "x").read_text() == "x\n"
    assert pen.run("volume", "inspect", "-f", "{{.Labels.a}} {{.Options.o}}", "made").out == "b bind\n"


def test_what_a_mount_cannot_be_is_refused(pen: Shop, tmp_path: Path) -> None:
    for flag, value in (
        ("--mount", f"type=bind,src={tmp_path},dst=/m,bind-propagation=odd"),
        ("-v", "named:/m:rslave"),
        ("-v", f"{tmp_path}:/m:rslave,shared"),
        ("--mount", "type=volume,src=v,dst=/m,volume-driver=other"),
    ):
        done = pen.run("create", "--network", "none", flag, value, "box", "true")
        assert (done.code, "invalid" in done.err or "no volume driver" in done.err) == (1, True), done.err


def test_a_bind_without_what_is_mounted_below(pen: Shop, tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(tmp_path / "below")], check=True)
    try:
        (tmp_path / "below/seen").touch()
        for key, shown in (("", "seen\n"), (",bind-nonrecursive", ""), (",bind-recursive=disabled", "")):
            mount = ("--mount", f"type=bind,src={tmp_path},dst=/m{key}")
            assert pen.run("run", "--rm", "--network", "none", *mount, "box", "ls", "/m/below").out == shown
    finally:
        subprocess.run(["umount", str(tmp_path / "below")], check=True)
