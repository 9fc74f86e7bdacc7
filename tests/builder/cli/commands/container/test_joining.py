"""Containers in the PID and IPC namespaces of the host and of other containers, and what they may not do there."""

import json
import os
import signal
from pathlib import Path

import pytest

from tests.builder.cli.commands.container.conftest import LOOP, groups, monitors, until
from tests.builder.cli.conftest import Shop

NONE = ("--network", "none")


def run(pen: Shop, name: str, *words: str, code: int = 0) -> str:
    done = pen.run("run", "--name", name, *NONE, *words)
    assert done.code == code, done.err
    return done.out.strip()


def first_process(pen: Shop, name: str) -> int:
    return int(pen.run("inspect", "-f", "{{.State.Pid}}", name).out)


def numbers(text: str) -> set[str]:
    """The processes whose command lines begin with *text*. A shell that is about to become one of them does not count."""
    found = set()
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if place.read_bytes().replace(b"\0", b" ").decode(errors="replace").startswith(text):
                found.add(place.parts[2])
        except OSError:  # it has ended
            continue
    return found


def in_groups(pen: Shop, name: str) -> set[int]:
    identity = pen.run("inspect", "-f", "{{.Id}}", name).out.strip()
    files = [directory / identity / "cgroup.procs" for directory in groups()]
    return {int(number) for file in files if file.exists() for number in file.read_text().split()}


@pytest.fixture
def owner(pen: Shop) -> str:
    if not groups() and not os.access("/sys/fs/cgroup", os.W_OK):
        pytest.skip("needs control groups that can be written")
    run(pen, "owner", "-d", "--ipc", "shareable", "box", *LOOP)
    return "owner"


def test_processes_of_the_other_are_seen_and_end_with_it(pen: Shop, owner: str) -> None:
    assert run(pen, "c1", "--pid", f"container:{owner}", "box", "cat", "/proc/1/comm") == "sh"
    run(pen, "c2", "-d", "--pid", f"container:{owner}", "box", "sleep", "1000")
    assert pen.run("exec", "c2", "cat", "/proc/1/comm").out == "sh\n"
    theirs, own = (os.readlink(f"/proc/{first_process(pen, name)}/ns/pid") for name in (owner, "c2"))
    assert theirs == own
    pen.run("kill", owner)
    assert pen.run("wait", "c2").out == "137\n"
    assert (
        f"failed to join PID namespace: container {identity(pen, owner)} is not running" in pen.run("start", "c2").err
    )
    state = json.loads(pen.run("inspect", "-f", "{{json .State}}", "c2").out)
    assert (state["Status"], state["ExitCode"]) == ("exited", 128)
    assert state["Error"].startswith("failed to join PID namespace")


def identity(pen: Shop, name: str) -> str:
    return pen.run("inspect", "-f", "{{.Id}}", name).out.strip()


@pytest.mark.parametrize("mode", ["host", "container:owner"])
def test_all_processes_end_with_the_first_one(pen: Shop, owner: str, mode: str) -> None:
    # One that has left its session and has another parent: neither a signal nor the death of a parent reaches it.
    script = "setsid sh -c 'sleep 7771 & sleep 7772' & sleep 7773"
    run(pen, "c1", "-d", "--pid", mode, "box", "sh", "-c", script)
    until(lambda: len(numbers("sleep 777") & set(map(str, in_groups(pen, "c1")))) == 3)
    own = numbers("sleep 777") & set(map(str, in_groups(pen, "c1")))
    assert len(pen.run("top", "c1", "-o", "pid,args").lines) == len(own) + 1
    assert pen.run("stop", "-t", "0", "c1").code == 0
    assert not numbers("sleep 777") & own
    assert pen.run("exec", owner, "true").code == 0


def test_a_killed_monitor_leaves_nothing_to_the_next_command(pen: Shop, owner: str) -> None:
    run(pen, "c1", "-d", "--pid", f"container:{owner}", "box", "sh", "-c", "setsid sleep 7781 & sleep 7782")
    until(lambda: len(numbers("sleep 778") & set(map(str, in_groups(pen, "c1")))) == 2)
    own = numbers("sleep 778") & set(map(str, in_groups(pen, "c1")))
    other = Path(f"/proc/{first_process(pen, owner)}/status").read_text().split("PPid:")[1].split()[0]
    keeper = Path(f"/proc/{other}/status").read_text().split("PPid:")[1].split()[0]
    spared = Path(f"/proc/{keeper}/status").read_text().split("PPid:")[1].split()[0]
    for number in set(monitors(pen.store.root)) - {spared}:
        os.kill(int(number), signal.SIGKILL)
    until(lambda: pen.run("ps", "-a", "--filter", "name=c1", "--format", "{{.Status}}").out.startswith("Exited (137)"))
    assert not numbers("sleep 778") & own
    assert pen.run("exec", owner, "true").code == 0


