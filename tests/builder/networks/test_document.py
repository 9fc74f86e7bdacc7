from pybuild.builder.networks.document import bindings_document, network_document, ports_text, settings_document
from pybuild.builder.networks.ports import parse_publish
from pybuild.builder.networks.values import Endpoint, Live, Membership, NetworkConfig, Networking
from pybuild.runtime.values import replace

ENDPOINT = Endpoint(id="e", network="n", name="one", interface="eth0", ip="10.1.2.3", prefix=24, mac="m", gateway="g")


def live(*published: str) -> Live:
    ports = tuple(port for text in published for port in parse_publish(text))
    return Live(boot="", space="", container="c", endpoints=(ENDPOINT,), ports=ports)


def test_ports_as_a_column() -> None:
    assert ports_text(None, ["80/tcp"]) == "80/tcp"
    assert ports_text(None, ["81/tcp", "80/tcp", "53/udp"]) == "53/udp, 80-81/tcp"
    assert ports_text(None, ["91/tcp", "80/tcp", "90/tcp", "7/udp", "53/udp"]) == "7/udp, 80/tcp, 53/udp, 90-91/tcp"
    assert ports_text(live("8080:80"), ["80/tcp", "90/tcp"]) == "90/tcp, 0.0.0.0:8080->80/tcp"
    assert ports_text(live("80-82:80-82", "127.0.0.1:9:9/udp", "9000-9001:1-2"), []) == (
        "127.0.0.1:9->9/udp, 0.0.0.0:80-82->80-82/tcp, 0.0.0.0:9000->1/tcp, 0.0.0.0:9001->2/tcp"
    )


def test_what_inspect_says_of_a_container() -> None:
    attached = (Membership(network="n", name="one", aliases=("a",)), Membership(network="m", name="two"))
    found = settings_document("one", attached, live("8080:80"), ["80/tcp", "90/tcp"], runs=True)
    assert found["Ports"] == {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}], "90/tcp": None}
    assert found["Networks"]["one"]["IPAddress"] == "10.1.2.3"
    assert found["Networks"]["one"]["Aliases"] == ["a"]
    assert found["Networks"]["two"]["IPAddress"] == ""
    assert settings_document("host", (), None, ["80/tcp"], runs=False)["Ports"] == {}
    assert [*settings_document("none", (), None, (), runs=True)["Networks"]] == ["none"]
    assert settings_document("container:x", (), None, (), runs=True)["Networks"] == {}


def test_what_was_asked_for() -> None:
    ports = tuple(port for text in ("80", "1-3:90") for port in parse_publish(text))
    found = bindings_document(Networking(ports=ports))
    assert found["80/tcp"] == [{"HostIp": "", "HostPort": ""}]
    assert found["90/tcp"] == [{"HostIp": "", "HostPort": "1-3"}]


def test_addresses_of_ipv6() -> None:
    endpoint = replace(ENDPOINT, ip6="fd00::3", prefix6=64, gateway6="fd00::1")
    attached = (Membership(network="n", name="one", ip6="fd00::3"),)
    ports = tuple(port for text in ("8080:80", "[::]:8080:80", "[::1]:81:82") for port in parse_publish(text))
    up = replace(live(), endpoints=(endpoint,), ports=ports)
    found = settings_document("one", attached, up, (), runs=True)["Networks"]["one"]
    assert (found["GlobalIPv6Address"], found["GlobalIPv6PrefixLen"], found["IPv6Gateway"]) == (
        "fd00::3",
        64,
        "fd00::1",
    )
    assert found["IPAMConfig"] == {"IPv6Address": "fd00::3"}
    assert ports_text(up, ()) == "0.0.0.0:8080->80/tcp, [::]:8080->80/tcp, [::1]:81->82/tcp"
    config = NetworkConfig(
        id="n", name="one", created="", subnet6="fd00::/64", gateway6="fd00::1", ip_range6="fd00::/80"
    )
    document = network_document(config, [("web", up)])
    assert (document["EnableIPv6"], document["Containers"]["c"]["IPv6Address"]) == (True, "fd00::3/64")
    assert document["IPAM"]["Config"] == [{"Subnet": "fd00::/64", "IPRange": "fd00::/80", "Gateway": "fd00::1"}]


def test_what_inspect_says_of_a_network() -> None:
    config = NetworkConfig(id="n", name="one", created="then", subnet="10.1.2.0/24", gateway="10.1.2.1", internal=True)
    found = network_document(config, [("web", live())])
    assert found["IPAM"]["Config"] == [{"Subnet": "10.1.2.0/24", "Gateway": "10.1.2.1"}]
    assert found["Containers"]["c"]["Name"] == "web"
    assert found["Containers"]["c"]["IPv4Address"] == "10.1.2.3/24"
    assert network_document(NetworkConfig(id="x", name="two", created=""), [("web", live())])["Containers"] == {}
