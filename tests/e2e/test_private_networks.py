"""Networks of their own, in an internet of the test's own: what they reach, what they do not, and what is left of them."""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.helpers import small_internet
from tests.helpers.contexts import write_context
from tests.helpers.hosts import need_programs, need_small_base
from tests.helpers.ordinary import OrdinaryUser, ordinary_user
from tests.helpers.program import Built, Program, build_arguments, built
from tests.helpers.waiting import settled

PROBES = """FROM small
RUN wget -qO- http://any.name:8000/ | sed 's/^/name: /'
RUN wget -qO- http://[2001:db8::1]:8000/ | sed 's/^/six: /'
RUN wget -qO- http://198.51.100.1:8000/ | sed 's/^/four: /'
RUN for place in 127.0.0.1 198.51.100.1 198.51.100.2; do timeout 3 wget -qO- http://$place:7000/ >/dev/null 2>&1 && echo "open: $place"; done; true
RUN echo "canaries: $(grep -c canary /proc/net/unix)"; sed 's/^/conf: /' /etc/resolv.conf
"""
REACHED = ("name: hello from", "six: hello from 2001:db8::1", "four: hello from 198.51.100.1")


@pytest.fixture(autouse=True)
def _needs() -> None:
    need_programs(["ip", "nsenter", "unshare"])


@pytest.fixture(params=["root", "user"])
def maker(request: pytest.FixtureRequest, program: Program, tmp_path: Path) -> Program:
    """pybuild of root, and of a user with subordinate ids."""
    if request.param == "root":
        return program
    need_programs(["newuidmap"])
    user = ordinary_user(tmp_path / "home")
    tar = user.directory / "small.tar"
    tar.write_bytes(need_small_base().read_bytes())
    user.run("import", str(user.seen(tar)), "small")
    return user


