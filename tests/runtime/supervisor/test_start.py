import os
import signal
from pathlib import Path

import pytest

from pybuild.runtime.kernel.syscalls import seccomp_listener
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


def test_a_process_that_dies_in_a_call_is_not_mistaken_for_another(tmp_path: Path) -> None:
    def work() -> tuple[int, int]:
        for _ in range(60):
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
