"""``--change``: instructions applied to the config of an image."""

import pytest

from pybuild.builder.cli.flags.changes import changed
from pybuild.builder.errors import RequestError
from pybuild.builder.oci.model import ContainerConfig, History, ImageConfig

_CONFIG = ImageConfig(
    architecture="amd64",
    os="linux",
    config=ContainerConfig(env=("A=one",), user="me", entrypoint=("/bin/x",), cmd=("y",)),
    history=(History(created_by="first"),),
)


def test_instructions_change_the_config_in_order_and_leave_the_history() -> None:
    found = changed(_CONFIG, ["ENV B=$A", "USER other", "WORKDIR /srv", "WORKDIR inside", "LABEL a=b"])
    assert found.config.env == ("A=one", "B=one")
    assert (found.config.user, found.config.working_dir) == ("other", "/srv/inside")
    assert found.config.labels == (("a", "b"),)
    assert found.history == _CONFIG.history


def test_a_new_entrypoint_removes_the_command_as_in_a_dockerfile() -> None:
    assert changed(_CONFIG, ['ENTRYPOINT ["/new"]']).config.cmd is None
    assert changed(_CONFIG, ['ENTRYPOINT ["/new"]', "CMD z"]).config.cmd == ("/bin/sh", "-c", "z")


@pytest.mark.parametrize("text", ["RUN true", "COPY a b", "ADD a b", "FROM x", "ARG A", "MAINTAINER me"])
def test_instructions_that_change_no_config_are_refused(text: str) -> None:
    with pytest.raises(RequestError, match="only instructions that change the config can be given"):
        changed(_CONFIG, [text])


def test_a_mistake_names_the_instruction() -> None:
    with pytest.raises(RequestError, match=r"^--change 'WORKDIR': "):
        changed(_CONFIG, ["WORKDIR"])


def test_without_changes_the_config_is_the_same() -> None:
    assert changed(_CONFIG, []) == _CONFIG
