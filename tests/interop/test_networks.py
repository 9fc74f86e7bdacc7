"""The same command lines about networks and ports for docker and for pybuild, each in a network namespace of its own.

`tests/interop/test_containers.py` says how they are compared. Addresses are masked: each chooses its own. A line that
begins with ``fetch`` asks a server from the side of the host, and one with ``ipv6 1`` turns IPv6 off there.
"""

import http.client
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pybuild.runtime.networks.namespaces import inside
from tests.helpers import bases, peers
from tests.helpers.hosts import need_programs, need_root
from tests.helpers.networks import await_commands, need_netavark, own_network, seen, seen_once
from tests.helpers.program import Program
from tests.interop.test_containers import Ran, assert_alike, await_words, masked

CONFIG = ("-c", "ENV PATH=/bin", "-c", 'CMD ["echo", "default"]')
IMAGES = {
    "box": CONFIG,
    "web": (*CONFIG, "-c", "EXPOSE 80", "-c", "EXPOSE 53/udp", "-c", 'CMD ["httpd", "-f", "-h", "/etc"]'),
}
_MASKS = (
    (r"\b[0-9a-f]{2}(:[0-9a-f]{2}){5}\b", "MAC"),
    (r"\b10\.77\.", "FIXED."),
    (r"\b(?!127\.|0\.0\.0\.0)\d{1,3}(\.\d{1,3}){3}(/\d+)?", "ADDRESS"),
    (r"FIXED\.", "10.77."),
    (r"\bfd(?!00:)[0-9a-f]{2}(:[0-9a-f]{0,4}){2,7}(/\d+)?", "ADDRESS6"),
    (r"\b(3[2-9]|[45]\d|6[0-5])\d{3}\b", "RANDOM"),
)

