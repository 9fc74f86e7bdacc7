import os
from pathlib import Path

import pytest

from pybuild.builder.cli.flags.container.mounts import binds, mount_points
from pybuild.builder.containers.config import BIND, TMPFS, VOLUME, MountPoint
from pybuild.builder.errors import RequestError


def test_v_is_a_path_a_name_or_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    given = ("/a:/b:ro", "name:/c:nocopy", "/d/", "./e:/e", "/f:/f:rw,z")
    assert mount_points(given, (), ()) == (
        MountPoint(kind=BIND, source="/a", target="/b", read_only=True),
        MountPoint(kind=VOLUME, name="name", target="/c", copies=False),
        MountPoint(kind=VOLUME, target="/d"),
        MountPoint(kind=BIND, source=os.fspath(tmp_path / "e"), target="/e"),
        MountPoint(kind=BIND, source="/f", target="/f"),
    )
    assert binds(given) == ("/a:/b:ro", "name:/c:nocopy", "./e:/e", "/f:/f:rw,z")


def test_mount_has_docker_s_keys(tmp_path: Path) -> None:
    given = (
        f"type=bind,source={tmp_path},target=/a,readonly",
        "source=name,dst=/b,volume-nocopy=true",
        "type=volume,target=/c",
        "type=tmpfs,destination=/d,tmpfs-size=1m,tmpfs-mode=700",
    )
    assert mount_points((), given, ("/e:size=2m,mode=755,ro,exec,uid=7", "/f")) == (
        MountPoint(kind=BIND, source=os.fspath(tmp_path), target="/a", read_only=True),
        MountPoint(kind=VOLUME, name="name", target="/b", copies=False),
        MountPoint(kind=VOLUME, target="/c"),
        MountPoint(kind=TMPFS, target="/d", size=1 << 20, mode=0o700, no_exec=True),
        MountPoint(
            kind=TMPFS,
            target="/e",
            size=2 << 20,
            mode=0o755,
            uid=7,
            read_only=True,
            options="size=2m,mode=755,ro,exec,uid=7",
        ),
        MountPoint(kind=TMPFS, target="/f", no_exec=True),
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":/a",
        "a:",
        "a:b",
        "/a:/b:ro:x",
        "/a:/b:shared,slave",
        "a:/b:shared",
        "/a:/",
        "a:/b:odd",
        "/a:/b:ro,rw",
        "a:/b:z,Z",
    ],
)
def test_wrong_volumes_are_refused(text: str) -> None:
    with pytest.raises(RequestError):
        mount_points((text,), (), ())


@pytest.mark.parametrize(
    "text",
    [
        "type=odd,target=/a",
        "target=a",
        "type=bind,source=rel,target=/a",
        "target=/a,colour=red",
        "type=tmpfs,target=/a,tmpfs-size=x",
    ],
)
def test_wrong_mounts_are_refused(text: str) -> None:
    with pytest.raises(RequestError):
        mount_points((), (text,), ())


def test_two_at_one_place_are_refused() -> None:
    with pytest.raises(RequestError, match="Duplicate mount point: /a"):
        mount_points(("x:/a",), (), ("/a/",))
    with pytest.raises(RequestError, match="invalid tmpfs option"):
        mount_points((), (), ("/a:odd",))


def test_a_bind_has_the_propagation_that_is_asked_for() -> None:
    found = mount_points(("/:/a:rshared,ro", "/:/b:private"), ("type=bind,src=/,dst=/c,bind-propagation=slave",), ())
    assert [each.propagation for each in found] == ["rshared", "", "slave"]
    assert found[0].read_only
