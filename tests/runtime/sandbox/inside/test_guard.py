"""The processes around the program: none of them can die without it, and an init is there when it is asked for."""

import os
import shutil
import signal
from itertools import permutations
from pathlib import Path

import pytest

from pybuild.runtime.sandbox.inside import keeper as sandbox
from pybuild.runtime.sandbox.inside.guard import GuardSockets, guard
from pybuild.runtime.sandbox.inside.namespaces import JoinedNamespaces
from pybuild.runtime.sandbox.inside.plan import DEFAULT_SETTINGS
from pybuild.runtime.sandbox.spec import ExitStatus
from tests.helpers.hosts import need_root
from tests.runtime.processes import ends, running
from tests.runtime.sandboxes import Image, make_base, python_image

ZOMBIES = "grep -l '^State:.Z' /proc/[0-9]*/status 2> /dev/null | wc -l"


@pytest.fixture
def set_user_id(tmp_path: Path) -> Image:
    """An image with a program whose exec changes the user, which clears PDEATHSIG."""
    need_root()
    image = python_image(tmp_path, make_base(tmp_path / "own"))
    # Not one of busybox: that gives its rights back, and executes itself once more.
    shutil.copy("/usr/bin/cat", image.base / "bin/own-cat")
    (image.base / "bin/own-cat").chmod(0o4755)
    os.mkfifo(image.base / "never")
    return image


@pytest.mark.parametrize(
    "victims",
    [*(order for length in (1, 2, 3) for order in permutations(("builder", "server", "keeper"), length)), ("guard",)],
    ids="-".join,
)
def test_a_set_user_id_program_ends_with_each_process_that_looks_after_it(
    set_user_id: Image, victims: tuple[str, ...]
) -> None:
    with running(set_user_id, "own-cat", "/etc/passwd", "/never", user="user") as chain:
        program = os.pidfd_open(chain.program)
        assert "Uid:\t1000\t0\t0\t0\n" in Path(f"/proc/{chain.program}/status").read_text()
        for victim in victims:
            try:
                os.kill(getattr(chain, victim), signal.SIGKILL)
            except ProcessLookupError:  # it died of the one before
                continue
        assert ends(program)
        os.close(program)


@pytest.mark.parametrize("stopped", ["builder", "server", "keeper"])
def test_a_program_ends_with_its_keeper_although_nobody_above_can_act(image: Image, stopped: str) -> None:
    with running(image, "sh", "-c", "echo up; exec sleep 1000") as chain:
        program = os.pidfd_open(chain.program)
        os.kill(getattr(chain, stopped), signal.SIGSTOP)
        os.kill(chain.keeper, signal.SIGKILL)
        assert ends(program)
        os.close(program)


def test_a_guard_whose_keeper_is_dead_starts_nothing() -> None:
    alive, lifeline = os.pipe2(os.O_NONBLOCK)
    os.close(lifeline)
    child = os.fork()
    if child == 0:
        guard(GuardSockets(alive, -1, -1), None, DEFAULT_SETTINGS, JoinedNamespaces())  # type: ignore[arg-type]
        os._exit(7)
    os.close(alive)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_a_keeper_whose_fork_server_is_dead_ends() -> None:
    child = os.fork()
    if child == 0:
        try:
            sandbox.depend_on(os.getpid())
        finally:
            os._exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_process_is_immune_to_signals_from_inside_as_a_first_process_is(image: Image) -> None:
    assert image.shell("kill -9 $$; kill -TERM 1; kill 1; exit 5").status == ExitStatus(code=5)


def test_orphans_are_children_of_the_process_and_reaped_by_an_init(image: Image) -> None:
    script = f"for i in 1 2 3 4; do (true & ) ; done; n=0; while [ $({ZOMBIES}) != {{0}} ] && [ $n -lt 500 ]; do n=$((n+1)); done; {ZOMBIES}"
    assert image.run("sh", "-c", script.format(0), init=True).out.strip() == "0"
    assert image.shell("(sleep 1000 & echo $!) > /pid; grep PPid /proc/$(cat /pid)/status").out == "PPid:\t1\n"


@pytest.mark.parametrize(("script", "code"), [("exit 3", 3), ("kill -TERM $$", 143), ("kill -9 $$", 137)])
def test_an_init_ends_with_the_program_and_its_status(image: Image, script: str, code: int) -> None:
    result = image.shell(f"echo $$ $PPID; sleep 1000 & {script}", init=True)
    assert (result.out, result.status) == ("2 1\n", ExitStatus(code=code))


def held(pid: int) -> tuple[list[str], str, str]:
    """The descriptors and the capabilities of a process."""
    lines = dict(line.split(":\t") for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return sorted(os.listdir(f"/proc/{pid}/fd")), lines["CapPrm"], lines["CapEff"]


def test_what_looks_after_the_program_holds_nothing_that_is_worth_having(image: Image) -> None:
    with running(image, "sh", "-c", "echo up; exec sleep 1000") as chain:
        kill_alone = f"{1 << 5:016x}"
        assert held(chain.guard) == (["0", "1", "2", "3"], kill_alone, kill_alone)
        assert os.readlink(f"/proc/{chain.guard}/fd/3").startswith("pipe:")


def test_an_init_holds_nothing_that_is_worth_having(image: Image) -> None:
    status = image.shell("grep -E 'CapPrm|CapEff' /proc/1/status; ls /proc/1/fd", init=True)
    assert status.out == f"CapPrm:\t{1 << 5:016x}\nCapEff:\t{1 << 5:016x}\n0\n1\n2\n3\n"
