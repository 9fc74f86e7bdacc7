from pybuild.builder.containers.config import HostConfig
from pybuild.builder.containers.networking import shared_with


def test_the_container_whose_network_is_shared() -> None:
    assert shared_with(HostConfig(network="container:abc")) == "abc"
    assert [shared_with(HostConfig(network=name)) for name in ("host", "none", "bridge", "containers")] == [""] * 4
