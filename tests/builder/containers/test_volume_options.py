"""Which options of a volume can be kept, and what containers see then."""

import os
from pathlib import Path

import pytest

from pybuild.builder.containers import volume_options
from pybuild.builder.containers.config import MountPoint
from pybuild.builder.containers.errors import ContainerError
from pybuild.builder.containers.volume_options import VolumeMount, check_options, place_of, tmpfs_of
from pybuild.builder.errors import RequestError


def options(**given: str) -> dict[str, str]:
    check_options(given)
    return given


def test_a_directory_of_the_host(tmp_path: Path) -> None:
    given = options(type="none", device=str(tmp_path), o="bind")
    assert place_of("v", Path("/data"), given) == tmp_path
    assert place_of("v", Path("/data"), {}) == Path("/data")
    with pytest.raises(ContainerError, match="no such directory"):
        place_of("v", Path("/data"), options(device=f"{tmp_path}/none", o="rbind,rw"))


def test_a_tmpfs() -> None:
    place = place_of("v", Path("/data"), options(type="tmpfs", device="tmpfs", o="size=1m,mode=750,noexec"))
    assert isinstance(place, MountPoint)
    assert (place.kind, place.size, place.mode, place.read_only) == ("tmpfs", 1 << 20, 0o750, False)
    assert (place.no_exec, tmpfs_of("").no_exec, tmpfs_of("exec", no_exec=True).no_exec) == (True, False, False)
    assert (tmpfs_of("uid=7,gid=8").uid, tmpfs_of("uid=7,gid=8").gid) == (7, 8)
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert tmpfs_of("size=10%").size == memory * 10 // 100


def test_a_file_system_of_a_server_has_its_address_in_place_of_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(volume_options, "is_host_map", lambda _map: True)
    given = options(type="nfs", device=":/x", o="addr=localhost,ro,vers=4.2")
    place = place_of("remote", Path("/data"), given)
    assert isinstance(place, VolumeMount)
    assert (place.kind, place.device) == ("nfs", ":/x")
    assert place.options in {("addr=127.0.0.1", "ro", "vers=4.2"), ("addr=::1", "ro", "vers=4.2")}
    disk = place_of("disk", Path("/data"), options(type="ext4", device="/dev/x", o="noatime,data=ordered"))
    assert disk == VolumeMount(kind="ext4", device="/dev/x", options=("noatime", "data=ordered"))


@pytest.mark.parametrize(
    ("of_host", "address", "reason"),
    [
        (False, "127.0.0.1", "nfs needs root: the kernel mounts it in no user namespace"),
        (True, "nobody.invalid", "error resolving passed in network volume address: "),
    ],
)
def test_a_file_system_that_cannot_be_mounted(
    monkeypatch: pytest.MonkeyPatch, of_host: bool, address: str, reason: str
) -> None:
    monkeypatch.setattr(volume_options, "is_host_map", lambda _map: of_host)
    with pytest.raises(ContainerError, match=f"error while mounting volume 'remote' of ':/x': {reason}"):
        place_of("remote", Path("/data"), options(type="nfs", device=":/x", o=f"addr={address}"))


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"colour": "red"}, "invalid option: 'colour'"),
        ({"type": "nfs", "o": "addr=1.2.3.4"}, 'missing required option: "device"'),
        ({"type": "xfs"}, 'missing required option: "device"'),
        ({"type": "none", "device": "/x"}, "needs -o o=bind"),
        ({"o": "bind"}, "no absolute path"),
        ({"o": "bind", "device": "x"}, "no absolute path"),
        ({"o": "bind,uid=5", "device": "/x"}, "o=uid=5 of a volume"),
        ({"type": "tmpfs", "o": "size=x"}, "invalid tmpfs option 'o=size=x'"),
        ({"type": "tmpfs", "o": "mode=9"}, "invalid tmpfs option 'o=mode=9'"),
        ({"type": "tmpfs", "o": "uid=-1"}, "invalid tmpfs option 'o=uid=-1'"),
        ({"type": "tmpfs", "o": f"uid={2**32 - 1}"}, "invalid tmpfs option 'o=uid=4294967295'"),
    ],
)
def test_what_cannot_be_kept_is_refused(given: dict[str, str], reason: str) -> None:
    with pytest.raises(RequestError, match=reason):
        check_options(given)