@dataclass
class There:
    """A program in the small internet."""

    program: Program
    place: Path

    def build(self, text: str, *options: str, path: str | None = None) -> Built:
        context = write_context(self.place, {"Dockerfile": text})
        seen = self.program.seen(context) if isinstance(self.program, OrdinaryUser) else context
        words = build_arguments(seen, options)
        words.remove("--network=host")
        env = {**self.program.environment, **({"PATH": path} if path else {})}
        result = subprocess.run(
            small_internet.words(*self.program.command(*words)),
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        return built(result.returncode, result.stderr)


@pytest.fixture
def there(maker: Program, tmp_path: Path) -> There:
    above = maker.directory if isinstance(maker, OrdinaryUser) else tmp_path
    return There(maker, above / "context")


@pytest.fixture
def without_pasta() -> Iterator[str]:
    """A PATH with all that the host has but pasta, open to every user."""
    place = Path(tempfile.mkdtemp(prefix="bin-"))
    place.chmod(0o755)
    for directory in reversed(os.environ["PATH"].split(":")):
        for path in Path(directory).glob("*") if directory else ():
            if path.name not in {"pasta", "passt"} and not (place / path.name).is_symlink():
                (place / path.name).symlink_to(path)
    yield str(place)
    shutil.rmtree(place)


def test_the_world_is_in_reach_and_the_host_is_not(there: There) -> None:
    need_programs(["pasta"])
    done = there.build(PROBES, "--network=private")
    assert done.exit_code == 0, done.printed
    assert [text for text in REACHED if text not in done.printed] == []
    assert "open:" not in done.printed.replace('"open:', "")
    assert "canaries: 0" in done.printed
    assert "conf: nameserver 169.254.1.1" in done.printed
    assert "conf: search example" in done.printed


def test_the_network_of_the_host_reaches_what_listens_there(there: There) -> None:
    # The same probes find what they look for where it is in reach.
    done = there.build(PROBES, "--network=host")
    assert [
        text for text in (*REACHED, "open: 127.0.0.1", "conf: nameserver 127.0.0.53") if text not in done.printed
    ] == []


def test_slirp4netns_does_where_there_is_no_pasta(there: There, without_pasta: str) -> None:
    need_programs(["slirp4netns"])
    text = PROBES.replace("RUN wget -qO- http://[2001:db8::1]:8000/ | sed 's/^/six: /'\n", "")
    done = there.build(text, "--network=private", path=without_pasta)
    assert done.exit_code == 0, done.printed
    assert [text for text in (REACHED[2], "canaries: 0", "conf: nameserver 10.0.2.3") if text not in done.printed] == []
    assert "open:" not in done.printed.replace('"open:', "")


def test_parallel_steps_have_one_each(there: There) -> None:
    need_programs(["pasta"])
    stage = "FROM small AS s{0}\nRUN mkfifo /open; nc -l -p 9000 <>/open >/got & until echo {0} | nc 127.0.0.1 9000; do sleep 0.1; done; wait; grep -x {0} /got\n"
    last = "FROM small\n" + "".join(f"COPY --from=s{number} /got /{number}\n" for number in range(3))
    done = there.build("".join(map(stage.format, range(3))) + last, "--network=private")
    assert done.exit_code == 0, done.printed


def test_without_a_flag_users_have_it_and_root_has_the_hosts(there: There) -> None:
    need_programs(["pasta"])
    done = there.build(PROBES)
    canaries = "canaries: 0" if isinstance(there.program, OrdinaryUser) else "canaries: 1"
    assert canaries in done.printed, done.printed
    # What was asked for is the same, so the layers are: a cache is shared between hosts with and without it.
    again = there.build(PROBES, "--network=default")
    assert (again.exit_code, again.executed) == (0, [])


def test_a_proxy_on_the_loopback_is_told_of(there: There) -> None:
    need_programs(["pasta"])
    text = "FROM small\nRUN true\n"
    done = there.build(text, "--network=private", "--build-arg=http_proxy=http://127.0.0.1:3128")
    assert "HTTP_PROXY is on the loopback interface of the host" in done.printed
    done = there.build(text, "--network=private", "--no-cache", "--build-arg=http_proxy=http://proxy.example:3128")
    assert "loopback" not in done.printed


def test_a_network_that_cannot_be_is_an_error_with_a_hint(program: Program, tmp_path: Path) -> None:
    context = write_context(tmp_path / "context", {"Dockerfile": "FROM small\nRUN true\n"})
    empty = tmp_path / "bin"
    empty.mkdir()
    words = program.command(*build_arguments(context, ("--network=private",)))
    words.remove("--network=host")
    result = subprocess.run(
        words, env={**program.environment, "PATH": str(empty)}, capture_output=True, text=True, check=False
    )
    assert result.returncode == 3
    assert "no private network: neither pasta nor slirp4netns is installed" in result.stderr
    assert "package passt" in result.stderr


def test_what_doctor_advises_gives_a_private_network(tmp_path: Path) -> None:
    need_programs(["newuidmap", "pasta"])
    user = ordinary_user(tmp_path / "home")
    asked = shlex.join(user.command("doctor", "--format=json"))
    script = f"chmod 600 /dev/net/tun; {asked}; echo ---; chmod 666 /dev/net/tun; {asked}"
    done = subprocess.run(
        small_internet.words("sh", "-c", script), env=user.environment, capture_output=True, text=True, check=True
    )
    before, after = (json.loads(text)["network"] for text in done.stdout.split("---"))
    assert before["needs"] == "sudo chmod 666 /dev/net/tun", before
    assert after == {"private": "pasta"}


def _below(parent: int) -> dict[int, list[int]]:
    """The children of *parent* and of all below it."""
    found: dict[int, list[int]] = {}
    waiting = [parent]
    while waiting:
        pid = waiting.pop()
        try:
            text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
        except OSError:
            continue
        found[pid] = list(map(int, text.split()))
        waiting += found[pid]
    return found


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


_TAKE = """import os, sys, time
from pybuild.runtime.private_networks.pool import take
made = take()
print(os.getpid(), flush=True)
time.sleep(1000)
"""


@pytest.mark.parametrize("victim", ["builder", "holder", "namespace", "init", "pasta"])
def test_whatever_is_killed_nothing_is_left(program: Program, victim: str) -> None:
    need_programs(["pasta"])
    words = small_internet.words(sys.executable, "-c", _TAKE)
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=program.environment) as process:
        assert process.stdout is not None
        builder = int(process.stdout.readline())
        try:
            below = _below(builder)
            (holder,) = below[builder]
            init = next(pid for pid in below[holder] if below[pid])
            (namespace,) = (pid for pid in below[holder] if pid != init)
            (pasta,) = below[init]
            places = {"builder": builder, "holder": holder, "namespace": namespace, "init": init, "pasta": pasta}
            os.kill(places[victim], signal.SIGKILL)
            made = (holder, namespace, init, pasta)
            assert settled(lambda: [pid for pid in made if _lives(pid)], []) == []
        finally:
            if victim != "builder":
                os.kill(builder, signal.SIGKILL)


_SERVES = "while echo hello from inside | nc -l -p 9000; do :; done"
_CONTAINER = """set -e
{run} -d --name one --network private -p 8347:9000 small sh -c '{serves}'
{port} one
{exec} one sh -c 'wget -qO- http://any.name:8000/; timeout 3 wget -qO- http://127.0.0.1:7000/ || echo closed'
until nc 127.0.0.1 8347 | grep inside; do sleep 0.1; done
{run} -d --name two --network private -p 8347:9000 small true || echo refused: $?
{run} --rm --name more --network container:one small ip -o addr | grep -c 198.51.100.2
kill -KILL $(pgrep --nslist net --ns $$ -f monitor/bootstrap.p[y])
while pgrep -f -- '-t 8347:900[0]'; do sleep 0.1; done
{ps} -a --format '{{{{.Names}}}} {{{{.State}}}}'
{rm} -f one two
"""


def test_a_container_has_one_with_ports_of_the_host_and_it_ends_with_it(maker: Program) -> None:
    need_programs(["pasta", "pgrep", "nc"])
    commands = {name: shlex.join(maker.command(name)) for name in ("run", "exec", "port", "ps", "rm")}
    script = _CONTAINER.format(serves=_SERVES, **commands)
    done = subprocess.run(
        small_internet.words("sh", "-c", script), env=maker.environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stdout.splitlines() if len(line) < 60 and not line.isdigit()] == [
        "9000/tcp -> 0.0.0.0:8347",
        "hello from 2001:db8::1",
        "closed",
        "hello from inside",
        "refused: 125",
        "two created",
        "one exited",
        "one",
        "two",
    ]
    assert "port is already allocated" in done.stderr
