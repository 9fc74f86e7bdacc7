import json
from pathlib import Path

import pytest

from pybuild.runtime.kernel.capabilities import DEFAULT, mask
from pybuild.runtime.kernel.syscalls import capget
from tests.builder.cli.commands.container.conftest import until
from tests.builder.cli.conftest import Shop

SLEEP = ("sleep", "1000")


def test_a_root_is_read_only_but_what_is_mounted_in_it_is_not(pen: Shop) -> None:
    words = ("--read-only", "-v", "data:/new/data", "--tmpfs", "/t", "box", "sh", "-c")
    script = (
        "for f in /x /etc/hosts /new/x /new/data/f /t/f /dev/shm/f; do echo x 2>/dev/null >$f && echo $f; done; true"
    )
    result = pen.run("run", "--name", "one", *words, script)
    assert (result.code, result.out) == (0, "/new/data/f\n/t/f\n/dev/shm/f\n"), result.err
    assert json.loads(pen.run("inspect", "one").out)[0]["HostConfig"]["ReadonlyRootfs"] is True
    # The mount points that were made for it are gone again.
    assert pen.run("diff", "one").out == ""
    assert pen.run("start", "-a", "one").out == result.out


def test_a_command_in_it_cannot_write_either(pen: Shop) -> None:
    pen.run("run", "-d", "--read-only", "--name", "one", "box", "sleep", "1000")
    assert pen.run("exec", "one", "touch", "/x").code == 1
    assert pen.run("exec", "--privileged", "one", "touch", "/x").code == 1


def _set(out: str, name: str) -> int:
    return next(int(line.split()[1], 16) for line in out.splitlines() if line.startswith(f"{name}:"))


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ((), DEFAULT),
        (("--cap-drop", "all"), 0),
        (("--cap-drop", "ALL", "--cap-add", "net_admin", "--cap-add", "CAP_CHOWN"), mask("NET_ADMIN", "CHOWN")),
        (("--cap-drop", "CAP_CHOWN", "--cap-add", "SYS_TIME"), DEFAULT & ~mask("CHOWN") | mask("SYS_TIME")),
        (("--cap-add", "CHOWN", "--cap-drop", "CHOWN"), DEFAULT),
        (("--cap-add", "ALL", "--cap-drop", "MKNOD"), capget()[1] & ~mask("MKNOD")),
    ],
)
def test_capabilities_are_those_of_the_flags_also_of_a_command(pen: Shop, words: tuple[str, ...], found: int) -> None:
    pen.run("run", "-d", "--name", "one", *words, "box", "sh", "-c", "cat /proc/self/status; exec sleep 1000")
    until(lambda: "CapBnd" in pen.run("logs", "one").out)
    for out in (pen.run("logs", "one").out, pen.run("exec", "one", "cat", "/proc/self/status").out):
        assert [_set(out, name) for name in ("CapPrm", "CapEff", "CapBnd")] == [found] * 3
        assert [_set(out, name) for name in ("CapInh", "CapAmb")] == [0, 0]


def test_without_setuid_and_setgid_a_user_is_one(pen: Shop) -> None:
    script = "id -un; grep -E '^Cap' /proc/self/status"
    result = pen.run("run", "--rm", "--name", "one", "--cap-drop", "ALL", "-u", "alice", "box", "sh", "-c", script)
    assert (result.code, result.lines[0]) == (0, "alice"), result.err
    assert {_set(result.out, name) for name in ("CapPrm", "CapEff", "CapBnd", "CapInh", "CapAmb")} == {0}


def test_the_filter_lets_a_capability_do_what_it_is_for(pen: Shop) -> None:
    mounting = ("box", "mount", "-t", "tmpfs", "none", "/tmp")
    assert pen.run("run", "--rm", "--name", "one", *mounting).code != 0
    result = pen.run("run", "--rm", "--name", "one", "--cap-add", "SYS_ADMIN", *mounting)
    assert result.code == 0, result.err


