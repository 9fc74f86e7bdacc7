from pathlib import Path

from pybuild.builder.outputs.docker import DockerOutput, parse_docker
from pybuild.builder.outputs.image import ImageOutput
from pybuild.builder.outputs.options import read


def test_without_a_file_the_store_takes_the_place_of_the_daemon() -> None:
    assert parse_docker(read("type=docker")) == ImageOutput()
    assert parse_docker(read("type=docker,dest=-")) == DockerOutput()
    assert parse_docker(read("type=docker,dest=x")).file == Path("x")


def test_an_archive_of_docker_has_one_platform() -> None:
    assert "manifest lists" in DockerOutput().one_platform
