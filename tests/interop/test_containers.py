"""The same command lines for docker and for pybuild: exit codes, output and what is inside the containers are the same.

The daemon of these tests lives behind a chroot, in which its ``exec`` would run on the host: that command is tried without
it, in `tests/builder/cli/commands/container`.

A scenario is a list of command lines, carried out in order on both. What is printed is compared after ids, times and
sizes are masked; what goes to standard error has words of its own. Where the two mean to differ, `DIFFERENT` says why.
"""

import re
import shlex
import subprocess
from collections.abc import Container, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.helpers import bases
from tests.helpers.peers import Docker
from tests.helpers.program import Program
from tests.helpers.waiting import settled

CONFIG = ("-c", "ENV PATH=/bin A=image", "-c", "LABEL of=image", "-c", 'CMD ["echo", "default"]')
IMAGES = {
    "box": CONFIG,
    "tool": (*CONFIG, "-c", 'ENTRYPOINT ["echo", "entry"]', "-c", "USER alice", "-c", "WORKDIR /tmp"),
    "signal": (*CONFIG, "-c", "STOPSIGNAL USR1"),
    "data": (*CONFIG, "-c", "VOLUME /home"),
}
_MASKS = (
    (r"\b[0-9a-f]{64}\b", "LONGID"),
    (r"\b[0-9a-f]{12}\b", "SHORTID"),
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?( ?Z| \+0000 UTC)?", "WHEN"),
    (r"(Less than a second|About an? \w+|\d+ (second|minute)s?)( ago)?", "AGO"),
    (r"\b\d+(\.\d+)?k?B\b", "SIZE"),
    (r"  +", " "),
)
LOOP = "sh -c 'trap \"exit 5\" TERM USR1; echo ready; while :; do sleep 0.05; done'"

