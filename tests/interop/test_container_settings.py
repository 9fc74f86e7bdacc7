"""Settings of containers beside dockerd: limits, namespaces, volumes, archives, and what ``inspect`` shows of them."""

import pytest

from tests.helpers.peers import Docker
from tests.helpers.program import Program
from tests.interop.test_containers import LOOP, assert_alike, carried_out, ours, theirs

__all__ = ["ours", "theirs"]

HOST = "inspect -f '{{json .HostConfig.%s}}' c1"
SHOWN = (
    *("Memory", "MemorySwap", "MemoryReservation", "NanoCpus", "CpuShares", "CpuQuota", "CpuPeriod", "CpusetCpus"),
    *("PidsLimit", "ShmSize", "Ulimits", "RestartPolicy", "AutoRemove", "LogConfig", "IpcMode", "UTSMode"),
    *("CgroupnsMode", "UsernsMode", "PidMode", "OomScoreAdj", "OomKillDisable", "Privileged", "ReadonlyRootfs"),
    *("CapAdd", "CapDrop", "GroupAdd", "SecurityOpt", "Binds", "VolumesFrom", "BlkioWeight", "MemorySwappiness"),
)


ALONE = ("CgroupnsMode", "LogConfig", "RestartPolicy")
"""One of them differs. Docker sorts the members of the others, when one field of a format is not in its own type."""


def shown(*names: str) -> str:
    """Lines that show settings of c1: one for all but `ALONE`, because each line is a process on both sides."""
    together = [name for name in names or SHOWN if name not in ALONE]
    fields = " ".join(f"{name}={{{{json .HostConfig.{name}}}}}" for name in together)
    alone = [HOST % name for name in names or SHOWN if name in ALONE]
    return "\n".join([f"inspect -f '{fields}' c1", *alone] if together else alone)


