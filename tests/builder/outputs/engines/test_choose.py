import os
from pathlib import Path

import pytest

from pybuild.builder.errors import LoadFailed
from pybuild.builder.oci.image import Image
from pybuild.builder.outputs.engines import choose
from pybuild.builder.outputs.engines.address import parse_address
from pybuild.builder.outputs.engines.docker import Daemon, connect
from pybuild.builder.outputs.engines.podman import Podman
from pybuild.builder.outputs.load import LoadOutput
from pybuild.builder.store.store import Store
from tests.helpers.docker_daemon import FakeDaemon


@pytest.fixture
def podman(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A podman that keeps what it is given."""
    program = tmp_path / "bin" / "podman"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/words\ncat > {tmp_path}/archive\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return str(program)


@pytest.fixture
def nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No daemon answers at the usual place."""
    monkeypatch.setattr(choose, "DEFAULT", parse_address(f"unix://{tmp_path}/none"))


def test_the_usual_daemon_comes_before_podman(
    store: Store, daemon: FakeDaemon, podman: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choose, "DEFAULT", parse_address(daemon.address))
    assert choose.find_engine("") == connect(parse_address(daemon.address))


@pytest.mark.usefixtures("nobody")
def test_podman_is_there_when_no_daemon_is(store: Store, image: Image, podman: str, tmp_path: Path) -> None:
    assert choose.find_engine("") == Podman(program=podman)
    LoadOutput().write([(("docker.io/library/x:1",), image.descriptor)], store, lambda *_: None)
    assert (tmp_path / "words").read_text() == "load --quiet\n"
    assert b"manifest.json" in (tmp_path / "archive").read_bytes()


@pytest.mark.usefixtures("nobody")
def test_neither_is_an_error_that_names_both(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(
        LoadFailed, match=r"cannot connect to the Docker daemon at unix://.*, and podman is not installed"
    ):
        LoadOutput().check()


@pytest.mark.usefixtures("podman")
def test_a_daemon_that_was_asked_for_is_not_replaced(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none")
    with pytest.raises(LoadFailed, match=r"no such file or directory$"):
        LoadOutput().check()


def test_a_daemon_of_the_environment(store: Store, daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", daemon.address)
    assert isinstance(choose.find_engine(""), Daemon)