SCENARIOS = {
    "created, started, removed": """
create --name c1 --network none box
ps -a --format '{{.Names}} {{.Image}} {{.Command}} {{.State}} {{.Status}}'
start c1
wait c1
logs c1
start -a c1
logs c1
ps -a --format '{{.Names}} {{.Status}}'
ps --format '{{.Names}}'
restart c1
wait c1
rename c1 c2
rm c1
start nope
rm c2
rm c2
rm -f c2
ps -a
""",
    "exit codes of run": """
run --rm --network none box true
run --rm --network none box false
run --rm --network none --name c1 box sh -c 'exit 42'
run --name c1 --network none box nosuch
rm c1
run --name c1 --network none box /etc/passwd
rm c1
run --name c1 --network none -u nobody-here box true
rm c1
run --network none nosuch:image true
run --network none --name c1 box sh -c 'kill -9 $$; sleep 1'
rm c1
run --network none --name c1 --init box sh -c 'kill -9 $$'
inspect -f '{{.State.ExitCode}}' c1
rm c1
""",
    "what a process is given": """
run --name c1 --network none -e B=flag -e A box env
rm c1
run --name c1 --network none -h inner box sh -c 'hostname; cat /etc/hostname'
rm c1
run --name c1 --network none tool
rm c1
run --name c1 --network none tool words
rm c1
run --name c1 --network none --entrypoint id tool -un
rm c1
run --name c1 --network none --entrypoint '' box echo x
rm c1
run --name c1 --network none -u 5:6 -w /new/dir box sh -c 'id -u; id -g; pwd; stat -c %u:%g .'
rm c1
run --name c1 --network none -u alice box id -G
rm c1
run --name c1 --network none box grep -E 'Cap|Seccomp:|NoNewPrivs' /proc/self/status
rm c1
run --name c1 --network none box ls /proc/self/fd
rm c1
run --name c1 --network none box sh -c 'ls /dev | sort'
rm c1
run --name c1 --network none --ulimit nofile=100:200 box sh -c 'ulimit -n; ulimit -Hn'
rm c1
run --name c1 --network none --add-host db:1.2.3.4 box grep -w db /etc/hosts
rm c1
run --name c1 --network none --tmpfs /t:size=1m,mode=750 box sh -c 'stat -c %a /t; touch /t/x && ls /t'
rm c1
run --name c1 --network none --shm-size 1m box sh -c "df -k /dev/shm | tail -1 | tr -s ' ' | cut -d' ' -f2"
rm c1
run --name c1 --network none box sh -c 'touch /proc/sys/kernel/x; echo $?; echo x > /etc/hosts; echo $?'
rm c1
""",
    "signals": f"""
run -d --name c1 --network none box {LOOP}
until ready logs c1
logs c1
stop c1
inspect -f '{{{{.State.Status}}}} {{{{.State.ExitCode}}}} {{{{.State.Running}}}} {{{{.State.OOMKilled}}}}' c1
stop c1
kill c1
start c1
until 'ready ready' logs c1
kill -s TERM c1
wait c1
start c1
kill c1
wait c1
inspect -f '{{{{.State.ExitCode}}}}' c1
rm c1
run -d --name c2 --network none signal {LOOP}
until ready logs c2
stop -t 5 c2
inspect -f '{{{{.State.ExitCode}}}} {{{{.Config.StopSignal}}}}' c2
rm c2
run -d --name c3 --network none box sleep 1000
stop -t 0 c3
inspect -f '{{{{.State.ExitCode}}}}' c3
kill -s NOPE c3
rm -f c3
""",
    "paused": f"""
run -d --name c1 --network none box {LOOP}
pause c1
ps --format '{{{{.Names}}}} {{{{.State}}}} {{{{.Status}}}}'
pause c1
unpause c1
unpause c1
rm c1
rm -f c1
pause c1
""",
    "logs": """
run --name c1 --network none box sh -c 'for i in 1 2 3; do echo $i; done'
logs c1
logs -n 2 c1
logs --tail 0 c1
logs --tail all c1
logs -f c1
logs --since 10m c1
logs --until 10m c1
logs -t c1
logs nope
run --rm --network none --log-opt max-file=2 box true
run --rm --network none --log-opt max-size=odd box true
run --rm --network none --log-opt odd=1 box true
run --rm --network none --log-driver odd box true
run --name c3 --network none --log-opt max-size=10k --log-opt max-file=3 box sh -c 'for i in $(seq 300); do echo line $i; done'
logs --tail 2 c3
inspect -f '{{json .HostConfig.LogConfig}}' c3
rm c3
run --name c2 --network none --log-driver none box echo x
logs c2
rm c1 c2
""",
    "lists and filters": """
create --name c1 --network none -l a=1 box
run --name c2 --network none -l a=2 -l b box sh -c 'exit 3'
run -d --name c3 --network none box sleep 1000
ps --format '{{.Names}}'
ps -a --format '{{.Names}}'
ps -a
ps -a --no-trunc --format '{{.Command}}'
ps -aq --no-trunc
ps -l --format '{{.Names}}'
ps -n 2 --format '{{.Names}}'
ps -f status=exited --format '{{.Names}}'
ps -f status=created -f status=running --format '{{.Names}}'
ps -a -f label=a --format '{{.Names}} {{.Labels}}'
ps -a -f label=a=1 --format '{{.Names}}'
ps -a --format '{{.Names}} [{{.Label "a"}}] [{{.Label "b"}}] [{{.Label "nope"}}]'
ps -a --format 'table {{.Names}}\\t{{.Label "a.long_name-here"}}'
ps -a --format '{{.Names}} {{if eq (.Label "a") "1"}}one{{else}}other{{end}}'
inspect -f '{{json .Config.Labels}}' c2
ps -a -f exited=3 --format '{{.Names}}'
ps -a -f name=c2 --format '{{.Names}}'
ps -a -f ancestor=box --format '{{.Names}}'
ps -f before=c2 -a --format '{{.Names}}'
ps -f since=c2 -a --format '{{.Names}}'
ps -f status=odd
ps -f health=none --format '{{.Names}}'
ps -f health=healthy --format '{{.Names}}'
ps -f health=odd
inspect -f '{{json .State.Health}}' c3
ps -f odd=1
container ls -a --format '{{.Names}} {{.Networks}}'
inspect -f '{{.Config.Labels.a}} {{.Name}} {{.HostConfig.NetworkMode}}' c2
inspect -f '{{.Path}} {{.Args}}' c2
inspect -f '{{json .Config.Env}}' c2
container inspect nope
rm -f c1 c2 c3
""",
    "restarted": """
run -d --name c1 --network none --restart on-failure:2 box sh -c 'echo x; exit 1'
until 'exited 2' inspect -f '{{.State.Status}} {{.RestartCount}}' c1
inspect -f '{{.State.Status}} {{.RestartCount}} {{.HostConfig.RestartPolicy.Name}} {{.HostConfig.RestartPolicy.MaximumRetryCount}}' c1
logs c1
rm c1
run -d --name c1 --network none --restart always box true
sleep 0.6
stop c1
inspect -f '{{.State.Status}}' c1
rm c1
run --name c1 --network none --restart never box true
run --rm --restart always --network none box true
""",
    "volumes": """
volume create data
volume create data
volume ls
volume ls -q
run --rm --name c1 --network none -v data:/d box sh -c 'echo x > /d/f'
run --rm --name c1 --network none -v data:/d:ro box cat /d/f
run --rm --name c1 --network none -v data:/d:ro box touch /d/g
run --rm --name c1 --network none --mount type=volume,source=data,target=/m box cat /m/f
run --rm --name c1 --network none -v home:/home box stat -c %U /home/alice
create --name c2 --network none -v data:/d box
volume rm data
inspect -f '{{range .Mounts}}{{.Type}} {{.Name}} {{.Destination}} {{.RW}}{{end}}' c2
ps -a -f volume=data --format '{{.Names}} {{.Mounts}} {{.LocalVolumes}}'
rm c2
volume rm data home
volume rm data
volume inspect nope
create --name c3 --network none data
volume ls -q
rm -v c3
volume ls -q
run --rm --name c1 --network none --mount type=bind,source=/no/such,target=/x box true
run --rm --name c1 --network none -v relative/path:/x:odd box true
""",
    "names": """
create --name c1 --network none box
create --name c1 --network none box
create --name -x --network none box
create --name x --network none box
rename c1 c1
rename nope c2
rename c1 c2
inspect -f '{{.Name}}' c2
rm c2
container prune -f
create --network none box
container prune -f
ps -aq
""",
    "what a container wrote": """
run --name c1 --network none box sh -c "echo x > /new; mkdir /dir; echo y > /dir/f; rm /etc/motd; echo z >> /etc/group"
diff c1
commit -m why c1 made
commit nosuch made
commit c1 'Bad Name'
run --rm --name c2 --network none made cat /new /dir/f
rm c1
rmi made
diff c1
""",
    "a root that is read-only": """
run --name c1 --network none --read-only box touch /x
inspect -f '{{.HostConfig.ReadonlyRootfs}}' c1
diff c1
rm c1
run --rm --network none --name c1 --read-only box sh -c 'echo x >/etc/hosts || echo no; echo x >/dev/shm/f && cat /dev/shm/f'
run --rm --network none --name c1 --read-only -v data:/new/data --tmpfs /t box sh -c 'echo x >/t/f && cp /t/f /new/data && cat /new/data/f'
volume rm data
""",
    "capabilities": """
run --rm --name c1 --network none --cap-drop ALL box grep Cap /proc/self/status
run --rm --name c1 --network none --cap-drop ALL --cap-add chown --cap-add CAP_SYS_TIME box grep Cap /proc/self/status
run --rm --name c1 --network none --cap-add net_admin --cap-drop mknod box grep Cap /proc/self/status
run --rm --name c1 --network none --cap-add sys_ptrace -u alice box grep Cap /proc/self/status
run --rm --name c1 --network none --cap-drop ALL -u alice box grep -E 'Cap|Uid|Groups' /proc/self/status
run --rm --name c1 --network none --cap-drop chown box chown alice /tmp
run --rm --name c1 --network none --cap-add SYS_ADMIN box mount -t tmpfs none /tmp
run --rm --name c1 --network none --cap-add nope box true
create --name c1 --network none --cap-add sys_time --cap-add NET_ADMIN --cap-add mknod --cap-drop mknod --cap-drop kill box
inspect -f '{{.HostConfig.CapAdd}} {{.HostConfig.CapDrop}}' c1
rm c1
create --name c1 --network none --cap-add all --cap-add chown --cap-drop kill box
inspect -f '{{.HostConfig.CapAdd}} {{.HostConfig.CapDrop}}' c1
rm c1
run --name c1 --network none --security-opt no-new-privileges box grep NoNewPrivs /proc/self/status
inspect -f '{{.HostConfig.SecurityOpt}}' c1
rm c1
run --rm --name c1 --network none --security-opt no-new-privileges:odd box true
""",
    "groups": """
run --rm --name c1 --network none --group-add 77 --group-add daemon box id -G
run --rm --name c1 --network none -u alice --group-add 77 box id -G
run --rm --name c1 --network none -u 5:6 --group-add 77 --group-add 6 box id -G
run --name c1 --network none --group-add nosuch box true
rm c1
create --name c1 --network none --group-add 77 --group-add daemon box
inspect -f '{{.HostConfig.GroupAdd}}' c1
rm c1
""",
    "volumes of others": """
run --name c1 --network none -v data:/d -v /anonymous box sh -c 'echo x >/d/f; echo y >/anonymous/f'
run --name c2 --network none --volumes-from c1 box cat /d/f /anonymous/f
inspect -f '{{.HostConfig.VolumesFrom}}' c2
inspect -f '{{range .Mounts}}{{.RW}} {{.Type}},{{end}}' c2
run --rm --name c3 --network none --volumes-from c1:ro box touch /d/g
run --rm --name c3 --network none --volumes-from c1:ro --tmpfs /d box ls /d
run --rm --name c3 --network none --volumes-from c1 -v other:/d box ls /d
create --name c2 --network none --volumes-from c1 box
create --name c3 --network none --volumes-from c1:odd box
create --name c3 --network none --volumes-from nope box
rm -v c1
start -a c2
rm -v c2
volume ls -q
volume rm data other
""",
    "volumes as they are shown": """
volume create data
volume inspect -f '{{.Name}} {{.Driver}} {{.Scope}} {{.Labels}} {{.Options}} {{json .Options}}' data
volume ls -q --filter dangling=true --filter name=dat
create --name c1 --network none -v data:/v:ro,rw box
create --name c1 --network none -v data:/v:z,Z box
create --name c1 --network none -v data:/v:ro,z box
rm c1
volume rm data
volume rm data
""",
    "images in use": """
tag box boxed
create --name c1 --network none boxed
rmi boxed
create --name c2 --network none tool
rmi tool
rm c1
rmi boxed
rm c2
""",
}
DIFFERENT = {"rmi made": "Docker's older image store also lists each layer that goes; that of containerd does not"}
"""Command lines whose outcome is another one, and why."""


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command line went."""

    line: str
    code: int
    out: str
    err: str


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    program = Program(store=tmp_path_factory.mktemp("containers") / "store")
    for name, config in IMAGES.items():
        program.run("import", *config, str(bases.small()), name)
    yield program
    program.remove_containers()


@pytest.fixture(scope="module")
def theirs(docker: Docker) -> Docker:
    for name, config in IMAGES.items():
        with Path(bases.small()).open("rb") as tar:
            docker.command("import", *config, "-", name, stdin=tar)
    return docker


def carried_out(words: list[str], script: str, environment: dict[str, str] | None = None) -> list[Ran]:
    """Run each line of *script* behind *words*, or as it is when it waits."""
    found = []
    for line in filter(None, script.splitlines()):
        if line.startswith("until "):
            await_words(words, line, environment)
            continue
        command = shlex.split(line) if line.startswith("sleep ") else [*words, *shlex.split(line)]
        done = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60
        )
        out = done.stdout
        if line.startswith("diff "):  # Docker's order differs each time
            out = "\n".join(sorted(out.splitlines()))
        found.append(Ran(line, done.returncode, masked(out), done.stderr.strip()[-300:]))
    return found


def await_words(words: list[str], line: str, environment: dict[str, str] | None) -> None:
    """Carry out the line ``until WORDS COMMAND``: run the command until it prints these words and no others."""
    _, wanted, *command = shlex.split(line)

    def printed() -> str:
        done = subprocess.run(
            [*words, *command], env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        return " ".join(done.stdout.split())

    assert settled(printed, wanted) == wanted, line


def masked(text: str) -> str:
    for pattern, name in _MASKS:
        text = re.sub(pattern, name, text)
    return text.strip()


def assert_alike(mine: list[Ran], other: list[Ran], different: Container[str]) -> None:
    """Fail unless all lines went alike, in exit code and output, but for those that are listed as *different*."""
    found = [
        f"{one.line}\n  pybuild: {one.code} {one.out!r} {one.err!r}\n  docker:  {two.code} {two.out!r} {two.err!r}"
        for one, two in zip(mine, other, strict=True)
        if (one.code, one.out) != (two.code, two.out) and one.line not in different
    ]
    assert not found, "\n".join(["", *found])


@pytest.mark.drawn
@pytest.mark.parametrize("name", SCENARIOS)
def test_docker_does_the_same(ours: Program, theirs: Docker, name: str) -> None:
    mine = carried_out(ours.command(), SCENARIOS[name], dict(ours.environment))
    other = carried_out(list(theirs.client), SCENARIOS[name])
    assert_alike(mine, other, DIFFERENT)
