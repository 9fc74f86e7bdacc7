"""Mounts as values, made in a mount namespace of the test's own."""

import os
from pathlib import Path

import pytest

from pybuild.runtime.errors import SandboxError
from pybuild.runtime.rootfs.roots import DirectoryRoot, OverlayRoot
from pybuild.runtime.sandbox.inside import mounts
from pybuild.runtime.sandbox.inside.scratch import ScratchSpace
from pybuild.runtime.sandbox.spec import Bind, BindRoot, FileMount, ResourceLimits, Tmpfs
from tests.runtime.namespaces import in_mount_namespace
from tests.runtime.sandboxes import Image, at


def test_the_scratch_tmpfs_hides_nothing_of_the_host() -> None:
    def work() -> object:
        scratch = ScratchSpace()
        scratch.directory("x")
        return sorted(os.listdir(f"/proc/self/fd/{scratch.fd}")), os.path.exists("/etc/passwd"), os.path.exists("/x")

    assert in_mount_namespace(work) == "(['x'], True, False)"


def test_a_file_is_mounted_alone_and_cannot_be_changed(tmp_path: Path) -> None:
    def work() -> object:
        tree = mounts.FileMount(b"secret", 7, 0o440, b"/run/s", 5).make(ScratchSpace())
        status = os.fstat(tree)
        path = f"/proc/self/fd/{tree}"
        for act in (lambda: os.chmod(path, 0o777), lambda: os.open(path, os.O_WRONLY)):
            with pytest.raises(OSError, match="Read-only"):
                act()
        return oct(status.st_mode & 0o777), status.st_uid, status.st_gid, Path(path).read_text()

    assert in_mount_namespace(work) == "('0o440', 5, 7, 'secret')"


@pytest.mark.parametrize(
    "target", ["/proc", "/proc/../proc/", "/proc/self/fd/7", "/sys", "/sys/fs", "/dev", "/dev/../dev/", "/"]
)
def test_nothing_is_mounted_over_system_directories_or_the_root(image: Image, target: str) -> None:
    with pytest.raises(SandboxError, match=r"not allowed|cannot be a mount target"):
        image.run("true", mounts=(Tmpfs(target=at(target)),))
    assert image.left() == []


OWN_IN_DEV = ("null", "fd", "fd/7", "stdout", "ptmx", "pts", "pts/x", "mqueue", "mqueue/x", "tty", "urandom/x")


@pytest.mark.parametrize("name", OWN_IN_DEV)
@pytest.mark.parametrize("directory", ["/dev", "/link"])
def test_nothing_is_mounted_over_what_the_sandbox_has_in_dev(image: Image, directory: str, name: str) -> None:
    (image.layer / "link").symlink_to("/dev")
    with pytest.raises(SandboxError):
        image.run("true", mounts=(Tmpfs(target=at(f"{directory}/{name}")),))
    with pytest.raises(SandboxError):
        image.run("true", mounts=(FileMount(target=at(f"{directory}/{name}"), content=b"x"),))
    assert image.left() == []


def test_new_names_in_dev_are_mount_targets_and_leave_nothing(image: Image) -> None:
    (image.layer / "link").symlink_to("/dev")
    mounts = (
        Tmpfs(target=at("/dev/foo"), mode=0o750),
        Tmpfs(target=at("/dev/a/b")),
        Tmpfs(target=at("/dev/shm"), mode=0o700),
        Tmpfs(target=at("/link/c")),
        FileMount(target=at("/dev/key"), content=b"secret"),
    )
    result = image.shell(
        "stat -c %a /dev/foo /dev/shm; echo > /dev/a/b/x; echo > /dev/c/x; cat /dev/key", mounts=mounts
    )
    assert (result.out, result.err) == ("750\n700\nsecret", "")
    assert image.left() == []


def test_a_link_of_the_image_to_a_system_directory_is_no_mount_target_either(image: Image) -> None:
    (image.layer / "x").symlink_to("/proc")
    (image.layer / "y").symlink_to("/sys/fs")
    for target in ("/x", "/x/self", "/y"):
        with pytest.raises(SandboxError):
            image.run("true", mounts=(Tmpfs(target=at(target)),))


