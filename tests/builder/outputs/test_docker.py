from pybuild.builder.outputs.docker import DockerOutput


def test_an_archive_of_docker_has_one_platform() -> None:
    assert "manifest lists" in DockerOutput().one_platform
