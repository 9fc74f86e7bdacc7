import json

import pytest

from pybuild.builder.containers.config import BIND, Config, HostConfig, MountPoint, Program
from pybuild.builder.errors import StoreError
from pybuild.builder.networks.values import Membership, Networking, PublishedPort
from pybuild.builder.oci.model import Healthcheck
from pybuild.runtime.sandbox.spec import ResourceLimits

PLAIN = Config(
    id="0" * 64, created="then", image="box", image_id="sha256:x", program=Program(cmd=("a",)), host=HostConfig()
)
FULL = Config(
    id="1" * 64,
    created="now",
    image="box:1",
    image_id="sha256:y",
    program=Program(
        entrypoint=("e",),
        cmd=None,
        labels=(("a", "b"),),
        healthcheck=Healthcheck(test=("CMD", "x"), retries=2),
        tty=True,
    ),
    host=HostConfig(
        mounts=(MountPoint(kind=BIND, source="/s", target="/t", read_only=True),),
        limits=ResourceLimits(memory=5, ulimits=(("nofile", 1, 2),)),
        networking=Networking(
            attachments=(Membership(network="one", aliases=("a",)),),
            ports=(PublishedPort(container_port=80, host_port=8080),),
            hosts=(("a", "1.2.3.4"),),
        ),
    ),
)


@pytest.mark.parametrize("config", [PLAIN, FULL])
def test_a_config_comes_back_as_it_was_written(config: Config) -> None:
    assert Config.from_json(config.to_json()) == config


def test_members_of_other_versions_are_left_out_or_have_their_defaults() -> None:
    document = json.loads(FULL.to_json())
    document["later"] = 1
    document["program"]["later"] = 1
    del document["host"]["init"]
    assert Config.from_json(json.dumps(document)) == FULL


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"program": 1}'])
def test_a_damaged_config_is_an_error(text: str) -> None:
    with pytest.raises(StoreError, match="config of a container is damaged"):
        Config.from_json(text)


def test_arguments_are_entrypoint_and_command() -> None:
    assert Program(entrypoint=("a",), cmd=("b", "c")).args == ("a", "b", "c")
    assert Program(entrypoint=None, cmd=("b",)).args == ("b",)
