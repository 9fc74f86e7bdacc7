"""``--load`` into Docker and podman themselves."""

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.helpers import bases
from tests.helpers.contexts import write_context
from tests.helpers.hosts import need_programs
from tests.helpers.peers import Docker
from tests.helpers.program import Program

TEXT = "FROM small\nRUN echo one > /one\nCOPY f /two\n"


def _build(program: Program, tmp_path: Path, content: str, tag: str, **variables: str) -> str:
    context = write_context(tmp_path / tag.replace(":", "-"), {"Dockerfile": TEXT, "f": content})
    given = replace(program, variables=(*program.variables, *variables.items()))
    return given.build(context, "--load", tag=tag).printed


@pytest.fixture
def program(tmp_path: Path) -> Program:
    fresh = Program(store=tmp_path / "store")
    fresh.import_tar(bases.small(), "small")
    return fresh


@pytest.fixture
def run_root() -> Iterator[Path]:
    """A short path: podman refuses one of over 50 characters."""
    with tempfile.TemporaryDirectory(prefix="podman-") as path:
        yield Path(path)


def test_docker_gets_an_image_and_then_the_layers_that_it_lacks(
    program: Program, docker: Docker, tmp_path: Path
) -> None:
    host = f"unix://{docker.directory}/docker.sock"
    first = _build(program, tmp_path, "two\n", "load:1", DOCKER_HOST=host)
    second = _build(program, tmp_path, "three\n", "load:2", DOCKER_HOST=host)
    assert docker.run("load:1", "cat", "/one", "/two") == "one\ntwo\n"
    assert docker.run("load:2", "cat", "/one", "/two") == "one\nthree\n"
    shown = json.loads(docker.command("image", "inspect", "load:2").stdout)[0]
    assert shown["Id"] == json.loads(program.run("inspect", "load:2").stdout)[0]["Id"]
    # The layer of RUN has the time of this build, so that no other test can have given it to the daemon, as the base.
    common = json.loads(program.run("inspect", "load:1").stdout)[0]["RootFS"]["Layers"][1]
    blob = json.loads(program.run("manifest", "inspect", "load:2").stdout)["layers"][1]["digest"]
    assert shown["RootFS"]["Layers"][1] == common
    assert (blob in first, blob in second) == (True, False)


def test_podman_gets_an_image(program: Program, tmp_path: Path, run_root: Path) -> None:
    need_programs(["podman"])
    settings = tmp_path / "storage.conf"
    settings.write_text(f'[storage]\ndriver = "vfs"\nrunroot = "{run_root}"\ngraphroot = "{tmp_path}/graph"\n')
    # A socket that is not there: whether this host has a daemon must not matter.
    env = {"CONTAINERS_STORAGE_CONF": str(settings)}
    if Path("/var/run/docker.sock").exists():
        pytest.skip("a Docker daemon of this host would be taken")
    printed = _build(program, tmp_path, "two\n", "load:1", **env)
    assert "loading to podman" in printed
    words = ["podman", "image", "inspect", "localhost/load:1"]
    found = subprocess.run(words, env={**os.environ, **env}, check=False, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    assert json.loads(found.stdout)[0]["Id"] in json.loads(program.run("inspect", "load:1").stdout)[0]["Id"]