def test_shared_memory_of_another(pen: Shop, owner: str) -> None:
    joined = ("--ipc", f"container:{owner}", "box")
    run(pen, "c1", *joined, "sh", "-c", "echo x >/dev/shm/x")
    assert pen.run("exec", owner, "cat", "/dev/shm/x").out == "x\n"
    assert run(pen, "c2", *joined, "sh", "-c", "cat /dev/shm/x; grep -c nodev.*noexec /proc/mounts >/dev/null") == "x"
    run(pen, "c3", "-d", *joined, "sleep", "1000")
    theirs, own = (os.readlink(f"/proc/{first_process(pen, name)}/ns/ipc") for name in (owner, "c3"))
    assert theirs == own


def test_a_private_one_is_not_shared(pen: Shop) -> None:
    run(pen, "c1", "-d", "box", *LOOP)
    done = pen.run("run", "--rm", *NONE, "--ipc", "container:c1", "box", "true")
    assert (done.code, "non-shareable IPC (hint: use IpcMode:shareable for the donor container)" in done.err) == (
        125,
        True,
    )


def test_without_shared_memory(pen: Shop) -> None:
    assert "/dev/shm" in pen.run("run", "--rm", "--name", "c1", *NONE, "--ipc", "none", "box", "ls", "/dev/shm").err


def test_what_the_other_has_in_the_place_of_its_shared_memory_is_its_own(pen: Shop) -> None:
    # A container with CAP_SYS_ADMIN puts a link to the host's root, as a path from the root, in its place.
    script = "umount /dev/shm; rmdir /dev/shm; ln -s / /dev/shm; echo ready; sleep 1000"
    run(pen, "evil", "-d", "--ipc", "shareable", "--cap-add", "SYS_ADMIN", "box", "sh", "-c", script)
    until(lambda: "ready" in pen.run("logs", "evil").out)
    done = pen.run("run", "--rm", "--name", "c1", *NONE, "--ipc", "container:evil", "box", "ls", "/dev/shm")
    assert (done.code, done.out) == (125, ""), done.out
    assert "join the IPC namespace of the container" in done.err


def test_the_other_cannot_look_into_what_joins_it(pen: Shop) -> None:
    # A01 and A02: the process that joins has our interpreter, our descriptors and the host's root until its exec.
    look = "ls -l /proc/*/exe /proc/*/root /proc/*/cwd /proc/*/fd 2>/dev/null | grep -e python -e memfd -e pybuild -e monitor"
    steal = "for p in /proc/[0-9]*/exe; do case $(readlink $p) in *python*) echo >>$p && echo written;; esac; done 2>/dev/null"
    run(pen, "evil", "-d", "box", "sh", "-c", f"while :; do {look}; {steal}; done")
    for number in range(6):
        run(pen, f"c{number}", "--rm", "--pid", "container:evil", "box", "true")
    assert pen.run("logs", "evil").out == ""


@pytest.mark.parametrize("number", range(3, 10))
def test_no_descriptor_of_what_joins_leads_out(pen: Shop, owner: str, number: int) -> None:
    # A01, CVE-2024-21626
    words = ("-w", f"/proc/self/fd/{number}", "--pid", f"container:{owner}", "box", "cat", "../../../../etc/hostname")
    done = pen.run("run", "--rm", "--name", "c1", *NONE, *words)
    assert (done.code != 0, done.out) == (True, "")


def test_in_the_hosts_namespace_our_own_processes_stay_closed(pen: Shop) -> None:
    # A02, A22: the guard has fewer capabilities than the container, and the root of the host.
    script = """
    for p in $(ls /proc | grep '^[0-9]'); do
        grep -q monitor/bootstra[p] /proc/$p/cmdline 2>/dev/null || continue
        echo seen
        cat /proc/$p/root/etc/passwd /proc/$p/environ 2>/dev/null
        for link in root exe cwd fd/0 fd/3 fd/4 fd/5 ns/mnt; do readlink /proc/$p/$link; done
    done
    true"""
    shown = set(run(pen, "c1", "--pid", "host", "box", "sh", "-c", script).splitlines())
    assert shown == {"seen"}


def test_without_a_control_group_it_is_refused(pen: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pybuild.builder.containers.starting.make_groups", lambda *_: ((), ()))
    done = pen.run("run", "--rm", "--name", "c1", *NONE, "--pid", "host", "box", "true")
    assert (done.code, "--pid host needs a control group" in done.err) == (125, True), done.err


def test_inspect_shows_the_ids_of_the_others(pen: Shop) -> None:
    pen.run("create", "--name", "c1", *NONE, "box")
    pen.run("create", "--name", "c2", *NONE, "--pid", "container:c1", "--ipc", "container:c1", "box")
    other = identity(pen, "c1")
    shown = pen.run("inspect", "-f", "{{.HostConfig.PidMode}} {{.HostConfig.IpcMode}}", "c2").out.split()
    assert shown == [f"container:{other}"] * 2


@pytest.mark.parametrize(
    "flags", [("--pid", "odd"), ("--pid", "container:"), ("--pid", "private"), ("--ipc", "container:")]
)
def test_other_modes_are_refused(pen: Shop, flags: tuple[str, str]) -> None:
    done = pen.run("create", *NONE, *flags, "box")
    code = 125 if flags[0] == "--pid" else 1  # in Docker one is refused by the client, the other one by the daemon
    assert (done.code, f"invalid {flags[0][2:].upper()} mode" in done.err) == (code, True), done.err
