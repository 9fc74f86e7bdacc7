from pathlib import Path, PurePosixPath

import pytest

from pybuild.builder.errors import RequestError
from pybuild.builder.execute.process_rights import program_of, with_rights
from pybuild.builder.request import Device, Rights, Volume
from pybuild.runtime.kernel.capabilities import DEFAULT, mask
from pybuild.runtime.rootfs.roots import DirectoryRoot
from pybuild.runtime.sandbox.spec import Bind, DeviceNode, Process, Spec

SPEC = Spec(root=DirectoryRoot(path=Path("/x")), process=Process(args=("x",), env=(("A", "1"),), groups=("1",)))
PLACE = PurePosixPath("/p")


def test_nothing_asked_for_changes_nothing() -> None:
    assert with_rights(SPEC, Rights()) is SPEC


def test_each_part_reaches_the_sandbox() -> None:
    given = Rights(
        cap_drop=("CAP_CHOWN",),
        groups=("44",),
        devices=(Device(host_path=Path("/dev/null"), target=PLACE),),
        volumes=(Volume(host_path=Path("/f"), target=PLACE, read_only=True),),
        env=(("A", "device"), ("B", "2")),
        seccomp="",
        no_new_privileges=True,
    )
    made = with_rights(SPEC, given)
    assert made.capabilities == DEFAULT & ~mask("CHOWN")
    assert (made.process.groups, dict(made.process.env)) == (("1", "44"), {"A": "1", "B": "2"})
    assert made.mounts == (
        Bind(host_path=Path("/f"), target=PLACE, read_only=True),
        DeviceNode(host_path=Path("/dev/null"), target=PLACE),
    )
    assert (made.seccomp, made.no_new_privileges) == (b"", True)


def test_the_filter_is_for_the_capabilities_that_the_process_has() -> None:
    text = (
        '{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"names":["mount"],"action":"SCMP_ACT_ALLOW",'
        '"includes":{"caps":["CAP_SYS_ADMIN"]}}]}'
    )
    assert program_of(text, DEFAULT) != program_of(text, DEFAULT | mask("SYS_ADMIN"))
    assert program_of(None, DEFAULT) is None
    with pytest.raises(RequestError, match="invalid seccomp profile"):
        program_of("{}", DEFAULT)
