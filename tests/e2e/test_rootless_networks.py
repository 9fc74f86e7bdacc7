"""Bridges of an ordinary user: they are in a network that all containers of the user share, and ends with the last one."""

import subprocess
from collections.abc import Iterator

import pytest

from tests.e2e.test_rootless_containers import await_no_monitor
from tests.helpers import small_internet
from tests.helpers.hosts import need_programs
from tests.helpers.leftovers import wait_until_no_process
from tests.helpers.networks import need_netavark
from tests.helpers.ordinary import OrdinaryUser, ordinary_user

# $words start pybuild, $home is the user's on the host.
_AHEAD = """
home=$1; shift; words="$*"
p() { $words "$@"; }
until_it_is() { wanted=$1; shift; for _ in $(seq 200); do [ "$("$@" 2>/dev/null)" = "$wanted" ] && return; sleep 0.05; done; "$@"; }
first() { sed -n 's/.*"pid": \\([0-9]*\\).*/\\1/p' "$home/store/networks/shared/holder.json"; }
"""
SERVER = "run -d --name web --network one -p 18080:80 small httpd -f -h /etc"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> OrdinaryUser:
    need_netavark()
    need_programs(["busybox", "ip", "newuidmap", "nsenter", "pasta", "setpriv", "unshare"])
    made = ordinary_user(tmp_path_factory.mktemp("networks") / "home")
    made.import_small()
    return made


@pytest.fixture
def user(home: OrdinaryUser) -> Iterator[OrdinaryUser]:
    yield home
    home.remove_containers()
    home.run("network", "prune", "-f")
    await_no_monitor(home)
    assert wait_until_no_process(str(home.directory)) == []


