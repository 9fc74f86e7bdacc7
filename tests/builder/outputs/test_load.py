from pathlib import Path

from pybuild.builder.outputs.docker import DockerOutput
from pybuild.builder.outputs.load import LoadOutput, parse_docker
from pybuild.builder.outputs.options import read


def test_without_a_file_the_image_is_loaded() -> None:
    assert parse_docker(read("type=docker")) == LoadOutput()
    assert parse_docker(read("type=docker,context=far")) == LoadOutput(context="far")
    assert parse_docker(read("type=docker,dest=-")) == DockerOutput()
    assert parse_docker(read("type=docker,dest=x")).file == Path("x")


def test_what_is_loaded_has_one_platform() -> None:
    assert "manifest lists" in LoadOutput().one_platform
