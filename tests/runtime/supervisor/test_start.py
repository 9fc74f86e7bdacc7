import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from pybuild.runtime.kernel.syscalls import CLONE_NEWPID, seccomp_listener, unshare
from tests.helpers.hosts import need_root
from tests.helpers.thorough import first_is_quick
from tests.runtime.supervisor.supervised import Supervised, supervised


def test_calls_fail_when_the_supervisor_has_died(tmp_path: Path) -> None:
    supervisor = Supervised()

    def work() -> str:
        os.stat(tmp_path)
        os.kill(supervisor.process, signal.SIGKILL)
        try:
            while True:  # until the kernel has seen the death
                os.stat(tmp_path)
        except OSError as error:
            return str(error.strerror)

    assert supervisor.run(work) == "Function not implemented"
    assert supervisor.end()[0] == -signal.SIGKILL


@pytest.mark.parametrize("turns", first_is_quick([20, 60]))
def test_a_process_that_dies_in_a_call_is_not_mistaken_for_another(tmp_path: Path, turns: int) -> None:
    def work() -> tuple[int, int]:
        for _ in range(turns):
            child = os.fork()
            if child == 0:
                while True:
                    os.chown(tmp_path, 3, 3)
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        os.chown(tmp_path, 4, 4)
        found = os.stat(tmp_path)
        return found.st_uid, found.st_gid

    assert supervised(work) == (4, 4)


def test_a_second_listener_is_refused() -> None:
    allow = bytes.fromhex("06000000" + "0000ff7f")
    with pytest.raises(OSError, match="busy"):
        supervised(lambda: seccomp_listener(allow))


def test_a_supervisor_has_little_and_sees_little() -> None:
    supervisor = Supervised()

    def work() -> list[str]:
        status = Path(f"/proc/{supervisor.process}/status").read_text(encoding="ascii")
        return [line for line in status.splitlines() if line.startswith(("CapEff", "CapBnd", "NoNewPrivs", "Seccomp:"))]

    # CHOWN, DAC_OVERRIDE, FOWNER, FSETID, SYS_CHROOT, SYS_PTRACE
    held = (1 << 0) | (1 << 1) | (1 << 3) | (1 << 4) | (1 << 18) | (1 << 19)
    expected = [f"CapEff:\t{held:016x}", f"CapBnd:\t{held:016x}", "NoNewPrivs:\t1", "Seccomp:\t2"]
    assert supervisor.run(work) == expected
    assert supervisor.end()[0] == 0


def _in_pid_namespace(work: Callable[[], object]) -> str:
    """What *work* returns, as a text, in the first process of a new PID namespace, with /proc of the old one."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            unshare(CLONE_NEWPID)
            if first := os.fork():
                os.waitpid(first, 0)
            else:
                os.write(writer, repr(work()).encode())
        except BaseException as error:
            os.write(writer, repr(error).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader, encoding="utf-8") as file:
        text = file.read()
    os.waitpid(child, 0)
    return text


def _call_on_and_on(directory: Path, owner: int) -> int:
    child = os.fork()
    if child == 0:
        try:
            os.chdir(directory)
            while True:
                os.chown("f", owner, owner)
        finally:
            os._exit(1)
    while os.stat(directory / "f").st_uid != owner:
        pass
    return child


@pytest.mark.parametrize("turns", first_is_quick([12, 60]))
def test_a_number_that_is_used_again_is_not_mistaken_for_who_had_it(tmp_path: Path, turns: int) -> None:
    """The second process has the number of the first, which was killed in a call by a path of the same name."""
    need_root()
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "f").touch()

    def attack() -> tuple[int, set[int], int]:
        reused, owners = 0, set()
        for turn in range(turns):
            first = _call_on_and_on(tmp_path / "first", 100 + turn)
            os.kill(first, signal.SIGKILL)
            os.waitpid(first, 0)
            Path("/proc/sys/kernel/ns_last_pid").write_text(str(first - 1), encoding="ascii")
            second = _call_on_and_on(tmp_path / "second", 1000 + turn)
            reused += second == first
            os.kill(second, signal.SIGKILL)
            os.waitpid(second, 0)
            owners.add(os.stat(tmp_path / "second/f").st_uid - 1000 - turn)
        return reused, owners, os.stat(tmp_path / "first/f").st_uid

    def work() -> object:
        supervisor = Supervised(is_own_proc=False)
        return supervisor.run(attack), supervisor.end()[0]

    assert _in_pid_namespace(work) == f"(({turns}, {{0}}, {99 + turns}), 0)"


@pytest.mark.parametrize("count", first_is_quick([10, 30]))
def test_a_flood_of_calls_and_of_deaths_is_answered(tmp_path: Path, count: int) -> None:
    (tmp_path / "f").touch()

    def work() -> tuple[int, int]:
        for _ in range(5):
            children = [_call_on_and_on(tmp_path, 5) for _ in range(count)]
            for child in children:
                os.kill(child, signal.SIGKILL)
            for child in children:
                os.waitpid(child, 0)
        os.chown(tmp_path / "f", 6, 7)
        found = os.stat(tmp_path / "f")
        return found.st_uid, found.st_gid

    assert supervised(work) == (6, 7)