def printed(user: OrdinaryUser, script: str) -> str:
    """What *script* prints in a small internet, where the function ``p`` is the user's pybuild."""
    words = small_internet.words("sh", "-euc", _AHEAD + script, "sh", str(user.directory), *user.command())
    done = subprocess.run(
        words, env=user.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=110
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_containers_find_each_other_and_the_world_and_are_reached_by_their_ports(user: OrdinaryUser) -> None:
    script = f"""
        p network create one >/dev/null
        p {SERVER} >/dev/null
        until_it_is welcome busybox wget -qO- http://127.0.0.1:18080/motd
        busybox wget -qO- http://127.0.0.1:18080/motd
        p ps --format '{{{{.Ports}}}}'
        p run --rm --network one small sh -c '
            wget -qO- http://web./motd; wget -qO- http://any.name:8000/
            wget -qT 2 -O- http://198.51.100.2:7000/ || echo the loopback of the host is apart'
        p run -d --name udp --network one -p 127.0.0.1:18053:53/udp small sleep 1000 >/dev/null
        p port udp
        p rm -f web udp >/dev/null
    """
    assert printed(user, script).splitlines() == [
        "welcome",
        "0.0.0.0:18080->80/tcp",
        "welcome",
        "hello from 198.51.100.1",
        "the loopback of the host is apart",
        "53/udp -> 127.0.0.1:18053",
    ]


def test_addresses_of_ipv6_are_in_reach_inside_and_by_ports(user: OrdinaryUser) -> None:
    script = """
        p network create --ipv6 six >/dev/null
        p network create --ipv6 --internal closed >/dev/null
        p run -d --name web --network six -p 18080:80 -p [::1]:18081:80 small httpd -f -h /etc >/dev/null
        p run -d --name four --network bridge -p [::1]:18082:80 small httpd -f -h /etc >/dev/null
        p port web
        for place in "::1 18080" "127.0.0.1 18080" "::1 18081" "::1 18082"; do
            until_it_is welcome python3 -c '
import http.client, sys
connection = http.client.HTTPConnection(*sys.argv[1:], timeout=5)
connection.request("GET", "/motd")
print(connection.getresponse().read().decode(), end="")' $place
            echo $place
        done
        address=$(p inspect -f '{{.NetworkSettings.Networks.six.GlobalIPv6Address}}' web)
        p run --rm --network six small sh -c "ping -6 -c 1 -W 5 $address >/dev/null && echo near"
        p run --rm --network closed small sh -c "nc -w 1 $address 80 </dev/null 2>/dev/null || echo apart"
        p rm -f web four >/dev/null
    """
    assert printed(user, script).splitlines() == [
        "80/tcp -> 0.0.0.0:18080",
        "80/tcp -> [::1]:18081",
        "80/tcp -> [::]:18080",
        "::1 18080",
        "127.0.0.1 18080",
        "::1 18081",
        "::1 18082",
        "near",
        "apart",
    ]


def test_networks_are_apart_and_a_running_container_joins_and_leaves_them(user: OrdinaryUser) -> None:
    script = f"""
        p network create one >/dev/null
        p network create two >/dev/null
        p {SERVER} >/dev/null
        address=$(p inspect -f '{{{{.NetworkSettings.Networks.one.IPAddress}}}}' web)
        ask="timeout 2 wget -qO-"
        p run --rm --network two small sh -c "$ask http://$address/motd || echo apart"
        p network connect two web
        p run --rm --network two small sh -c "$ask http://web./motd"
        p network disconnect two web
        p run --rm --network two small sh -c "$ask http://web./motd || echo apart again"
        p rm -f web >/dev/null
    """
    assert printed(user, script).splitlines() == ["apart", "welcome", "apart again"]


def test_a_restarted_container_has_its_port_and_an_internal_network_no_way_out(user: OrdinaryUser) -> None:
    script = f"""
        p network create one >/dev/null
        p network create --internal three >/dev/null
        p {SERVER} >/dev/null
        p restart -t 0 web >/dev/null
        until_it_is welcome busybox wget -qO- http://127.0.0.1:18080/motd
        p run --rm --network three small sh -c "timeout 2 wget -qO- http://198.51.100.1:8000/ || echo internal"
        p run --rm --network bridge small sh -c "timeout 2 wget -qO- http://any.name:8000/"
        p rm -f web >/dev/null
    """
    assert printed(user, script).splitlines() == ["internal", "hello from 198.51.100.1"]


def test_all_ends_with_the_last_container_and_is_made_again_after_a_kill(user: OrdinaryUser) -> None:
    script = f"""
        p network create one >/dev/null
        p {SERVER} >/dev/null
        p run -d --name other --network one small sleep 1000 >/dev/null
        before=$(first)
        kill -9 $before  # with it goes the name server; the containers keep running, alone
        p rm -f web >/dev/null
        p {SERVER} >/dev/null
        [ "$(first)" != "$before" ] && echo another
        until_it_is welcome busybox wget -qO- http://127.0.0.1:18080/motd
        p rm -f other >/dev/null
        busybox wget -qO- http://127.0.0.1:18080/motd
        after=$(first)
        p kill web >/dev/null
        until_it_is gone sh -c "[ -e /proc/$after ] || echo gone"
        p ps -aq | wc -l
        p rm web >/dev/null
    """
    assert printed(user, script).splitlines() == ["another", "welcome", "1"]


def test_what_only_root_can_have_is_refused_by_name(user: OrdinaryUser) -> None:
    user.run("network", "create", "one")
    low = user.run("run", "--rm", "--network", "one", "-p", "80:80", "small", "true", check=False)
    assert "a network without root cannot publish a port at 80 of the host, which is for root" in low.stderr
    user.run("network", "create", "-d", "ipvlan", "-o", "parent=lo", "--subnet", "10.211.9.0/24", "outer")
    outer = user.run("run", "--rm", "--network", "outer", "small", "true", check=False)
    assert "network outer needs root: ipvlan joins an interface of the host" in outer.stderr
    given = ("--add-host", "host.docker.internal:host-gateway")
    host = user.run("run", "--rm", "--network", "one", *given, "small", "true", check=False)
    assert "host-gateway is not reached from a network without root" in host.stderr
