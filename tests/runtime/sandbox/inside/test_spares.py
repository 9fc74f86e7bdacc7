"""Children of the fork server that are ready before they are asked for: used once, for what they stand on, by nobody else."""

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from pybuild.runtime.errors import RuntimeHostError
from pybuild.runtime.sandbox import forkserver_client, launcher
from pybuild.runtime.sandbox.inside import plan
from pybuild.runtime.sandbox.spec import FileMount, Network, Process, ResourceLimits, Spec
from tests.runtime.processes import child_of, ends
from tests.runtime.sandbox.test_forkserver_client import servers_of
from tests.runtime.sandboxes import Image


@pytest.fixture
def server(image: Image, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A fork server of this test alone, which expects many runs."""
    with started(1000, monkeypatch) as own:
        yield own


@contextmanager
def started(expected: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Start a fork server beside those of other tests."""
    monkeypatch.setattr(forkserver_client, "_SERVERS", {})
    others = servers_of(os.getpid())
    forkserver_client.start(expected)
    (own,) = forkserver_client._SERVERS.values()
    found: set[int] = set()
    while not found:  # it has another command line until its exec
        found = set(servers_of(os.getpid())).difference(others)
    yield found.pop()
    own._channel.close()


def spare(server: int) -> int:
    """Wait until the server has a child that waits, and return it."""
    while True:
        for name in Path(f"/proc/{server}/task/{server}/children").read_text().split():
            if waits(int(name)):
                return int(name)


def waits(keeper: int) -> bool:
    """Return whether a keeper has forked its guard, and that the process that is to be the program."""
    try:
        return child_of(child_of(keeper)) > 0
    except (ValueError, OSError):
        return False


def test_a_run_uses_the_child_that_waits_and_the_next_one_has_another(image: Image, server: int) -> None:
    seen = []
    for _ in range(3):
        waiting = spare(server)
        seen.append(waiting)
        ended = os.pidfd_open(waiting)
        assert image.shell("echo $$; cat /proc/sys/kernel/hostname", hostname="box").out == "1\nbox\n"
        assert ends(ended)
        os.close(ended)
    assert len(set(seen)) == 3


def test_no_child_waits_when_no_run_is_expected(image: Image, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = Spec(root=image.root, process=Process(args=("true",), env=image.env))
    with started(2, monkeypatch) as server:
        for _ in range(2):
            spare(server)
            launcher.run(spec, output=print)
        launcher.run(spec, output=print)
        left = Path(f"/proc/{server}/task/{server}/children").read_text().split()
        assert [pid for pid in left if waits(int(pid))] == []


@pytest.mark.parametrize(
    "options",
    [
        {"network": Network.NONE},
        {"insecure": True},
        {"limits": ResourceLimits(shm_size=1 << 20)},
        {"limits": ResourceLimits(memory=64 << 20)},
    ],
    ids=["network", "insecure", "shm", "memory"],
)
def test_what_needs_another_ground_leaves_the_child_alone(
    image: Image, server: int, options: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = tmp_path / "group"
    group.touch()
    if "limits" in options and options["limits"].memory:  # type: ignore[attr-defined]
        made = launcher.make_plan
        monkeypatch.setattr(
            launcher, "make_plan", lambda what, _files, network: made(what, (os.fsencode(group),), network)
        )
    waiting = spare(server)
    assert image.shell("df -k /dev/shm | tail -1; id -u", **options).status.code == 0
    assert waits(waiting)


def test_a_child_refuses_a_plan_for_another_environment(
    image: Image, server: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    spare(server)
    monkeypatch.setattr(
        launcher, "fork_child", lambda descriptors, **_: forkserver_client.fork_child(descriptors, spare_fits=True)
    )
    with pytest.raises(RuntimeHostError, match="prepared for something else"):
        image.shell("touch /ran", network=Network.NONE)
    assert image.left() == []


@pytest.mark.parametrize("victim", ["keeper", "guard", "program"])
def test_a_child_that_died_while_it_waited_is_replaced(image: Image, server: int, victim: str) -> None:
    keeper = spare(server)
    chain = {"keeper": keeper, "guard": child_of(keeper), "program": child_of(child_of(keeper))}
    ended = os.pidfd_open(keeper)
    os.kill(chain[victim], signal.SIGKILL)
    assert ends(ended)
    os.close(ended)
    assert image.shell("echo again").out == "again\n"


def test_a_program_that_has_ended_before_its_guard_looks_is_reported(image: Image, server: int) -> None:
    keeper = spare(server)
    guard, program = child_of(keeper), child_of(child_of(keeper))
    os.kill(guard, signal.SIGSTOP)
    with ThreadPoolExecutor(1) as pool:
        result = pool.submit(image.shell, "exit 3")
        while Path(f"/proc/{program}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
            time.sleep(0.01)
        os.kill(guard, signal.SIGCONT)
        assert result.result(20).status.code == 3


@pytest.mark.parametrize("way", ["close", "kill"])
def test_a_child_that_waits_ends_with_its_server(server: int, way: str) -> None:
    keeper = spare(server)
    handles = [os.pidfd_open(pid) for pid in (keeper, child_of(keeper), child_of(child_of(keeper)))]
    (own,) = forkserver_client._SERVERS.values()
    if way == "close":
        own._channel.close()
    else:
        os.kill(server, signal.SIGKILL)
    assert all(ends(handle) for handle in handles)
    for handle in handles:
        os.close(handle)


def test_a_child_that_waits_holds_nothing_of_the_run_before(image: Image, server: int) -> None:
    secret = b"the secret of the first step " * 4
    spare(server)
    mount = FileMount(target=Path("/run/secret"), content=secret)  # type: ignore[arg-type]
    assert (
        secret.decode()
        in image.shell("cat /run/secret", mounts=(mount,), env=(*image.env, ("TOKEN", "s3cr3t-t0ken"))).out
    )
    keeper = spare(server)
    for pid in (keeper, child_of(keeper), child_of(child_of(keeper))):
        found = sorted(os.readlink(f"/proc/{pid}/fd/{fd}").partition(":")[0] for fd in os.listdir(f"/proc/{pid}/fd"))
        assert not [name for name in found if "memfd" in name]
        assert memory_of(pid).count(secret) == 0
        assert memory_of(pid).count(b"s3cr3t-t0ken") == 0


def test_a_guard_that_waits_holds_nothing_of_the_keeper(server: int) -> None:
    keeper = spare(server)
    deadline = time.monotonic() + 60
    while True:  # each closes what it has inherited a moment after its fork
        of_keeper, *others = map(sockets_of, (keeper, child_of(keeper), child_of(child_of(keeper))))
        shared = [names & of_keeper for names in others]
        # The one to the fork server, and one to each of the two that wait.
        if (len(of_keeper), shared) == (3, [set(), set()]) or time.monotonic() > deadline:
            break
    assert (len(of_keeper), shared) == (3, [set(), set()])


def sockets_of(pid: int) -> set[str]:
    """The sockets that a process has open, by their inodes."""
    found = set()
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with suppress(FileNotFoundError):  # closed meanwhile
            found.add(os.readlink(f"/proc/{pid}/fd/{fd}"))
    return {name for name in found if name.startswith("socket:")}


def memory_of(pid: int) -> bytes:
    """All that a process has written to."""
    found = []
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            places, flags, *_ = line.split()
            if flags.startswith("rw"):
                first, last = (int(place, 16) for place in places.split("-"))
                memory.seek(first)
                found.append(memory.read(last - first))
    return b"".join(found)


def test_the_usual_ground_is_that_of_a_run_without_flags(image: Image) -> None:
    spec = Spec(root=image.root, process=Process(args=("true",)))
    assert launcher.make_plan(spec).settings.prepared_settings() == plan.DEFAULT_SETTINGS.prepared_settings()
