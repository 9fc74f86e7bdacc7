"""Binds that pass mounts on, in both directions or in one."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.builder.cli.commands.container.conftest import pen
from tests.builder.cli.conftest import Shop, shop

__all__ = ["pen", "shop"]


@pytest.fixture
def shared(pen: Shop, tmp_path: Path) -> Iterator[Path]:
    """A directory with a shared mount on it, and the directories *host* and *inside*."""
    place = tmp_path / "shared"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(place)], check=True)
    try:
        subprocess.run(["mount", "--make-private", str(place)], check=True)
        subprocess.run(["mount", "--make-shared", str(place)], check=True)
        (place / "host").mkdir()
        (place / "inside").mkdir()
        yield place
    finally:
        subprocess.run(["umount", "-R", str(place)], check=True)


def is_mounted(path: Path) -> bool:
    return any(line.split()[4] == str(path) for line in Path("/proc/self/mountinfo").read_text().splitlines())


@pytest.mark.parametrize(("mode", "inwards", "outwards"), [("rshared", 1, 1), ("rslave", 1, 0), ("rprivate", 0, 0)])
def test_what_is_mounted_later_is_passed_on(pen: Shop, shared: Path, mode: str, inwards: int, outwards: int) -> None:
    bind = f"type=bind,src={shared},dst=/m,bind-propagation={mode}"
    assert pen.run("run", "-d", "--name", "one", "--privileged", "--mount", bind, "box", "sleep", "1000").code == 0
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(shared / "host")], check=True)
    (shared / "host/seen").touch()
    assert pen.run("exec", "one", "ls", "/m/host").lines == ["seen"] * inwards
    assert pen.run("exec", "one", "mount", "-t", "tmpfs", "tmpfs", "/m/inside").code == 0
    assert is_mounted(shared / "inside") == bool(outwards)
    assert pen.run("inspect", "-f", "{{range .Mounts}}{{.Propagation}}{{end}}", "one").out == f"{mode}\n"


def test_a_source_that_is_private_cannot_pass_mounts_on(pen: Shop, shared: Path) -> None:
    subprocess.run(["mount", "--make-private", str(shared)], check=True)
    for mode, wanted in (("shared", "shared"), ("rslave", "shared or slave")):
        failed = pen.run("run", "--rm", "-v", f"{shared}:/m:{mode}", "box", "true")
        text = f"path {shared} is mounted on {shared} but it is not a {wanted} mount"
        assert (failed.code, failed.err.splitlines()[0]) == (125, f"ERROR: {text}")


def test_no_device_node_is_made_on_what_the_host_mounts_later(pen: Shop, shared: Path) -> None:
    node = ("exec", "one", "sh", "-c", "mknod /m/host/null c 1 3 && echo x > /m/host/null && echo open")
    for asked, opened in (((), ""), (("--cap-add", "mknod"), "open\n")):
        assert (
            pen.run("run", "-d", "--name", "one", *asked, "-v", f"{shared}:/m:rslave", "box", "sleep", "1000").code == 0
        )
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(shared / "host")], check=True)
        assert pen.run(*node).out == opened
        subprocess.run(["umount", str(shared / "host")], check=True)
        assert pen.run("rm", "-f", "one").code == 0
