"""What may be done on each mount of a sandbox: the table as a whole, so that no attribute can get lost."""

from pathlib import Path, PurePosixPath

import pytest

from pybuild.runtime.sandbox.spec import Bind, FileMount, ResourceLimits, Tmpfs
from tests.runtime.sandboxes import Image

_FLAGS = {"ro", "rw", "nosuid", "nodev", "noexec"}
_INERT = {"nosuid", "nodev", "noexec"}
_NODE = {"rw", "nosuid", "noexec"}
_COVER = {"ro", "nosuid", "noexec"}
_READ_ONLY = {"ro", *_INERT}

MOUNTS = {
    "/": {"rw", "nodev"},
    "/proc": {"rw", *_INERT},
    "/dev": {"rw", "nosuid", "nodev"},
    **{f"/dev/{name}": _NODE for name in ("null", "zero", "full", "random", "urandom", "tty")},
    "/dev/pts": {"rw", "nosuid", "noexec"},
    "/dev/shm": {"rw", *_INERT},
    "/dev/mqueue": {"rw", *_INERT},
    "/sys": _READ_ONLY,
    "/etc/resolv.conf": _READ_ONLY,
    "/etc/hosts": _READ_ONLY,
}
INSECURE = {**MOUNTS, "/": {"rw"}, "/dev": {"rw", "nosuid"}, "/sys": {"rw", *_INERT}}
# What of /proc and /sys is covered or read-only depends on what the kernel has.
READ_ONLY = [f"/proc/{name}" for name in ("bus", "fs", "irq", "sys", "sysrq-trigger")]


def flags(mountinfo: str) -> dict[str, set[str]]:
    """The flags of each mount; of those that lie on one another, of the last."""
    fields = [line.split() for line in mountinfo.splitlines()]
    return {each[4]: set(each[5].split(",")) & _FLAGS for each in fields}


@pytest.mark.parametrize("insecure", [False, True])
def test_each_mount_permits_what_it_is_for(image: Image, *, insecure: bool) -> None:
    found = flags(image.shell("cat /proc/self/mountinfo", insecure=insecure).out)
    expected = INSECURE if insecure else MOUNTS
    assert {path: found[path] for path in expected} == expected
    others = {path: found[path] for path in found.keys() - expected.keys()}
    if insecure:
        assert all(path.startswith("/dev/") and each == _COVER for path, each in others.items())
        return
    for path, each in others.items():
        assert each == (_READ_ONLY if path in READ_ONLY or path == "/sys/fs/cgroup" else _COVER), path
    assert [path for path in READ_ONLY[:4] if path not in others] == []


def test_mounts_of_a_step_make_no_device_usable(image: Image, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    mounts = (
        Tmpfs(target=PurePosixPath("/t")),
        FileMount(target=PurePosixPath("/f"), content=b"x"),
        FileMount(target=PurePosixPath("/dev/pipes/script"), content=b"#!/bin/sh\n", mode=0o755),
        Bind(host_path=tmp_path / "data", target=PurePosixPath("/b")),
        Bind(host_path=tmp_path / "data", target=PurePosixPath("/w"), read_only=False),
    )
    found = flags(image.shell("cat /proc/self/mountinfo", mounts=mounts).out)
    assert {path: found[path] for path in ("/t", "/f", "/dev/pipes/script", "/b", "/w")} == {
        "/t": {"rw", "nosuid", "nodev"},
        "/f": _READ_ONLY,
        "/dev/pipes/script": {"ro", "nosuid", "nodev"},
        "/b": {"ro", "nodev"},
        "/w": {"rw", "nodev"},
    }


def test_what_lies_in_memory_has_a_size(image: Image) -> None:
    lines = image.shell("cat /proc/mounts", limits=ResourceLimits(shm_size=1 << 20)).out.splitlines()
    options = {line.split()[1]: line.split()[3] for line in lines}
    assert "size=65536k" in options["/dev"]
    assert "size=1024k" in options["/dev/shm"]
