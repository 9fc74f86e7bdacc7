from pybuild.builder.containers.config import HostConfig


def test_the_container_whose_network_is_shared() -> None:
    assert HostConfig(network="container:abc").shares_with == "abc"
    assert [HostConfig(network=name).shares_with for name in ("host", "none", "bridge", "containers")] == [""] * 4
