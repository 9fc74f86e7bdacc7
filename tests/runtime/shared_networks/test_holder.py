"""What the first process of a shared network sees; the rest of the holder is tested in `tests/e2e`."""

import os
from pathlib import Path

import pytest

from pybuild.runtime.kernel import syscalls
from pybuild.runtime.shared_networks import holder
from tests.helpers.hosts import need_root


def test_it_has_a_run_of_its_own_and_the_name_server_of_the_network() -> None:
    need_root()
    said, answer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            space = os.open("/proc/self/ns/net", os.O_RDONLY)
            syscalls.unshare(syscalls.CLONE_NEWNET | syscalls.CLONE_NEWPID)
            if inner := os.fork():
                os.waitpid(inner, 0)
            else:
                holder._settle_in(space, b"nameserver 192.0.2.1\n")
                Path("/run/made").touch()
                names = [name for name in sorted(os.listdir("/run")) if name not in {"user", "resolv.conf"}]
                text = Path("/etc/resolv.conf").read_text(encoding="ascii")
                os.write(answer, repr((names, text, os.readlink("/proc/thread-self/ns/net"))).encode())
        finally:
            os._exit(0)
    os.close(answer)
    os.waitpid(child, 0)
    with open(said, encoding="utf-8") as file:
        names, text, network = eval(file.read())
    assert "made" in names
    assert text == "nameserver 192.0.2.1\n"
    assert network == os.readlink("/proc/self/ns/net")
    assert not Path("/run/made").exists()


def test_a_process_of_a_holder_that_has_ended_does_not_stay() -> None:
    lifeline, alive = os.pipe()
    assert holder._has_parent(lifeline)
    os.close(alive)
    assert not holder._has_parent(lifeline)
    os.close(lifeline)


def test_the_holder_ends_with_its_first_process(monkeypatch: pytest.MonkeyPatch) -> None:
    ends: list[int] = []
    monkeypatch.setattr(holder.os, "_exit", ends.append)
    wait, go = os.pipe()
    child = os.posix_spawn("/bin/cat", ["cat"], {}, file_actions=[(os.POSIX_SPAWN_DUP2, wait, 0)])
    holder._end_with(child)
    assert ends == []
    os.close(go)
    os.close(wait)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    holder._end_with(child)
    assert ends == [0]
