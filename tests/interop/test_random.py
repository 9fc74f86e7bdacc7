"""Builds that are drawn by chance: pybuild and Docker both refuse one, or give the same tree, config and history."""

import os
import random
import subprocess
from pathlib import Path

import pytest

from tests.helpers import bases, configs, deliberate, trees
from tests.helpers.peers import Docker
from tests.helpers.program import Program
from tests.helpers.random_builds import RandomBuild

pytestmark = [pytest.mark.thorough, pytest.mark.drawn]

SEEDS = int(os.environ.get("PYBUILD_TESTS_SEEDS", "20"))
"""How many builds are compared before a release; CI draws some of them. More of them: ``PYBUILD_TESTS_SEEDS=500 .venv/bin/pytest tests/interop/test_random.py``"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory, docker: Docker) -> Program:
    """Both have the base afterwards."""
    program = Program(store=tmp_path_factory.mktemp("random") / "store")
    program.import_tar(bases.small(), "small")
    docker.import_tar(bases.small(), "small")
    return program


@pytest.mark.parametrize("seed", range(SEEDS))
def test_docker_makes_the_same_of_it(seed: int, docker: Docker, program: Program, started: int) -> None:
    directory = docker.directory / f"random-{seed}"
    made = RandomBuild(draw=random.Random(seed))
    made.fill(directory / "context")
    dockerfile = directory / "Dockerfile"
    dockerfile.write_text(made.dockerfile(), encoding="utf-8")
    theirs = _by_docker(docker, directory / "context", dockerfile, f"random-{seed}")
    ours = program.build(directory / "context", "-f", os.fspath(dockerfile), tag=f"random-{seed}", check=False)
    assert (ours.exit_code == 0) == (theirs is not None), f"{dockerfile.read_text()}\n{ours.printed}"
    if theirs is None:
        return
    image = trees.read_archive(program.save(f"random-{seed}", directory / "ours.tar"))
    found = [("tree", path, text) for path, text in trees.differences(image.tree, theirs.tree, started=started)]
    found += [("config", key, text) for key, text in configs.differences(image.config, theirs.config)]
    found += [("history", word, text) for word, text in configs.step_differences(image.config, theirs.config)]
    unexplained = deliberate.without(f"random-{seed}", found)
    assert not unexplained, "\n".join([dockerfile.read_text(), *unexplained])


def _by_docker(docker: Docker, context: Path, dockerfile: Path, name: str) -> trees.SavedImage | None:
    """Return what Docker builds, or None when it refuses."""
    try:
        docker.build(context, dockerfile, name)
    except subprocess.CalledProcessError:
        return None
    return trees.read_archive(docker.save(name, context.parent / "theirs.tar"))
