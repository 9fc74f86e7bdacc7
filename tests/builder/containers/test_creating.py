"""The program of a container: what the user requests, and what the image says of the rest."""

import pytest

from pybuild.builder.containers.config import Program
from pybuild.builder.containers.creating import ContainerRequest, program_of
from pybuild.builder.errors import RequestError
from pybuild.builder.oci.model import ContainerConfig, Healthcheck

IMAGE = ContainerConfig(
    entrypoint=("/entry",),
    cmd=("serve", "-v"),
    env=("PATH=/bin", "A=image", "B=image"),
    user="app",
    working_dir="/srv",
    labels=(("a", "image"), ("b", "image")),
    exposed_ports=("80/tcp",),
    stop_signal="SIGQUIT",
)


def program(image: ContainerConfig = IMAGE, **requested: object) -> Program:
    return program_of(image, ContainerRequest(image="app:1", **requested))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("requested", "args"),
    [
        ({}, ("/entry", "serve", "-v")),
        ({"words": ("sh",)}, ("/entry", "sh")),
        ({"entrypoint": "/other"}, ("/other",)),
        ({"entrypoint": "/other", "words": ("x",)}, ("/other", "x")),
        ({"entrypoint": "", "words": ("sh", "-c", "x")}, ("sh", "-c", "x")),
    ],
)
def test_an_entrypoint_of_the_user_leaves_nothing_of_the_image(
    requested: dict[str, object], args: tuple[str, ...]
) -> None:
    assert program(**requested).args == args


@pytest.mark.parametrize(("image", "requested"), [(ContainerConfig(), {}), (IMAGE, {"entrypoint": ""})])
def test_without_a_command_there_is_no_container(image: ContainerConfig, requested: dict[str, object]) -> None:
    with pytest.raises(RequestError, match="no command specified"):
        program(image, **requested)


def test_a_variable_replaces_that_of_the_image_in_its_place_and_a_bare_name_removes_it() -> None:
    assert program(env=("B=user", "C=x=y", "A")).env == ("B=user", "C=x=y", "PATH=/bin")


def test_labels_and_ports_are_added_to_those_of_the_image() -> None:
    made = program(labels=(("b", "user"), ("c", "user")), exposed_ports=("53/udp", "80/tcp"))
    assert made.labels == (("a", "image"), ("b", "user"), ("c", "user"))
    assert made.exposed_ports == ("53/udp", "80/tcp")


def test_an_empty_user_is_root_and_no_user_that_of_the_image() -> None:
    assert (program().user, program(user="").user, program(user="7:8").user) == ("app", "", "7:8")


def test_the_host_name_is_the_beginning_of_the_id() -> None:
    assert program(id="0123456789abcdef" * 4).hostname == "0123456789ab"
    assert program(id="0123456789abcdef" * 4, hostname="box").hostname == "box"


def test_input_ends_with_the_first_client_only_where_the_creating_command_is_attached_to_it() -> None:
    assert not program(open_stdin=True, attached=("stdout",)).stdin_once
    assert program(open_stdin=True, attached=("stdin", "stdout")).stdin_once
    assert not program(attached=("stdin",)).stdin_once


def test_the_shell_is_that_of_the_image() -> None:
    assert program(ContainerConfig(cmd=("x",), shell=("/bin/bash", "-c"))).shell == ("/bin/bash", "-c")
    assert program(ContainerConfig(cmd=("x",))).shell == ()


def test_a_health_check_takes_from_the_image_what_it_leaves_out() -> None:
    image = Healthcheck(test=("CMD", "check"), interval=5, timeout=6, retries=7)
    found = program(ContainerConfig(cmd=("x",), healthcheck=image), healthcheck=Healthcheck(interval=9, start_period=1))
    assert found.healthcheck == Healthcheck(test=("CMD", "check"), interval=9, timeout=6, start_period=1, retries=7)
    assert program(ContainerConfig(cmd=("x",), healthcheck=image)).healthcheck == image
    assert program(healthcheck=Healthcheck(test=("NONE",))).healthcheck == Healthcheck(test=("NONE",))