SCENARIOS = {
    "nothing is asked for": f"""
create --name c1 --network none box
{shown()}
inspect -f '{{{{json .Config.Env}}}} {{{{json .Config.Cmd}}}} {{{{json .Config.Entrypoint}}}} {{{{json .Config.Labels}}}}' c1
inspect -f '{{{{.Path}}}} {{{{json .Args}}}} {{{{.Name}}}} {{{{.RestartCount}}}} {{{{.Platform}}}}' c1
inspect -f '{{{{.State.Status}}}} {{{{.State.Running}}}} {{{{.State.Pid}}}} {{{{.State.ExitCode}}}} {{{{.State.StartedAt}}}}' c1
inspect -f '{{{{json .Mounts}}}} {{{{.Config.WorkingDir}}}} {{{{.Config.User}}}} {{{{.Config.Tty}}}} {{{{.Config.OpenStdin}}}}' c1
rm c1
""",
    "limits": f"""
create --name c1 --network none -m 64m --memory-reservation 32m --cpus 0.5 --pids-limit 20 --shm-size 8m box
{shown("Memory", "MemorySwap", "MemoryReservation", "NanoCpus", "PidsLimit", "ShmSize")}
update -m 128m --memory-swap 256m --cpu-shares 512 c1
{shown("Memory", "MemorySwap", "CpuShares")}
update --cpu-quota 5000 c1
update --restart on-failure:3 c1
{shown("RestartPolicy")}
update c1
update --restart never c1
update -m 1m c1
update --pids-limit -1 nope
rm c1
create --name c1 --network none -m 5m box
create --name c1 --network none --memory-reservation 9m -m 8m box
create --name c1 --network none --cpus 0.5 --cpu-quota 5 box
create --name c1 --network none --memory-swappiness 101 box
create --name c1 --network none --oom-score-adj 1001 box
create --name c1 --network none --memory-reservation 1m box
create --name c1 --network none --cpus 1000 box
create --name c1 --network none --cpuset-cpus 0-9999 box
create --name c1 --network none --cpuset-cpus 1-0 box
create --name c1 --network none --cpuset-mems 99 box
create --name c1 --network none --cpu-quota 999 box
create --name c2 --network none --pids-limit -5 box
update --cpus 1000 c2
volume ls --filter driver=nope -q
ps --filter odd
ps -q --filter ''
ps -aq --format '{{{{.Names}}}}'
rm c2
""",
    "namespaces and kernel parameters": f"""
run --rm --name c1 --network none --sysctl kernel.msgmax=9001 box cat /proc/sys/kernel/msgmax
run --rm --name c1 --network none --sysctl net.ipv4.ip_forward=1 box cat /proc/sys/net/ipv4/ip_forward
run --rm --name c1 --network none --oom-score-adj 300 box cat /proc/self/oom_score_adj
run --rm --name c1 --network none --domainname d.example box cat /proc/sys/kernel/domainname
run --rm --name c1 --network none -h inner --domainname d.example box hostname
create --name c1 --network none --sysctl kernel.panic=1 box
create --name c1 --network none --ipc nonsense box
create --name c1 --network none --uts nonsense box
create --name c1 --network none --uts host -h x box
create --name c1 --network none --ipc host --cgroupns host --oom-score-adj 5 --annotation a=b --sysctl net.ipv4.ip_forward=1 box
{shown("IpcMode", "CgroupnsMode", "UTSMode", "OomScoreAdj", "Annotations", "Sysctls")}
rm c1
""",
    "namespaces of others": f"""
run -d --name o1 --network none --ipc shareable box sleep 1000
run -d --name o2 --network none box sleep 1000
create --name o3 --network none --ipc shareable box sleep 1000
run --rm --network none --pid host box sh -c 'test $$ -gt 10 && echo big'
run --rm --network none --pid container:o1 box sh -c 'cat /proc/1/cmdline | tr "\\0" " "'
run --rm --network none --pid container:o3 box true
run --rm --network none --pid container:nope box true
run --rm --network none --pid container: box true
run --rm --network none --pid odd box true
run --rm --network none --ipc container: box true
run --rm --network none --ipc container:o2 box true
run --rm --network none --ipc container:o3 box true
run --rm --network none --ipc container:o1 box sh -c 'echo x > /dev/shm/x'
exec o1 cat /dev/shm/x
run --rm --network none --ipc none box sh -c 'ls -d /dev/shm /dev/mqueue; ls /dev'
run --rm --network none --uts container:o1 box true
run --rm --network none --pid host --ipc host --uts host --privileged box true
create --name c1 --network none --pid container:o1 --ipc container:o1 box true
{shown("PidMode", "IpcMode")}
rm c1
create --name c1 --network none --pid container:o3 box true
start c1
inspect -f '{{{{.State.Status}}}} {{{{.State.ExitCode}}}} {{{{.State.Error}}}}' c1
rm c1
create --name c1 --network none --pid container:nope box true
run -d --name c1 --network none --pid container:o1 box sh -c 'sleep 2001 & sleep 2002'
exec c1 sh -c 'cat /proc/1/cmdline | tr "\\0" " "'
stop -t 1 c1
inspect -f '{{{{.State.ExitCode}}}}' c1
start c1
stop -t 1 o1
sleep 3
inspect -f '{{{{.State.Status}}}} {{{{.State.ExitCode}}}}' c1
start c1
rm -f c1 o1 o2 o3
""",
    "commands inside": """
run -d --name c1 --network none -e B=run -w /tmp box sleep 1000
exec c1 sh -c 'echo $A $B; pwd; id -u'
exec -u alice -w / -e B=exec -e C= c1 sh -c 'echo $B-$C-; pwd; id -un; id -G'
exec -u 1000:50 c1 id
exec -u nosuch c1 true
exec -w /nosuch c1 true
exec c1 sh -c 'echo o; echo e >&2; exit 7'
exec c1 nosuch
exec c1 /etc/passwd
exec c1 grep -E 'Cap|Seccomp:|NoNewPrivs' /proc/self/status
exec --privileged c1 grep CapBnd /proc/self/status
exec -it c1 true
exec -d c1 sh -c 'echo x > /x'
until x exec c1 cat /x
exec c1 cat /x
exec c1 sh -c 'kill -9 $$'
exec nosuch true
pause c1
exec c1 true
unpause c1
stop -t 0 c1
exec c1 true
rm c1
run -it --rm --network none box true
""",
    "wrong command lines": """
create --bogus box
ps --bogus
stop --bogus c1
rm
logs a b
exec c1
cp a b
cp x:/a y:/b
rename a
volume create a b
volume create --bogus
volume bogus
network create --bogus x
network connect a
network create
container bogus
run
run --name
run --workdir relative --rm box pwd
create --rm --restart always box true
run -d -a stdout box true
run --sig-proxy=bogus box true
stop -t x c1
container prune --filter bogus=1 -f
ps bogus
ps -n x
ps --format '{{.Bogus'
events --since bogus --until 0s
events --format '{{.Bogus'
volume create v1
volume inspect -f '{{.Bogus' v1
volume inspect -f '{{.Bogus}}' v1
volume ls --format '{{.Bogus}}'
volume rm v1
""",
    "archives": """
create --name c1 --network none box
cp c1:/etc/motd -
cp c1:/nope -
rm c1
run --name c1 --network none -v data:/d box sh -c 'echo x > /d/f; ln -s f /d/l; touch -h -d "2001-02-03 04:05:06" /d/f /d/l'
cp c1:/d/f -
cp c1:/d/l -
cp -L c1:/d/l -
rm c1
run --rm --network none -v data:/d:rshared box true
run --rm --network none --mount type=bind,src=/tmp,dst=/m,bind-propagation=odd box true
run --rm --network none -v /:/m:shared,slave box true
volume rm data
""",
    "volumes with options": """
volume create -o type=tmpfs -o device=tmpfs -o o=size=64k quick
run --rm --network none -v quick:/q box sh -c 'df -k /q | tail -1 | tr -s " " | cut -d" " -f2; stat -c %a /q'
volume inspect -f '{{json .Options}} {{.Driver}} {{.Scope}}' quick
volume rm quick
volume create -o colour=red wrong
volume create --driver nope other
run --rm --network none --mount type=volume,dst=/m,volume-driver=nope box true
run --rm --network none --mount type=tmpfs,dst=/m,tmpfs-size=64k,tmpfs-mode=700 box stat -c %a /m
run --rm --network none --mount type=tmpfs,dst=/m box sh -c 'stat -c %a /m; grep " /m " /proc/mounts | cut -d" " -f4'
run --rm --network none --tmpfs /m:uid=7,gid=8,mode=750,exec box sh -c 'stat -c "%u %g %a" /m; cp /bin/busybox /m/true && /m/true && echo ran'
run --rm --network none --tmpfs /m:size=1m box sh -c 'stat -c %a /m; cp /bin/busybox /m/true; /m/true || echo no'
run --rm --network none --tmpfs /root --tmpfs /new/one box stat -c %a /root /new/one
run --rm --network none --mount type=bind,src=/nope,dst=/m box true
run --rm --network none -v relative/path:/m box true
""",
    "what happened": f"""
create --name evented --network none -l tier=web box true
start -a evented
rename evented evented2
rm evented2
sleep 1.1
events --since 5m --until 0s --filter container=evented2 --format '{{{{.Action}}}} {{{{.Actor.Attributes.name}}}}'
events --since 5m --until 0s --filter label=tier=web --filter event=die --format '{{{{.Actor.Attributes.exitCode}}}}'
run -d --name evented3 --network none box {LOOP}
stop -t 0 evented3
rm evented3
sleep 1.1
events --since 5m --until 0s --filter container=evented3 --filter event=kill --format '{{{{.Actor.Attributes.signal}}}}'
events --since 5m --until 0s --filter container=evented3 --filter event=create --filter event=die --format '{{{{.Action}}}}'
events --since 5m --until 0s --filter container=evented3 --filter type=volume
events --filter nonsense=1 --until 0s
""",
}
_ON_STDOUT = "Docker's reason is on standard output"
DIFFERENT = {
    **dict.fromkeys(("exec -w /nosuch c1 true", "exec c1 nosuch", "exec c1 /etc/passwd"), _ON_STDOUT),
    HOST % "CgroupnsMode": "Docker shares the host's where cgroups are of version 1; a container has its own here",
    "events --filter nonsense=1 --until 0s": "a filter that does not exist is refused",
}
"""Command lines whose outcome is another one, and why."""


@pytest.mark.drawn
@pytest.mark.parametrize("name", SCENARIOS)
def test_docker_does_the_same(ours: Program, theirs: Docker, name: str) -> None:
    mine = carried_out(ours.command(), SCENARIOS[name], dict(ours.environment))
    other = carried_out(list(theirs.client), SCENARIOS[name])
    assert_alike(mine, other, DIFFERENT)