SCENARIOS = {
    "networks": """
network create one
network create one
network ls --format '{{.Name}} {{.Driver}} {{.Scope}} {{.Internal}}'
network ls
network inspect -f '{{.Name}} {{.Driver}} {{.Internal}} {{.Scope}} {{.Attachable}} {{.EnableIPv6}} {{.Ingress}}' one
network inspect -f '{{json .Containers}} {{json .Labels}} {{.IPAM.Driver}}' one
network create --internal --label a=b two
network inspect -f '{{.Internal}} {{json .Labels}}' two
network ls -f label=a --format '{{.Name}}'
network ls -f label=a=c --format '{{.Name}}'
network ls -f name=on --format '{{.Name}}'
network ls -f driver=bridge -f type=custom --format '{{.Name}}'
network ls -f odd=1
network ls -q
network create --subnet 10.77.0.0/24 --gateway 10.77.0.9 --ip-range 10.77.0.64/26 three
network inspect -f '{{json .IPAM.Config}}' three
network create --subnet 10.77.0.0/24 four
network create --subnet nonsense four
network create --subnet 10.77.1.0/24 --gateway 10.78.0.1 four
network create -d nosuch four
network create bridge
network create host
network create 'a b'
network rm 'a b'
network create ''
network rm bridge
network rm host
network rm nope
network inspect nope
network rm one two
network rm three
network prune -f
network ls --format '{{.Name}}'
""",
    "published ports": """
run -d --name c1 -p 8080:80 web
until welcome exec c1 wget -q -O- http://127.0.0.1/motd
fetch 127.0.0.1:8080/motd
port c1
port c1 80
port c1 80/tcp
port c1 81
port nope
ps --format '{{.Ports}} {{.Networks}}'
inspect -f '{{json .HostConfig.PortBindings}} {{.HostConfig.NetworkMode}} {{.HostConfig.PublishAllPorts}}' c1
inspect -f '{{json .NetworkSettings.Ports}}' c1
run -d --name c2 -p 8080:80 web
inspect -f '{{.State.Status}}' c2
rm c2
run -d --name c2 -p 127.0.0.1:8081:80 -p 8082:80/tcp -p 5353:53/udp web
until welcome exec c2 wget -q -O- http://127.0.0.1/motd
fetch 127.0.0.1:8081/motd
fetch 127.0.0.1:8082/motd
ps --format '{{.Ports}}' -f name=c2
run -d --name c3 -P web
port c3 80
until welcome exec c3 wget -q -O- http://127.0.0.1/motd
ps --format '{{.Ports}}' -f name=c3
run -d --name c4 -p 9000-9002:80-82 box sleep 1000
ps --format '{{.Ports}}' -f name=c4
run -d --name c5 --expose 90-91 --expose 7/udp web
ps --format '{{.Ports}}' -f name=c5
stop -t 0 c1
port c1
fetch 127.0.0.1:8080/motd
inspect -f '{{json .NetworkSettings.Ports}}' c1
ps -a --format '{{.Ports}}' -f name=c1
start c1
until welcome exec c1 wget -q -O- http://127.0.0.1/motd
fetch 127.0.0.1:8080/motd
create --name c6 -p 99999:80 box
create --name c6 -p 80:x box
create --name c6 -p 1:2:3:4 box
create --name c6 -p 80-82:80-81 box
create --name c6 -p 80/odd box
create --name c6 -p nowhere:80:80 box
create --name c6 --expose x box
rm -f c1 c2 c3 c4 c5
""",
    "names": """
network create one
network create two
run -d --name server --network one --network-alias www web
until welcome exec server wget -q -O- http://127.0.0.1/motd
run --rm --name c1 --network one box wget -q -O- http://server/motd
run --rm --name c1 --network one box wget -q -O- http://www/motd
run --rm --name c1 --network two --dns 127.0.0.1 box ping -c 1 -W 1 server
run --rm --name c1 --dns 127.0.0.1 box ping -c 1 -W 1 server
run --rm --name c1 --link server:www box true
inspect -f '{{json .NetworkSettings.Networks.one.Aliases}}' server
network connect two server
ps --filter network=one --format '{{.Names}}'
ps --filter network=two --format '{{.Names}}'
run --rm --name c1 --network two box wget -q -O- http://server/motd
network connect two server
network rm two
network disconnect two server
network disconnect two server
network rm two
network connect nope server
network connect host server
network connect one nope
network disconnect one server
ps --format '{{.Networks}}'
network connect --alias again --ip 10.77.5.5 one server
rm -f server
network rm one
""",
    "what happened": """
network create evented
run --rm --name c1 --network evented box true
run -d --name c2 --network evented box sleep 1000
network disconnect evented c2
network connect evented c2
rm -f c2
network rm evented
sleep 1.1
events --since 5m --until 0s --filter network=evented --format '{{.Type}} {{.Action}} {{.Actor.Attributes.name}} {{.Actor.Attributes.type}}'
""",
    "addresses": """
network create --subnet 10.77.2.0/24 one
run --rm --name c1 --network one --ip 10.77.2.50 box sh -c 'ip -4 addr show eth0 | grep -o "10.77.2.50/24"; ip route | grep default | cut -d" " -f1-5'
run --rm --name c1 --network one --mac-address 92:d0:c6:0a:29:33 box cat /sys/class/net/eth0/address
run --rm --name c1 --network one --ip 10.78.0.1 box true
rm c1
run --rm --name c1 --ip 10.77.2.50 box true
rm c1
run --rm --name c1 --network one --ip nonsense box true
run --rm --name c1 --network one --mac-address nonsense box true
run -d --name c1 --network one --ip 10.77.2.60 box sleep 1000
inspect -f '{{.NetworkSettings.Networks.one.IPAddress}} {{.NetworkSettings.Networks.one.IPPrefixLen}} {{.NetworkSettings.Networks.one.Gateway}}' c1
inspect -f '{{json .NetworkSettings.Networks.one.IPAMConfig}}' c1
run --rm --name c2 --network one --ip 10.77.2.60 box true
network inspect -f '{{range .Containers}}{{.Name}} {{.IPv4Address}}{{end}}' one
network rm one
exec-free c1
rm -f c1
network rm one
run --rm --name c1 box sh -c 'ls /sys/class/net | sort; cat /proc/sys/net/ipv4/ip_unprivileged_port_start'
run --rm --name c1 --network none box sh -c 'ls /sys/class/net; wc -l < /proc/net/route'
""",
    "modes": """
run -d --name c1 -h inner web
until welcome exec c1 wget -q -O- http://127.0.0.1/motd
run --rm --name c2 --network container:c1 box wget -q -O- http://127.0.0.1/hostname
run --rm --name c2 --network container:c1 box hostname
run --rm --name c2 --network container:c1 box tail -n 1 /etc/hosts
run --rm --name c2 --network container:c1 -p 80 box true
run --rm --name c2 --network container:c1 --hostname x box true
run --rm --name c2 --network container:c1 --dns 1.1.1.1 box true
run --rm --name c2 --network container:c1 --add-host a:1.1.1.1 box true
run --rm --name c2 --network container:c1 --link c1 box true
run --rm --name c2 --network container:c1 --expose 80 box true
run --rm --name c2 --network container:nope box true
run --rm --name c2 --network host --link c1 box true
run --rm --name c2 --network nope box true
create --name c2 --network nope box
start c2
rm c2
create --name c2 --network container:c1 box
ps -a --format '{{.Names}} [{{.Networks}}] [{{.Ports}}]'
inspect -f '{{json .NetworkSettings.Networks}}' c2
rm c2
run --rm --name c2 --link c1:other box wget -q -O- http://other/hostname
run --rm --name c2 --link nope:other box true
run --rm --name c2 --link c1:other:x box true
stop -t 0 c1
run --rm --name c2 --network container:c1 box true
run --rm --name c2 --link c1:other box true
rm -f c1 c2
""",
    "files of /etc": """
run --rm --name c1 --dns 9.9.9.9 --dns-search a.example --dns-search b --dns-option ndots:3 box grep -v '^#' /etc/resolv.conf
run --rm --name c1 --dns nonsense box true
run --rm --name c1 --add-host db:1.2.3.4 --add-host six:::1 box sh -c 'grep -wE "db|six" /etc/hosts'
run --rm --name c1 --add-host up:host-gateway box sh -c 'grep -c up /etc/hosts'
run --rm --name c1 --add-host nonsense box true
run --rm --name c1 -h inner box sh -c 'grep -c inner /etc/hosts; hostname'
create --name c1 --dns 9.9.9.9 --dns-search a.example --dns-option ndots:3 box
inspect -f '{{json .HostConfig.Dns}} {{json .HostConfig.DnsSearch}} {{json .HostConfig.DnsOptions}}' c1
rm c1
""",
}
SCENARIOS["IPv6"] = """
ipv6 0
network create --ipv6 --subnet 10.77.6.0/24 --gateway 10.77.6.1 --subnet fd00:77:6::/64 --gateway fd00:77:6::9 --ip-range fd00:77:6::100/120 six
network inspect -f '{{json .IPAM.Config}} {{.EnableIPv4}} {{.EnableIPv6}}' six
network create --ipv6 other
network inspect -f '{{.EnableIPv6}} {{range .IPAM.Config}}{{.Subnet}} {{.Gateway}} {{end}}' other
network ls --format '{{.Name}} {{.IPv6}}'
network create --ipv6 --subnet fd00:77:6::/64 third
network create --ipv6 --subnet 10.77.7.0/24 --gateway fd00:77:7::9 third
network create --ipv6 --subnet fd00:77:7::/64 --subnet fd00:77:8::/64 third
network create --subnet 10.77.7.0/24 --subnet 10.77.8.0/24 third
network create --ipv6 --subnet ::ffff:10.77.7.0/120 third
network create --ipv6 --subnet fd00:zz::/64 third
run -d --name c1 --network six --ip6 fd00:77:6::50 -p 8080:80 -p 0.0.0.0:8081:80 -p '[::]:8082:80' -p '[::1]:8083:80' web
until welcome exec c1 wget -q -O- http://127.0.0.1/motd
fetch [::1]:8080/motd
fetch [::1]:8081/motd
fetch [::1]:8082/motd
fetch [::1]:8083/motd
fetch [fd00:77:6::9]:8080/motd
fetch [fd00:77:6::9]:8081/motd
fetch [fd00:77:6::9]:8082/motd
fetch [fd00:77:6::9]:8083/motd
fetch 127.0.0.1:8080/motd
fetch 127.0.0.1:8081/motd
fetch 127.0.0.1:8082/motd
fetch [fd00:77:6::50]:80/motd
port c1
ps --format '{{.Ports}}'
inspect -f '{{json .HostConfig.PortBindings}} {{json .NetworkSettings.Ports}}' c1
inspect -f '{{with .NetworkSettings.Networks.six}}{{.GlobalIPv6Address}} {{.GlobalIPv6PrefixLen}} {{.IPv6Gateway}} {{json .IPAMConfig}}{{end}}' c1
network inspect -f '{{range .Containers}}{{.Name}} {{.IPv6Address}}{{end}}' six
exec c1 sh -c 'grep fd00: /etc/hosts | cut -f1; ip -6 addr show eth0 | grep -o "fd00[^ ]*"; ip -6 route | grep -o "default via [^ ]*"'
run --rm --network six box sh -c 'nslookup -type=aaaa c1 | grep -c fd00:77:6::50; wget -q -O- http://c1/motd; ip -6 addr show eth0 | grep -o "fd00[^ ]*"'
run --rm --name c2 --network six --ip6 fd00:77:6::50 box true
run --rm --name c2 --network six --ip6 fd00:99::50 box true
run --rm --name c2 --network six --ip6 nonsense box true
run --rm --name c2 --network six --ip6 10.77.6.5 box true
run --rm --name c2 --network six --ip fd00:77:6::51 box true
run --rm --name c2 --ip6 fd00:77:6::51 box true
run --rm --name c2 -p '[fd00::zz]:80:80' box true
run --rm --name c2 -p '[::1]:80' box true
run --rm --name c2 -p '[::1:80:80' box true
run --rm --name c2 -p '::1:80:80' box true
run -d --name c2 -p '[::1]:8080:80' web
rm -f c2
run -d --name c2 -p '[::1]:8084:80' web
until welcome exec c2 wget -q -O- http://127.0.0.1/motd
fetch [::1]:8084/motd
port c2
network connect --ip6 fd00:77:6::77 six c2
network connect --ip6 fd00:77:6::77 six c1
inspect -f '{{.NetworkSettings.Networks.six.GlobalIPv6Address}}' c2
exec c1 sh -c 'ping -6 -c 1 -W 2 fd00:77:6::77 >/dev/null && echo reached'
network create --ipv6 --internal closed
run --rm --network closed box sh -c 'ip -6 route | grep -c default'
network rm six
rm -f c1 c2
network rm six other closed
ipv6 1
"""
SCENARIOS["addresses"] = SCENARIOS["addresses"].replace("exec-free c1\n", "")
_NAMES = "names of networks are those of containers here: no blanks"
DIFFERENT = {"network create 'a b'": _NAMES, "network rm 'a b'": _NAMES}
"""Command lines whose outcome is another one, and why."""


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    need_netavark()
    program = Program(store=tmp_path_factory.mktemp("networks") / "store", variables=(("PYBUILD_NETWORK", ""),))
    for name, config in IMAGES.items():
        program.run("import", *config, str(bases.small()), name)
    with own_network():
        before = seen()
        yield program
        program.remove_containers()
        await_commands(program.store)
        assert seen_once(before) == before


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[peers.Docker]:
    yield from daemon(tmp_path_factory)


