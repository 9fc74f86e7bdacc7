"""Signals of ``pybuild run`` and the program that it runs."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.builder.cli.conftest import Shop
from tests.helpers.hosts import need_root, need_small_base

NAMES = ("HUP", "INT", "QUIT", "TERM", "USR1", "USR2")
WAIT = "echo up; while :; do sleep 0.05; done"


@pytest.fixture
def box(shop: Shop) -> Shop:
    need_root()
    assert shop.run("import", str(need_small_base()), "box", "-c", "ENV PATH=/bin").code == 0
    return shop


@contextmanager
def running(shop: Shop, *words: str) -> Iterator["subprocess.Popen[str]"]:
    """Run *words*, of which the last is a script, from the moment at which the script says that it is up."""
    command = [sys.executable, "-m", "pybuild", "--root", str(shop.store.root), "run", *words[:-1]]
    script = ("box", "sh", "-c", words[-1])
    with subprocess.Popen([*command, *script], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            heard(process, "up")
            yield process
        finally:
            process.kill()


def heard(process: "subprocess.Popen[str]", line: str) -> None:
    assert process.stdout is not None
    assert process.stdout.readline().strip() == line


@pytest.mark.parametrize("flags", [(), ("--init",), ("-t",)], ids=["plain", "init", "terminal"])
def test_signals_reach_the_program(box: Shop, flags: tuple[str, ...]) -> None:
    traps = "".join(f"trap 'echo {name}' {name}; " for name in NAMES)
    with running(box, *flags, "--stop-timeout", "-1", traps + "trap 'exit 7' USR2; " + WAIT) as process:
        for name in NAMES[:-1]:
            process.send_signal(getattr(signal, f"SIG{name}"))
            heard(process, name)
        process.send_signal(signal.SIGUSR2)
        assert process.wait() == 7


@pytest.mark.parametrize("name", ["WINCH", "TSTP", "CONT", "ALRM", "IO"])
def test_all_signals_that_docker_passes_on_reach_the_program(box: Shop, name: str) -> None:
    with running(box, f"trap 'exit 7' {name}; {WAIT}") as process:
        process.send_signal(getattr(signal, f"SIG{name}"))
        assert process.wait() == 7


def test_a_program_shuts_down_in_its_own_time_and_with_its_own_status(box: Shop) -> None:
    with running(box, f"trap 'sleep 0.3; echo saved; exit 5' TERM; {WAIT}") as process:
        process.send_signal(signal.SIGTERM)
        heard(process, "saved")
        assert process.wait() == 5


def test_a_program_that_does_not_stop_is_killed_after_the_timeout(box: Shop) -> None:
    with running(box, "--stop-timeout", "0", f"trap 'echo no' TERM; {WAIT}") as process:
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 137


def test_the_third_interrupt_kills(box: Shop) -> None:
    with running(box, f"trap 'echo no' INT; {WAIT}") as process:
        for _ in range(2):
            process.send_signal(signal.SIGINT)
            heard(process, "no")
        process.send_signal(signal.SIGINT)
        assert process.wait() == 137


def test_a_program_without_handlers_is_ended_by_a_signal_below_an_init_only(box: Shop) -> None:
    with running(box, "--init", "echo up; exec sleep 1000") as process:
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 143
