import os
import signal
from pathlib import Path

import pytest

from pybuild.runtime.errors import SandboxUnavailable
from pybuild.runtime.networks import programs
from pybuild.runtime.networks.programs import executable_of, find, missing, need, run


def test_a_program_that_is_missing_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "find", lambda name: None if name == "aardvark-dns" else f"/bin/{name}")
    assert missing() == ("aardvark-dns",)
    with pytest.raises(SandboxUnavailable, match="networks need aardvark-dns") as caught:
        need()
    assert "apt-get install aardvark-dns, or use --network private, host or none" in caught.value.hint


def test_a_right_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "find", lambda name: f"/bin/{name}")
    monkeypatch.setattr(programs, "capget", lambda: (0, 0, 0))
    with pytest.raises(SandboxUnavailable, match="networks need CAP_NET_ADMIN"):
        need()


def test_a_program_gets_its_input_and_a_usual_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "x")
    shell = find("sh") or ""
    ended = run((shell, "-c", "cat; echo no >&2; echo $SECRET$NETAVARK_FW; exit 3"), b"text\n")
    assert (ended.code, ended.out, ended.error) == (3, b"text\niptables\n", b"no\n")


def test_a_program_gets_all_signals_and_no_descriptor() -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGHUP})
    try:
        with open(os.devnull, "rb") as file:
            os.set_inheritable(file.fileno(), True)  # as ``9< lock`` of a shell
            ended = run((find("sh") or "", "-c", "grep SigBlk /proc/self/status; exec ls /proc/self/fd"))
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    blocked, *descriptors = ended.out.split()[1:]
    assert int(blocked, 16) == 0
    assert descriptors == [b"0", b"1", b"2", b"3"]  # the last one is the directory


def test_the_program_of_a_process() -> None:
    assert executable_of(os.getpid()) == Path(os.readlink("/proc/self/exe"))
    assert executable_of(2**22 + 1) is None
