"""Networks under commands, monitors and netavark that are killed at any moment: nothing of them stays on the host."""

import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from pybuild.runtime.networks.namespaces import inside
from tests.e2e.test_container_kills import carry_out, monitors, some_words
from tests.helpers.hosts import need_small_base
from tests.helpers.networks import await_commands, need_netavark, own_network, seen, seen_once
from tests.helpers.program import Program
from tests.helpers.thorough import first_in_ci
from tests.helpers.waiting import settled

NAMES = [f"c{number}" for number in range(5)]
WORKERS = 3
COMMANDS = (
    ("run", "-d", "--name", "{}", "--network", "one", "-p", "8080-8090:80", "small", "sleep", "1000"),
    ("run", "-d", "--name", "{}", "--network", "two", "small", "sleep", "1000"),
    ("run", "-d", "--name", "{}", "-p", "80", "small", "sleep", "1000"),
    ("run", "--rm", "--network", "one", "small", "true"),
    ("start", "{}"),
    ("stop", "-t", "0", "{}"),
    ("restart", "-t", "0", "{}"),
    ("network", "connect", "two", "{}"),
    ("network", "disconnect", "one", "{}"),
    ("rm", "-f", "{}"),
    ("ps", "-a"),
)


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Program]:
    need_netavark()
    program = Program(store=tmp_path / "store", variables=(("PYBUILD_NETWORK", ""),))
    program.run("import", "-c", "ENV PATH=/bin", str(need_small_base()), "small")
    program.run("network", "create", "one")
    program.run("network", "create", "--internal", "two")
    with own_network():
        yield program
        await_commands(program.store)


def work(program: Program, seed: int, turns: int, space: int) -> list[str]:
    """Carry out random commands, some of which are killed; return what should not have been said."""
    chance = random.Random(seed)
    with inside(space):
        said = [carry_out(program, chance, some_words(chance, COMMANDS, NAMES), 1.5) for _ in range(turns)]
    return list(filter(None, said))


@pytest.mark.parametrize(("seed", "turns"), first_in_ci((0, 10), (0, 30), (1, 30)))
def test_nothing_stays_whoever_is_killed(host: Program, seed: int, turns: int) -> None:
    before = seen()
    space = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        with ThreadPoolExecutor(WORKERS) as pool:
            jobs = [pool.submit(work, host, 10 * seed + number, turns, space) for number in range(WORKERS)]
            assert [line for job in jobs for line in job.result()] == []
    finally:
        os.close(space)
    left = host.run("ps", "-aq", "--no-trunc").stdout.split()
    removed = [host.run("rm", "-f", identity, check=False) for identity in left]
    assert [done.stderr for done in removed if done.returncode] == []
    host.run("ps")
    assert seen_once(before) == before
    host.run("network", "rm", "one", "two")


@pytest.mark.parametrize("seconds", [0.1, 0.3, 0.5, 0.7, 1.0])
def test_a_start_that_is_killed_leaves_what_the_next_command_removes(host: Program, seconds: float) -> None:
    before = seen()
    words = ("run", "-d", "--name", "one", "--network", "one", "-p", "8080:80", "small", "sleep", "1000")
    command = subprocess.Popen(
        host.command(*words), env=host.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    time.sleep(seconds)
    command.kill()
    command.wait()
    for monitor in monitors(host.store):
        with suppress(ProcessLookupError):
            os.kill(monitor, signal.SIGKILL)
    assert settled(lambda: monitors(host.store), []) == []
    host.run("ps")
    assert seen_once(before) == before
    host.run("rm", "-f", "one", check=False)