def test_capabilities_are_inspected_and_wrong_ones_refused(pen: Shop) -> None:
    pen.run("create", "--name", "one", "--cap-add", "sys_time", "--cap-add", "NET_ADMIN", "--cap-drop", "all", "box")
    host = json.loads(pen.run("inspect", "one").out)[0]["HostConfig"]
    assert (host["CapAdd"], host["CapDrop"]) == (["CAP_NET_ADMIN", "CAP_SYS_TIME"], ["ALL"])
    for words, text in (
        (("--cap-add", "nope"), 'invalid CapAdd: unknown capability: "CAP_NOPE"'),
        (("--cap-drop", "CAP_NOPE"), 'invalid CapDrop: unknown capability: "CAP_NOPE"'),
        (("--privileged", "--cap-drop", "CHOWN"), "conflicting options: --privileged and --cap-drop"),
        (("--security-opt", "seccomp=none.json"), "opening seccomp profile (none.json) failed"),
    ):
        result = pen.run("create", *words, "box")
        assert (result.code, text in result.err) == (1, True), result.err


def test_without_new_privileges_nothing_inside_has_any(pen: Shop) -> None:
    pen.run("run", "-d", "--name", "one", "--security-opt", "no-new-privileges", "box", "sleep", "1000")
    look = ("grep", "NoNewPrivs", "/proc/1/status", "/proc/self/status")
    for words in ((), ("--privileged",)):
        lines = pen.run("exec", *words, "one", *look).lines
        assert [line.split()[-1] for line in lines] == ["1", "1"]
    assert json.loads(pen.run("inspect", "one").out)[0]["HostConfig"]["SecurityOpt"] == ["no-new-privileges"]
    off = ("--security-opt", "no-new-privileges:false")
    assert pen.run("run", "--rm", "--name", "two", *off, "box", *look[:2], "/proc/self/status").out.split()[-1] == "0"


def test_a_profile_and_a_device_are_kept_for_every_start_and_command(pen: Shop, tmp_path: Path) -> None:
    refused = {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95}
    text = json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [refused]})
    (tmp_path / "profile").write_text(text)
    given = ("--security-opt", f"seccomp={tmp_path}/profile", "--device", "/dev/zero:/dev/zeros")
    pen.run("create", "--name", "one", *given, "box", *SLEEP)
    (tmp_path / "profile").unlink()
    assert pen.run("start", "one").code == 0
    script = "mkdir /x; head -c 2 /dev/zeros | wc -c"
    result = pen.run("exec", "one", "sh", "-c", script)
    assert (result.out, "Operation not supported" in result.err) == ("2\n", True), result.err
    host = json.loads(pen.run("inspect", "one").out)[0]["HostConfig"]
    assert host["SecurityOpt"] == [f"seccomp={text}"]
    device = {"PathOnHost": "/dev/zero", "PathInContainer": "/dev/zeros", "CgroupPermissions": "rwm"}
    assert host["Devices"] == [device]


def test_groups_are_added_also_to_a_command(pen: Shop) -> None:
    pen.run("run", "-d", "--name", "one", "--group-add", "77", "--group-add", "daemon", "-u", "alice", "box", *SLEEP)
    assert {"77", "1"} <= {*pen.run("exec", "one", "id", "-G").out.split()}
    assert pen.run("exec", "-u", "5:6", "one", "id", "-G").out == "6 1 77\n"
    assert json.loads(pen.run("inspect", "one").out)[0]["HostConfig"]["GroupAdd"] == ["77", "daemon"]
    wrong = pen.run("run", "--name", "two", "--group-add", "nosuch", "box", "true")
    assert (wrong.code, "find group nosuch: no matching entries in group file" in wrong.err) == (125, True), wrong.err


def test_what_another_mounts_is_mounted_and_outlives_it(pen: Shop) -> None:
    pen.run("run", "--name", "one", "-v", "data:/d", "-v", "/own", "box", "sh", "-c", "echo x >/d/f; echo y >/own/f")
    result = pen.run(
        "run", "--name", "two", "--volumes-from", "one", "box", "sh", "-c", "cat /d/f /own/f; touch /own/g"
    )
    assert (result.code, result.out) == (0, "x\ny\n"), result.err
    result = pen.run(
        "run", "--rm", "--volumes-from", "one:ro", "--tmpfs", "/d", "box", "sh", "-c", "ls /d /own; >/own/h"
    )
    assert (result.code, result.out) == (1, "/d:\n\n/own:\nf\ng\n")
    # One that could not be made takes nothing along, nor does one of two that have the volume.
    assert pen.run("create", "--name", "two", "--volumes-from", "one", "box").code == 1
    assert pen.run("rm", "-v", "one").code == 0
    assert pen.run("start", "-a", "two").out == "x\ny\n"
    assert len(pen.run("volume", "ls", "-q").lines) == 2
    assert pen.run("rm", "-v", "two").code == 0
    assert pen.run("volume", "ls", "-q").lines == ["data"]
