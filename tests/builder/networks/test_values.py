from pybuild.builder.networks.values import NetworkConfig, PublishedPort


def test_what_a_network_has_on_the_host() -> None:
    one = NetworkConfig(id="0123456789abcdef", name="one", created="")
    # The kernel's names of interfaces have 15 letters at most.
    assert one.interface == "pb-0123456789ab"
    assert (one.resolves, one.publishes) == (True, True)
    default = NetworkConfig(id="0" * 64, name="bridge", created="")
    assert (default.resolves, default.publishes) == (False, True)
    assert not NetworkConfig(id="0" * 64, name="closed", created="", internal=True).publishes
    divided = NetworkConfig(id="0" * 64, name="m", created="", driver="macvlan", options=(("parent", "eth0"),))
    assert (divided.interface, divided.resolves, divided.publishes) == ("eth0", False, False)


def test_the_name_of_a_port() -> None:
    assert PublishedPort(container_port=53, protocol="udp").name == "53/udp"
