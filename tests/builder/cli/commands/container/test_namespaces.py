"""What containers see of namespaces that they share, and of what was set in their own; the host keeps its values."""

import json
import os
from pathlib import Path

import pytest

from tests.builder.cli.commands.container.conftest import LOOP
from tests.builder.cli.conftest import Shop


def shown(pen: Shop, *flags: str) -> list[str]:
    files = [f"/proc/sys/kernel/{name}" for name in ("domainname", "msgmax", "hostname")]
    done = pen.run(
        "run", "--rm", "--name", "c1", "--network", "none", *flags, "box", "cat", "/proc/self/oom_score_adj", *files
    )
    assert done.code == 0, done.err
    return done.lines


def test_parameters_are_set_for_the_container_alone(pen: Shop) -> None:
    host = Path("/proc/sys/kernel/msgmax").read_text(), Path("/proc/sys/kernel/domainname").read_text()
    flags = ("--sysctl", "kernel.msgmax=9001", "--domainname", "d.example", "--oom-score-adj", "300", "-h", "inner")
    assert shown(pen, *flags) == ["300", "d.example", "9001", "inner"]
    assert (Path("/proc/sys/kernel/msgmax").read_text(), Path("/proc/sys/kernel/domainname").read_text()) == host


def test_the_names_of_the_host(pen: Shop) -> None:
    assert shown(pen, "--uts", "host")[-1] == os.uname().nodename


def namespace(pen: Shop, name: str, kind: str) -> str:
    return os.readlink(f"/proc/{pen.run('inspect', '-f', '{{.State.Pid}}', name).out.strip()}/ns/{kind}")


@pytest.mark.parametrize(("flag", "kind"), [("--ipc", "ipc"), ("--uts", "uts"), ("--cgroupns", "cgroup")])
def test_a_shared_one_is_the_hosts_and_exec_enters_the_container(pen: Shop, flag: str, kind: str) -> None:
    for name, flags in (("c1", (flag, "host")), ("c2", ())):
        assert pen.run("run", "-d", "--name", name, "--network", "none", *flags, "box", *LOOP).code == 0
    assert namespace(pen, "c1", kind) == os.readlink(f"/proc/self/ns/{kind}")
    assert namespace(pen, "c2", kind) != os.readlink(f"/proc/self/ns/{kind}")
    assert pen.run("exec", "c1", "echo", "inside").out == "inside\n"


def test_shared_memory_of_the_host(pen: Shop, tmp_path: Path) -> None:
    place = Path("/dev/shm") / f"pybuild-test-{os.getpid()}"
    place.write_text("host\n")
    try:
        see = ("box", "cat", str(place))
        assert pen.run("run", "--rm", "--name", "c1", "--network", "none", "--ipc", "host", *see).out == "host\n"
        assert pen.run("run", "--rm", "--name", "c1", "--network", "none", *see).code != 0
    finally:
        place.unlink()


def test_inspect_shows_them(pen: Shop) -> None:
    flags = (
        "--ipc",
        "host",
        "--cgroupns",
        "host",
        "--oom-score-adj",
        "5",
        "--annotation",
        "a=b",
        "--sysctl",
        "net.x.y=1",
    )
    pen.run("create", "--name", "c1", "--network", "none", "--domainname", "d", *flags, "box", "true")
    found = json.loads(pen.run("inspect", "c1").out)[0]
    host = found["HostConfig"]
    assert (host["IpcMode"], host["CgroupnsMode"], host["OomScoreAdj"]) == ("host", "host", 5)
    assert (host["Annotations"], host["Sysctls"]) == ({"a": "b"}, {"net.x.y": "1"})
    assert found["Config"]["Domainname"] == "d"
    assert "set sysctl net.x.y" in pen.run("start", "c1").err


def test_what_cannot_be_kept_is_said(pen: Shop) -> None:
    for flag, reason in (("--kernel-memory", "WARNING: --kernel-memory is not kept"), ("--io-maxiops", "Windows")):
        done = pen.run("create", "--network", "none", flag, "5", "box", "true")
        assert (done.code, reason in done.err) == (0, True), done.err
    for flag, value in (("--storage-opt", "size=5g"), ("--runtime", "other"), ("--device-cgroup-rule", "c 1:3 rwm")):
        done = pen.run("create", "--network", "none", flag, value, "box", "true")
        assert (done.code, f"{flag} {value} is not supported" in done.err) == (125, True), done.err
    assert pen.run("create", "--network", "none", "--runtime", "runc", "box", "true").code == 0
