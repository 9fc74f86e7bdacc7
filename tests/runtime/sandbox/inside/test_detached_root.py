"""What a process leaves in the layer and in the root, and what the sandbox itself leaves there: nothing."""

import os
from pathlib import Path

import pytest

from pybuild.runtime.errors import SandboxError
from pybuild.runtime.rootfs.roots import DirectoryRoot, OverlayRoot
from pybuild.runtime.sandbox.spec import FileMount, Tmpfs
from tests.runtime.sandboxes import Image, at


def test_a_run_that_changes_nothing_leaves_an_empty_layer(image: Image) -> None:
    mounts = (Tmpfs(target=at("/deep/er/t")), FileMount(target=at("/run/secrets/s"), content=b"x"))
    assert image.shell("cat /etc/hosts /run/secrets/s > /dev/null", mounts=mounts).status.code == 0
    assert image.left() == []


def test_mount_points_hidden_by_an_opaque_directory_or_behind_a_link_are_taken_away_again(image: Image) -> None:
    (image.layer / "etc").mkdir()
    os.setxattr(image.layer / "etc", "trusted.overlay.opaque", b"y")
    (image.layer / "etc/resolv.conf").symlink_to("../run/systemd/resolve/stub.conf")
    (image.layer / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\n")
    result = image.shell("cat /run/systemd/resolve/stub.conf; ls /etc")
    assert result.out == Path("/etc/resolv.conf").read_text() + "hosts\npasswd\nresolv.conf\n"
    assert image.left() == []


def test_a_link_into_the_missing_parent_of_another_mount_point_leaves_nothing(image: Image) -> None:
    (image.layer / "etc").mkdir()
    (image.layer / "etc/resolv.conf").symlink_to("../run/systemd/resolve/stub.conf")
    os.utime(image.upper, ns=(10**18, 10**18))
    secret = (FileMount(target=at("/run/secrets/key"), content=b"k"),)
    result = image.shell("cat /run/systemd/resolve/stub.conf /run/secrets/key", mounts=secret)
    assert result.out == Path("/etc/resolv.conf").read_text() + "k"
    assert image.left() == []
    assert not (image.upper / "run").exists()
    assert image.upper.stat().st_mtime_ns == 10**18


def test_a_directory_that_began_as_the_parent_of_a_mount_point_stays_when_it_is_used(image: Image) -> None:
    secret = (FileMount(target=at("/run/secrets/key"), content=b"k"),)
    image.shell("echo x > /run/own", mounts=secret)
    assert image.left() == ["run", "run/own"]


def test_a_plain_directory_as_root_is_the_same_afterwards(image: Image, tmp_path: Path, base: Path) -> None:
    root = tmp_path / "plain"
    root.mkdir()
    for name in ("bin", "etc"):
        (root / name).mkdir()
    os.link(base / "bin/busybox", root / "bin/busybox")
    for directory in (root, root / "etc"):
        os.utime(directory, ns=(10**18, 10**18))
    result = image.run(
        "busybox", "touch", "/bin/made", root=DirectoryRoot(path=root), mounts=(Tmpfs(target=at("/a/b")),)
    )
    assert result.status.code == 0
    assert sorted(str(path.relative_to(root)) for path in root.rglob("*")) == ["bin", "bin/busybox", "bin/made", "etc"]
    assert (root.stat().st_mtime_ns, (root / "etc").stat().st_mtime_ns) == (10**18, 10**18)
    (root / "bin/made").unlink()


def test_a_directory_that_the_process_used_is_kept_although_it_began_as_a_mount_point(
    image: Image, tmp_path: Path
) -> None:
    root = tmp_path / "plain"
    (root / "bin").mkdir(parents=True)
    os.link(image.base / "bin/busybox", root / "bin/busybox")
    script = "busybox touch /a/kept"
    image.run("busybox", "sh", "-c", script, root=DirectoryRoot(path=root), mounts=(Tmpfs(target=at("/a/b")),))
    assert sorted(path.name for path in (root / "a").iterdir()) == ["kept"]
    assert sorted(path.name for path in root.iterdir()) == ["a", "bin"]


def test_a_read_only_root_stays_untouched(image: Image, base: Path) -> None:
    view = OverlayRoot(lowers=(image.layer, base))
    result = image.shell("touch /x; cat /etc/hosts > /dev/null && echo ok", root=view)
    assert (result.out, "Read-only file system" in result.err) == ("ok\n", True)


def test_what_a_process_writes_is_in_its_layer_with_its_own_owner(image: Image) -> None:
    image.shell("echo x > /etc/new; chown 5:6 /etc/new; rm /etc/group; mkdir -p /proc2/a")
    assert image.left() == ["etc", "etc/group", "etc/new", "proc2", "proc2/a"]
    assert ((image.upper / "etc/new").stat().st_uid, (image.upper / "etc/group").stat().st_rdev) == (5, 0)


def test_one_upper_may_be_used_several_times(image: Image) -> None:
    image.shell("echo 1 > /one")
    assert image.shell("cat /one").out == "1\n"


def test_files_keep_device_and_inode_numbers_when_they_are_copied_up(image: Image) -> None:
    result = image.shell(
        "stat -c '%d %i' /etc/passwd; chmod 600 /etc/passwd; stat -c '%d %i' /etc/passwd; stat -c %d /"
    )
    first, second, root = result.out.splitlines()
    assert (first, first.split()[0]) == (second, root)


def test_five_hundred_layers_are_mounted_and_one_more_is_an_error(image: Image, tmp_path: Path) -> None:
    layers = [tmp_path / "many" / str(number) for number in range(499)]
    for number, layer in enumerate(layers):
        layer.mkdir(parents=True)
        (layer / "top").write_text(str(number)) if number > 495 else None
    root = OverlayRoot(lowers=(image.base, *layers), upper=image.upper, work=tmp_path / "work")
    assert image.shell("cat /top", root=root).out == "498"
    assert image.left() == []  # no layer was left for the mount points: they were made and removed
    with pytest.raises(SandboxError, match="mount overlay"):
        image.run(
            "true", root=OverlayRoot(lowers=(image.layer, *root.lowers), upper=image.upper, work=tmp_path / "work")
        )


def test_redirects_planted_in_a_layer_are_not_followed(image: Image) -> None:
    (image.base / "home/secret").write_text("hidden") if not (image.base / "home/secret").exists() else None
    (image.layer / "shown").mkdir()
    os.setxattr(image.layer / "shown", "trusted.overlay.redirect", b"/home")
    assert "hidden" not in image.shell("cat /shown/secret").out