def test_a_target_below_a_link_lands_inside_the_root(image: Image, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (image.layer / "out").symlink_to(outside)
    image.shell("echo x > /out/here/file", mounts=(Tmpfs(target=at("/out/here")),))
    assert list(outside.iterdir()) == []
    assert image.left() == []


def test_the_source_in_another_root_is_resolved_in_that_root(image: Image, tmp_path: Path) -> None:
    other = tmp_path / "other"
    (other / "data").mkdir(parents=True)
    (other / "data/file").write_text("of the stage")
    (other / "link").symlink_to("/")
    (other / "up").symlink_to("../../../../..")
    for source in ("/link", "/up", "../../..", "/link/up/link"):
        root = BindRoot(root=DirectoryRoot(path=other), source=at(source), target=at("/m"))
        assert image.shell("ls /m; cat /m/data/file", mounts=(root,)).out == "data\nlink\nup\nof the stage"
    missing = BindRoot(root=DirectoryRoot(path=other), source=at("/proc/self/fd"), target=at("/m"))
    with pytest.raises(SandboxError, match="bind from another root /proc/self/fd: No such file"):
        image.run("true", mounts=(missing,))


def test_another_root_is_read_only_unless_asked_for_and_then_written_to_its_upper(image: Image, tmp_path: Path) -> None:
    for name in ("low", "up", "wk"):
        (tmp_path / name).mkdir()
    (tmp_path / "low/file").write_text("low")
    view = OverlayRoot(lowers=(tmp_path / "low",))
    writable = OverlayRoot(lowers=(tmp_path / "low",), upper=tmp_path / "up", work=tmp_path / "wk")
    mounts = (
        BindRoot(root=view, source=at("/"), target=at("/a")),
        BindRoot(root=writable, source=at("/"), target=at("/b"), read_only=False),
        BindRoot(root=view, source=at("/file"), target=at("/c")),
    )
    result = image.shell("echo x > /a/file; echo x > /c; echo new > /b/file; cat /a/file /b/file /c", mounts=mounts)
    assert result.out == "lownew\nlow"
    assert result.err.count("Read-only file system") == 2
    assert (tmp_path / "up/file").read_text() == "new\n"
    assert (tmp_path / "low/file").read_text() == "low"
    assert image.left() == []


def test_a_bind_of_the_host_is_written_through_and_makes_no_device_usable(image: Image, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    os.mknod(cache / "null", 0o020666, os.makedev(1, 3))
    mounts = (Bind(host_path=cache, target=at("/cache"), read_only=False), Bind(host_path=cache, target=at("/ro")))
    result = image.shell("echo x > /cache/file; echo x > /ro/other; cat /cache/null", mounts=mounts)
    assert (cache / "file").read_text() == "x\n"
    assert "Read-only" in result.err
    assert "Permission denied" in result.err
    assert image.left() == []


def test_mounts_below_mounts_come_after_them_whatever_their_order(image: Image, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/file").write_text("inner")
    mounts = (
        FileMount(target=at("/x/y/secret"), content=b"s"),
        Bind(host_path=tmp_path / "data", target=at("/x/y")),
        Tmpfs(target=at("/x")),
    )
    with pytest.raises(SandboxError, match="Read-only"):  # the stub of the secret would have to be made in /x/y
        image.run("true", mounts=mounts)
    writable = (Bind(host_path=tmp_path / "data", target=at("/x/y")), Tmpfs(target=at("/x")))
    assert image.shell("cat /x/y/file; ls -a /x", mounts=writable).out.split() == ["inner.", "..", "y"]
    assert image.left() == []


def test_files_are_read_only_owned_as_asked_and_run_only_when_they_are_scripts(image: Image) -> None:
    mounts = (
        FileMount(target=at("/run/secrets/key"), content=b"s3cret", mode=0o400, uid=1000, gid=29),
        FileMount(target=at("/dev/pipes/script"), content=b"#!/bin/sh\necho ran", mode=0o755),
    )
    result = image.shell(
        "stat -c '%a %u %g' /run/secrets/key; cat /run/secrets/key; /dev/pipes/script; rm /run/secrets/key",
        mounts=mounts,
    )
    assert result.out == "400 1000 29\ns3cretran\n"
    assert "busy" in result.err
    assert image.left() == []


def test_a_tmpfs_has_the_size_and_mode_asked_for(image: Image) -> None:
    mounts = (Tmpfs(target=at("/t"), size=1 << 16, mode=0o750), Tmpfs(target=at("/dev/shm/in")))
    script = "stat -c %a /t; echo '#!/bin/sh' > /t/x; chmod 755 /t/x; /t/x && echo ran; cat /dev/zero > /t/big"
    result = image.shell(script, mounts=mounts, limits=ResourceLimits(shm_size=1 << 20))
    assert result.out == "750\nran\n"
    assert "No space left" in result.err
    assert "size=1024k" in image.shell("grep /dev/shm /proc/mounts", limits=ResourceLimits(shm_size=1 << 20)).out


def test_a_tmpfs_takes_over_the_mode_of_what_it_hides(image: Image) -> None:
    mounts = (
        Tmpfs(target=at("/etc")),
        Tmpfs(target=at("/closed"), read_only=True),
        Tmpfs(target=at("/new/one")),
        Tmpfs(target=at("/new/two"), mode=0o700, uid=7, gid=8),
    )
    (image.layer / "closed").mkdir(mode=0o711)
    expected = image.shell("stat -c '%a %u %g' /etc").out
    result = image.shell("stat -c '%a %u %g' /etc /closed /new/one /new/two; touch /closed/x", mounts=mounts)
    assert result.out == expected + "711 0 0\n1777 0 0\n700 7 8\n"
    assert "Read-only" in result.err
    assert expected == "755 0 0\n"
    assert image.left() == []


def test_programs_on_a_tmpfs_run_where_that_is_permitted(image: Image) -> None:
    script = "for each in /a /b; do echo '#!/bin/sh' > $each/x; chmod 755 $each/x; $each/x && echo $each; done"
    mounts = (Tmpfs(target=at("/a")), Tmpfs(target=at("/b"), executable=False))
    result = image.shell(script, mounts=mounts)
    assert (result.out, "Permission denied" in result.err) == ("/a\n", True)
