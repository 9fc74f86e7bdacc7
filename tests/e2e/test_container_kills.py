"""Containers under commands and monitors that are killed at any moment: each ends in a true state and can be removed."""

import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from tests.helpers.hanging import where_they_wait
from tests.helpers.leftovers import opened_by
from tests.helpers.ordinary import OrdinaryUser
from tests.helpers.program import Program
from tests.helpers.thorough import first_in_ci
from tests.helpers.waiting import PATIENCE, settled

NAMES = [f"c{number}" for number in range(10)]
WORKERS = 4
COMMANDS = (
    ("create", "--name", "{}", "-v", "vol-{}:/v", "small", "sh", "-c", "echo kept >> /kept; sleep 1000"),
    ("run", "-d", "--name", "{}", "small", "sh", "-c", "echo kept >> /kept; sleep 1000"),
    ("run", "-d", "--restart", "always", "--name", "{}", "small", "sh", "-c", "sleep 0.1"),
    ("start", "{}"),
    ("start", "{}"),
    ("stop", "-t", "0", "{}"),
    ("kill", "{}"),
    ("restart", "-t", "0", "{}"),
    ("exec", "{}", "true"),
    ("pause", "{}"),
    ("unpause", "{}"),
    ("rm", "{}"),
    ("rm", "-f", "{}"),
    ("ps", "-a"),
    ("logs", "{}"),
    ("rename", "{}", "{}"),
    ("update", "--restart", "no", "{}"),
    ("update", "-m", "64m", "--memory-swap", "-1", "{}"),
    ("cp", "{}:/etc/.", "-"),
    ("events", "--since", "1h", "--until", "0s"),
    ("container", "prune", "-f"),
    ("system", "df", "-v"),
    ("start", "--restart-policies"),
)


def monitors(store: Path) -> list[int]:
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError):
            if b"monitor/bootstrap.py" in Path(f"/proc/{name}/cmdline").read_bytes() and any(
                link.startswith(os.fspath(store)) for link in opened_by(name)
            ):
                found.append(int(name))
    return found


def monitors_of(program: Program) -> list[int]:
    """The monitors of a program's containers; stores of different users may have the same name in their mounts."""
    found = monitors(program.store)
    return list(filter(program.is_at_home, found)) if isinstance(program, OrdinaryUser) else found


def carry_out(program: Program, chance: random.Random, words: Sequence[str], pause: float) -> str:
    """Carry out a command, which may be killed within *pause* seconds, or a monitor; return what should not be said."""
    command = subprocess.Popen(
        program.command(*words),
        env=program.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    # Nothing is read before the end, and little is written.
    if chance.random() < 0.4:
        time.sleep(chance.random() * pause)
        command.kill()
    if chance.random() < 0.2 and (alive := monitors_of(program)):
        with suppress(ProcessLookupError):
            os.kill(chance.choice(alive), signal.SIGKILL)
    try:
        error = command.communicate(timeout=PATIENCE)[1]
    except subprocess.TimeoutExpired:
        error = f"it hangs\n{where_they_wait([command.pid, *monitors_of(program)])}"
        command.kill()
    wrong = any(text in error for text in ("it hangs", "Traceback", "has a bug", "Errno"))
    return f"{' '.join(words)}: {error}" if wrong else ""


def some_words(chance: random.Random, commands: Sequence[Sequence[str]], names: Sequence[str]) -> list[str]:
    """Return one of *commands*, with a name in each place for one."""
    return [word.replace("{}", chance.choice(names)) for word in chance.choice(commands)]


def work(program: Program, seed: int, turns: int) -> list[str]:
    """Carry out random commands, some of which are killed; return what should not have been said."""
    chance = random.Random(seed)
    said = (carry_out(program, chance, some_words(chance, COMMANDS, NAMES), 0.6) for _ in range(turns))
    return list(filter(None, said))


def await_lines(program: Program, count: int) -> None:
    """Wait until /kept in the container has *count* lines."""
    wanted = "kept\n" * count
    assert settled(lambda: program.run("exec", "one", "cat", "/kept", check=False).stdout, wanted) == wanted


@pytest.mark.parametrize(("seed", "turns"), first_in_ci((0, 15), (0, 75), (1, 75)))
def test_every_container_ends_in_a_true_state_and_can_be_removed(program: Program, seed: int, turns: int) -> None:
    with ThreadPoolExecutor(WORKERS) as pool:
        jobs = [pool.submit(work, program, 10 * seed + number, turns) for number in range(WORKERS)]
        assert [line for job in jobs for line in job.result()] == []
    listed = assert_true_and_removable(program, program.store)
    groups = [path for top in Path("/sys/fs/cgroup").glob("*/pybuild") for path in top.iterdir() if path.is_dir()]
    assert not [group for group in groups if group.name in listed]


def assert_true_and_removable(program: Program, store: Path) -> list[str]:
    """Check the states of all containers, remove them, and check that nothing is left of them; return their ids.

    *store* is where we see the store.
    """
    listed = program.run("ps", "-a", "--no-trunc", "--format", "{{.ID}}").stdout.split()
    for identity in listed:
        document = json.loads(program.run("inspect", identity).stdout)[0]
        if document["HostConfig"]["RestartPolicy"]["Name"] == "always":
            continue  # it ends and begins between two looks
        found = document["State"]
        runs = found["Pid"] > 0 and Path(f"/proc/{found['Pid']}").exists()
        assert runs == (found["Status"] in {"running", "paused"}), found
    removed = [program.run("rm", "-f", identity, check=False) for identity in listed]
    assert [done.stderr for done in removed if done.returncode] == []
    assert settled(lambda: monitors_of(program), []) == []
    program.run("ps")
    containers = store / "containers"
    assert sorted(path.name for path in containers.iterdir() if not path.name.startswith("tmp-")) == ["names"]
    assert list((containers / "names").iterdir()) == []
    assert not [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(store) in line]
    return listed


def test_a_stopped_container_keeps_its_files_through_kills(program: Program) -> None:
    program.run("run", "-d", "--name", "one", "small", "sh", "-c", "echo kept >> /kept; sleep 1000")
    for number in range(1, 6):
        # A start that is killed before its command has written would leave one line less.
        await_lines(program, number)
        for monitor in monitors(program.store):
            os.kill(monitor, signal.SIGKILL)
        assert settled(lambda: monitors(program.store), []) == []
        program.run("start", "one")
    await_lines(program, 6)
    program.run("rm", "-f", "one")
