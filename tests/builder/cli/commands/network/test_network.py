import http.client
import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from pybuild.runtime.networks.namespaces import inside, networks_directory
from tests.builder.cli.commands.container.conftest import monitors, until
from tests.builder.cli.conftest import Shop
from tests.helpers.networks import seen, seen_once

SERVER = ("box", "httpd", "-f", "-p", "80", "-h", "/etc")
SLEEP = ("box", "sleep", "1000")


def fetched(address: str) -> str:
    """What a server of a container answers to the host, "refused" without one."""
    place, _, path = address.partition("/")
    connection = http.client.HTTPConnection(place, timeout=10)
    try:
        connection.request("GET", f"/{path}")
        return connection.getresponse().read().decode()
    except OSError:
        return "refused"
    finally:
        connection.close()


def served(address: str) -> str:
    """What is answered once the server listens."""
    until(lambda: fetched(address) != "refused")
    return fetched(address)


def settings(net: Shop, name: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(net.run("inspect", name).out)[0]["NetworkSettings"]
    return found


def test_a_published_port_is_reached_from_the_host(net: Shop) -> None:
    made = net.run("run", "-d", "--name", "web", "-p", "8080:80", "-p", "127.0.0.1::80", "--expose", "90", *SERVER)
    assert made.code == 0
    assert served("127.0.0.1:8080/hostname") == made.out[:12] + "\n"
    first, second = net.run("port", "web").lines
    assert first == "80/tcp -> 0.0.0.0:8080"
    assert second.startswith("80/tcp -> 127.0.0.1:")
    assert served(second.split()[-1] + "/hostname") == made.out[:12] + "\n"
    shown = net.run("ps", "--format", "{{.Ports}}").out
    assert shown.startswith("90/tcp, 0.0.0.0:8080->80/tcp, 127.0.0.1:")
    refused = net.run("run", "-d", "--name", "two", "-p", "8080:80", *SERVER)
    assert (refused.code, "port is already allocated" in refused.err) == (125, True)
    assert net.run("stop", "-t", "0", "web").code == 0
    assert fetched("127.0.0.1:8080/") == "refused"
    assert net.run("start", "two").code == 0
    assert net.run("port", "two", "80").out == "0.0.0.0:8080\n"
    for words, count in (
        ("network=bridge", 1),
        ("network=x", 0),
        ("publish=8080", 1),
        ("publish=8000-8100/tcp", 1),
        ("publish=80", 0),
        ("expose=80/tcp", 1),
        ("publish=81", 0),
    ):
        assert len(net.run("ps", "-q", "-f", words).lines) == count, words
    assert net.run("port", "two", "81").code == 1


def test_ports_of_ipv6_are_those_that_were_asked_for(net: Shop) -> None:
    before = seen()
    net.run("network", "create", "--ipv6", "--subnet", "fd00:77::/64", "--gateway", "fd00:77::9", "six")
    ports = ("-p", "8080:80", "-p", "0.0.0.0:8081:80", "-p", "[::]:8082:80", "-p", "[::1]:8083:80")
    assert net.run("run", "-d", "--name", "web", "--network", "six", "--ip6", "fd00:77::5", *ports, *SERVER).code == 0
    served("127.0.0.1:8080/motd")
    reached = {
        address: [fetched(f"{address}:{port}/motd") == "welcome\n" for port in range(8080, 8084)]
        for address in ("127.0.0.1", "[::1]", "[fd00:77::9]")
    }
    assert reached == {
        "127.0.0.1": [True, True, False, False],
        "[::1]": [True, False, True, True],
        "[fd00:77::9]": [True, False, True, False],
    }
    assert net.run("port", "web", "80").lines == [
        "0.0.0.0:8080",
        "0.0.0.0:8081",
        "[::1]:8083",
        "[::]:8080",
        "[::]:8082",
    ]
    # A network without IPv6 has them, too.
    assert net.run("run", "-d", "--name", "four", "-p", "[::1]:8084:80", *SERVER).code == 0
    assert served("[::1]:8084/motd") == "welcome\n"
    assert fetched("127.0.0.1:8084/motd") == "refused"
    net.run("rm", "-f", "web", "four")
    assert seen_once(before) == before
    assert fetched("[::1]:8083/motd") == "refused"


def test_addresses_of_ipv6_are_in_reach_by_name(net: Shop) -> None:
    net.run("network", "create", "--ipv6", "--subnet", "10.77.6.0/24", "--subnet", "fd00:77::/64", "six")
    net.run("run", "-d", "--name", "web", "--network", "six", "--ip6", "fd00:77::5", *SERVER)
    script = """
        nslookup -type=aaaa web | grep -o "fd00:77::5"
        ping -6 -c 1 -W 5 web >/dev/null && echo reached
        grep -c fd00:77::2 /etc/hosts; grep up /etc/hosts; grep nameserver /etc/resolv.conf
    """
    words = ("--network", "six", "--add-host", "up:host-gateway")
    found = net.run("run", "--rm", *words, "box", "sh", "-c", script)
    assert found.lines == ["fd00:77::5", "reached", "1", "10.77.6.1\tup", "fd00:77::1\tup", "nameserver 10.77.6.1"]
    net.run("run", "-d", "--name", "late", *SLEEP)
    assert net.run("network", "connect", "--ip6", "fd00:77::5", "six", "late").code == 1
    assert net.run("network", "connect", "--ip6", "fd00:77::77", "six", "late").code == 0
    assert "fd00:77::77/64" in net.run("exec", "late", "ip", "-6", "addr").out
    listed = net.run("network", "ls", "-f", "name=six", "--format", "{{.Name}} {{.IPv6}}").out
    assert listed == "six true\n"


def test_all_exposed_ports(net: Shop) -> None:
    net.run("run", "-d", "--name", "web", "-P", "--expose", "80", "--expose", "53/udp", *SERVER)
    ports = settings(net, "web")["Ports"]
    assert isinstance(ports, dict)
    assert sorted(ports) == ["53/udp", "80/tcp"]
    assert served(f"127.0.0.1:{ports['80/tcp'][0]['HostPort']}/motd")


def test_containers_of_a_network_find_each_other_by_name(net: Shop) -> None:
    assert len(net.run("network", "create", "--label", "a=b", "one").out.strip()) == 64
    net.run("run", "-d", "--name", "web", "--network", "one", "--network-alias", "www", *SERVER)
    identity = net.run("ps", "-q").out.strip()
    look = "for i in web www $0; do wget -q -O- http://$i/hostname; done; cat /etc/resolv.conf"
    until(lambda: net.run("run", "--rm", "--network", "one", "box", "wget", "-q", "-O-", "http://web").code == 1)
    found = net.run("run", "--rm", "--network", "one", "box", "sh", "-c", look, identity)
    assert found.out.startswith(f"{identity}\n" * 3)
    assert "nameserver 10." in found.out
    assert net.run("run", "--rm", "box", "true").code == 0
    # Not in the default network; its servers answer at once that there is none.
    other = net.run("run", "--rm", "--network", "bridge", "--dns", "127.0.0.1", "box", "ping", "-c1", "web")
    assert "bad address" in other.err


def test_networks_are_kept_apart(net: Shop) -> None:
    for words in (("one",), ("two",), ("--internal", "closed")):
        assert net.run("network", "create", "--ipv6", *words).code == 0
    places = {}
    for name in ("one", "two", "closed"):
        net.run("run", "-d", "--name", f"web-{name}", "--network", name, *SERVER)
        networks = settings(net, f"web-{name}")["Networks"]
        assert isinstance(networks, dict)
        places[name] = [networks[name][version] for version in ("IPAddress", "GlobalIPv6Address")]
    for name, addresses in places.items():
        for address in addresses:
            words = ("exec", f"web-{name}", "nc", "-w", "1", address, "80")
            until(lambda words=words: net.run(*words).code == 0)
    for source, target in (("one", "two"), ("two", "one"), ("one", "closed"), ("closed", "one")):
        for address in places[target]:
            tried = net.run("exec", f"web-{source}", "nc", "-w", "1", address, "80")
            assert tried.code == 1, (source, target, address)
    # Not even a packet that nobody answers: two rules for each version of IP.
    rules = seen().rules
    assert sum("DROP" in rule and "NETAVARK" not in rule for rule in rules) == 4
    for version in ("-4", "-6"):
        assert "default" not in net.run("exec", "web-closed", "ip", version, "route").out


def test_a_fixed_address_and_name_servers(net: Shop) -> None:
    net.run(
        "network",
        "create",
        "--subnet",
        "10.77.2.0/24",
        "--gateway",
        "10.77.2.200",
        "--ip-range",
        "10.77.2.64/26",
        "one",
    )
    script = "ip -4 addr; ip route; ip link; cat /etc/hosts /etc/resolv.conf; cat /proc/sys/net/ipv4/ip_unprivileged_port_start"
    words = ("--dns-search", "example.org", "--dns-option", "ndots:3", "--add-host", "up:host-gateway")
    fixed = ("--ip", "10.77.2.5", "--mac-address", "92:d0:c6:0a:29:33", "-h", "inner")
    found = net.run("run", "--rm", "--network", "one", *fixed, *words, "box", "sh", "-c", script).out
    for text in ("10.77.2.5/24", "via 10.77.2.200", "92:d0:c6:0a:29:33", "10.77.2.5\tinner", "10.77.2.200\tup"):
        assert text in found
    assert found.endswith("nameserver 10.77.2.200\nsearch example.org\noptions ndots:3\n0\n")
    assert "10.77.2.64/24" in net.run("run", "--rm", "--network", "one", "box", "ip", "addr").out
    found = net.run("run", "--rm", "--network", "bridge", "--dns", "9.9.9.9", "box", "cat", "/etc/resolv.conf").out
    assert found.startswith("nameserver 9.9.9.9\n")


def test_the_network_of_another_container(net: Shop) -> None:
    net.run("run", "-d", "--name", "web", "-h", "inner", *SERVER)
    until(lambda: net.run("exec", "web", "wget", "-q", "-O-", "http://127.0.0.1/motd").code == 0)
    script = "wget -q -O- http://127.0.0.1/hostname; cat /etc/hosts; hostname"
    found = net.run("run", "--rm", "--network", "container:web", "box", "sh", "-c", script).out
    assert found.startswith("inner\n")
    assert found.endswith("\tinner\ninner\n")
    assert net.run("run", "--rm", "--network", "container:web", "-p", "80", "box", "true").code == 125
    net.run("stop", "-t", "0", "web")
    refused = net.run("run", "--rm", "--network", "container:web", "box", "true")
    assert "cannot join network of a non running container" in refused.err


def test_links_of_the_default_network(net: Shop) -> None:
    net.run("run", "-d", "--name", "web", *SERVER)
    until(lambda: net.run("exec", "web", "wget", "-q", "-O-", "http://127.0.0.1/motd").code == 0)
    found = net.run("run", "--rm", "--link", "web:www", "box", "wget", "-q", "-O-", "http://www/motd")
    assert found.code == 0
    net.run("stop", "-t", "0", "web")
    assert "non running container" in net.run("run", "--rm", "--link", "web:www", "box", "true").err


def test_lists_and_filters(net: Shop) -> None:
    made = net.run("network", "create", "--label", "a=b", "one").out.strip()
    assert [line.split()[1:] for line in net.run("network", "ls").lines[1:]] == [
        ["bridge", "bridge", "local"],
        ["host", "host", "local"],
        ["none", "null", "local"],
        ["one", "bridge", "local"],
    ]
    for words in (
        ("name=on",),
        ("label=a",),
        ("label=a=b",),
        ("type=custom",),
        (f"id={made[:5]}",),
        ("dangling=true",),
    ):
        found = net.run("network", "ls", "--no-trunc", "--format", "{{.ID}}", "--filter", *words).lines
        assert made in found, words
    assert net.run("network", "ls", "--filter", "odd=1").code == 1
    assert net.run("network", "inspect", "-f", "{{.Name}} {{.Driver}} {{.Internal}}", "one").out == "one bridge false\n"
    assert net.run("network", "prune", "-f", "--filter", "label=no").out == ""
    assert net.run("network", "prune", "-f").lines == ["Deleted Networks:", "one", ""]
    assert net.run("network", "rm", "one").code == 1
    assert net.run("network", "rm", "-f", "one").out == "one\n"
    net.run("network", "create", "two")
    assert "Deleted Networks:\ndeleted: two\n" in net.run("system", "prune", "-f").out


@pytest.mark.parametrize(
    "words",
    [
        ("--subnet", "x", "one"),
        ("-d", "overlay", "one"),
        ("-o", "odd=1", "one"),
        ("-d", "macvlan", "one"),
        ("bridge",),
        ("--", "--internal"),
        ("a b",),
        ("--gateway", "10.1.2.1", "one"),
        ("--subnet", "10.1.2.0/24", "--subnet", "fd00::/64", "one"),
    ],
)
def test_what_is_no_network_is_refused(net: Shop, words: tuple[str, ...]) -> None:
    assert net.run("network", "create", *words).code == 1
    assert net.run("network", "ls", "--format", "{{.Name}}").lines == ["bridge", "host", "none"]


def test_a_network_that_is_gone_is_missed_at_the_start(net: Shop) -> None:
    missing = net.run("run", "-d", "--name", "web", "--network", "one", *SLEEP)
    assert (missing.code, "network one not found" in missing.err) == (125, True)
    net.run("network", "create", "one")
    assert net.run("start", "web").code == 0
    net.run("stop", "-t", "0", "web")
    net.run("network", "rm", "one")
    assert net.run("start", "web").code == 1


def test_a_monitor_that_is_killed_leaves_what_the_next_command_removes(net: Shop) -> None:
    before = seen()
    net.run("network", "create", "one")
    net.run("run", "-d", "--name", "web", "--network", "one", "-p", "8080:80", *SERVER)
    net.run("run", "-d", "--name", "other", "-p", "8081:80", *SERVER)
    assert seen() != before
    for line in monitors(net.store.root):
        os.kill(int(line), signal.SIGKILL)
    until(lambda: not monitors(net.store.root))
    assert net.run("ps", "-a", "--format", "{{.Status}}").out.count("Exited (137)") == 2
    until(lambda: seen() == before)
    assert net.run("start", "web", "other").code == 0
    assert served("127.0.0.1:8080/motd")
    assert served("127.0.0.1:8081/motd")


def test_a_name_server_that_was_killed_is_there_again_with_the_next_container(net: Shop) -> None:
    net.run("network", "create", "one")
    net.run("run", "-d", "--name", "web", "--network", "one", *SERVER)
    file = networks_directory() / "dns" / "aardvark-dns" / "aardvark.pid"
    os.kill(int(file.read_text(encoding="ascii")), signal.SIGKILL)
    until(lambda: not Path(f"/proc/{file.read_text(encoding='ascii')}/exe").exists())
    found = net.run("run", "--rm", "--network", "one", "box", "wget", "-q", "-O-", "http://web/motd")
    assert found.code == 0


def test_what_a_reboot_took_with_it_is_forgotten(net: Shop) -> None:
    net.run("create", "--name", "web", *SERVER)
    (place,) = (net.store.root / "containers").glob("[0-9a-f]*")
    (place / "network-up.json").write_text('{"boot": "another", "space": "x", "endpoints": []}', encoding="ascii")
    assert net.run("ps").code == 0
    assert not (place / "network-up.json").exists()
    assert net.run("rm", "web").code == 0


def test_the_restart_of_a_container_keeps_its_network(net: Shop) -> None:
    net.run("run", "-d", "--name", "web", "--restart", "always", "-p", "8080:80", *SERVER)
    served("127.0.0.1:8080/motd")
    pid = json.loads(net.run("inspect", "web").out)[0]["State"]["Pid"]
    os.kill(pid, signal.SIGKILL)
    until(lambda: json.loads(net.run("inspect", "web").out)[0]["State"]["Pid"] not in {0, pid})
    assert served("127.0.0.1:8080/motd")


def test_links_of_an_image_in_etc_lead_nowhere(net: Shop, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("untouched", encoding="ascii")
    net.run("network", "create", "one")
    (tmp_path / "Dockerfile").write_text("FROM box\nCOPY etc/ /etc/\n", encoding="ascii")
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "hosts").symlink_to("/outside/hosts")
    for name, target in (("far", f"../../../../../../../..{victim}"), ("magic", "/proc/self/exe")):
        (tmp_path / "etc" / "resolv.conf").unlink(missing_ok=True)
        (tmp_path / "etc" / "resolv.conf").symlink_to(target)
        assert net.run("build", "-t", name, str(tmp_path)).code == 0
    look = ("sh", "-c", "cat /etc/resolv.conf; echo x > /etc/hosts; echo x > /etc/resolv.conf")
    found = net.run("run", "--rm", "--network", "one", "far", *look)
    assert (found.code, found.out.startswith("nameserver 10.")) == (0, True)
    refused = net.run("run", "--rm", "--network", "one", "magic", *look)
    assert (refused.code, "/etc/resolv.conf" in refused.err) == (125, True)
    assert victim.read_text(encoding="ascii") == "untouched"
    assert not Path("/outside").exists()


def test_a_published_port_is_reached_from_outside_beside_a_dockerd(net: Shop) -> None:
    before = seen()
    net.run("run", "-d", "--name", "web", "-p", "8080:80", *SERVER)
    served("127.0.0.1:8080/motd")
    subprocess.run(["iptables", "-P", "FORWARD", "DROP"], check=True)
    with subprocess.Popen(["unshare", "--net", "sleep", "1000"]) as outside:
        try:
            until(lambda: os.stat(f"/proc/{outside.pid}/ns/net").st_ino != os.stat("/proc/self/ns/net").st_ino)
            host = ["ip link add up0 type veth peer name out0", f"ip link set out0 netns {outside.pid}"]
            host += ["ip addr add 192.168.50.1/24 dev up0", "ip link set up0 up"]
            enter = f"nsenter --target {outside.pid} --net"
            theirs = ["ip addr add 192.168.50.2/24 dev out0", "ip link set out0 up", "ip link set lo up"]
            for line in (*host, *(f"{enter} {each}" for each in theirs)):
                subprocess.run(line.split(), check=True)
            space = os.open(f"/proc/{outside.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            with inside(space):
                assert fetched("192.168.50.1:8080/motd") == "welcome\n"
            os.close(space)
        finally:
            outside.kill()
    net.run("rm", "-f", "web")
    subprocess.run(["iptables", "-P", "FORWARD", "ACCEPT"], check=True)
    assert seen_once(before) == before