@pytest.fixture(scope="module")
def theirs_of_ipv6(tmp_path_factory: pytest.TempPathFactory) -> Iterator[peers.Docker]:
    """A daemon of its own: with the first published port a daemon finds out, for good, whether there is IPv6."""
    yield from daemon(tmp_path_factory)


def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[peers.Docker]:
    need_root()
    need_programs(["mmdebstrap", "nsenter", "unshare", "iptables"])
    with peers.docker(tmp_path_factory.mktemp("peer") / "docker", bridged=True) as peer:
        for name, config in IMAGES.items():
            with Path(bases.small()).open("rb") as tar:
                peer.command("import", *config, "-", name, stdin=tar)
        yield peer


def carried_out(words: list[str], script: str, space: int, environment: dict[str, str] | None = None) -> list[Ran]:
    """Run each line of *script* behind *words*; in the network namespace *space* are the ports of the host."""
    found = []
    for line in filter(None, script.splitlines()):
        if line.startswith("fetch "):
            with inside(space):
                found.append(Ran(line, *fetched(line.split()[1]), ""))
            continue
        if line.startswith("until "):
            await_words(words, line, environment)
            continue
        if line.startswith("ipv6 "):
            with inside(space):
                Path("/proc/sys/net/ipv6/conf/all/disable_ipv6").write_text(line.split()[1], encoding="ascii")
            continue
        command = shlex.split(line) if line.startswith("sleep ") else [*words, *shlex.split(line)]
        done = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60
        )
        found.append(Ran(line, done.returncode, without_addresses(masked(done.stdout)), done.stderr.strip()[-300:]))
    return found


def fetched(address: str) -> tuple[int, str]:
    place, _, path = address.partition("/")
    connection = http.client.HTTPConnection(place, timeout=10)
    try:
        connection.request("GET", f"/{path}")
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except OSError:
        return 0, "refused"
    finally:
        connection.close()


def without_addresses(text: str) -> str:
    for pattern, name in _MASKS:
        text = re.sub(pattern, name, text)
    return text.strip()


@pytest.mark.drawn
@pytest.mark.parametrize("name", SCENARIOS)
def test_docker_does_the_same(request: pytest.FixtureRequest, ours: Program, name: str) -> None:
    theirs: peers.Docker = request.getfixturevalue("theirs_of_ipv6" if name == "IPv6" else "theirs")
    host = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    daemons = os.open(f"/proc/{theirs.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        mine = carried_out(ours.command(), SCENARIOS[name], host, dict(ours.environment))
        other = carried_out(list(theirs.client), SCENARIOS[name], daemons)
    finally:
        os.close(host)
        os.close(daemons)
    assert_alike(mine, other, DIFFERENT)
