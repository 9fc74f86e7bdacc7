import json
import os
from pathlib import Path, PurePosixPath

import pytest

from pybuild.builder.cli.flags.confinement import confinement, gpu_names
from pybuild.builder.errors import RequestError
from pybuild.builder.request import Device, Rights
from tests.helpers.hosts import need_root


def test_nothing_given_is_nothing() -> None:
    assert confinement() == Rights()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("no-new-privileges",), True),
        (("no-new-privileges:true",), True),
        (("no-new-privileges=false", "no-new-privileges"), True),
        (("no-new-privileges:false",), False),
        (("apparmor=unconfined", "label:disable", "label=disable"), False),
    ],
)
def test_new_privileges_are_refused_where_an_option_says_so(words: tuple[str, ...], expected: bool) -> None:
    assert confinement(security=words) == Rights(no_new_privileges=expected)


def test_a_profile_is_read_and_checked_at_once(tmp_path: Path) -> None:
    text = json.dumps({"defaultAction": "SCMP_ACT_ALLOW"})
    (tmp_path / "good").write_text(text)
    assert confinement(security=(f"seccomp={tmp_path}/good",)).seccomp == text
    assert confinement(security=(f"seccomp:{tmp_path}/good",)).seccomp == text
    assert confinement(security=("seccomp=unconfined",)).seccomp == ""
    assert confinement(security=("seccomp=unconfined", "seccomp=builtin")).seccomp is None
    (tmp_path / "bad").write_text("{}")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    (tmp_path / "long").write_bytes(b" " * (1 << 21))
    for name, problem in {
        "bad": "no defaultAction",
        "none": "no such file",
        "binary": "binary",
        "long": "longer",
        "": "directory",
    }.items():
        with pytest.raises(RequestError, match=problem):
            confinement(security=(f"seccomp={tmp_path}/{name}",))


@pytest.mark.parametrize("wrong", ["apparmor=other", "systempaths=unconfined", "no-new-privileges:odd", "", "seccomp="])
def test_other_security_options_are_refused(wrong: str) -> None:
    with pytest.raises(RequestError, match="--security-opt"):
        confinement(security=(wrong,))


def test_a_device_has_a_place_and_the_permissions_that_can_be_kept() -> None:
    null = Path("/dev/null")
    for text, target in (("/dev/null", "/dev/null"), ("/dev/null:/dev/x", "/dev/x"), ("/dev/null:/dev/x:rw", "/dev/x")):
        assert confinement(devices=(text,)).devices == (Device(host_path=null, target=PurePosixPath(target)),)
    assert confinement(devices=("/dev/null:rwm",)).devices[0].target == PurePosixPath("/dev/null")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("/dev/null:r", "permissions"),
        ("/dev/null:/dev/x:m", "permissions"),
        ("/dev/null:/dev/x:rx", "invalid --device"),
        ("/dev/null:/dev/x:rw:z", "invalid --device"),
        ("null", "invalid --device"),
        ("/dev/none-of-this-name", 'custom device "/dev/none-of-this-name": no such file or directory'),
        ("/etc/passwd", "not a device node"),
        ("a.b/c=none", "unresolvable CDI device"),
    ],
)
def test_what_is_no_device_is_refused(text: str, problem: str) -> None:
    with pytest.raises(RequestError, match=problem):
        confinement(devices=(text,))


def test_a_directory_stands_for_the_nodes_in_it(tmp_path: Path) -> None:
    need_root()
    (tmp_path / "below").mkdir()
    (tmp_path / "file").touch()
    for name in ("a", "below/b"):
        os.mknod(tmp_path / name, 0o20666, os.makedev(1, 3))
    assert confinement(devices=(f"{tmp_path}:/dev/all",)).devices == (
        Device(host_path=tmp_path / "a", target=PurePosixPath("/dev/all/a")),
        Device(host_path=tmp_path / "below/b", target=PurePosixPath("/dev/all/below/b")),
    )
    with pytest.raises(RequestError, match="there is no device node"):
        confinement(devices=("/etc",))


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ("all", ("all",)),
        ("2", ("0", "1")),
        ("device=0", ("0",)),
        ('"device=0,2"', ("0", "2")),
        ("device=0,2", ("0", "2")),
        ("count=1,capabilities=compute", ("0",)),
        ("driver=nvidia,device=GPU-1", ("GPU-1",)),
        ("count=-1", ("all",)),
    ],
)
def test_gpus_are_devices_of_cdi(given: str, names: tuple[str, ...]) -> None:
    assert gpu_names((given,)) == tuple(f"nvidia.com/gpu={name}" for name in names)


@pytest.mark.parametrize("given", ["some", "driver=other,count=1", "colour=red", "count=x", "10000000000"])
def test_what_asks_for_no_gpu(given: str) -> None:
    with pytest.raises(RequestError, match="--gpus"):
        gpu_names((given,))
