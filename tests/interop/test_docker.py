"""pybuild beside Docker: the same cases give the same tree, config and history, and Docker runs what pybuild built."""

import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.helpers import cases, configs, deliberate, trees
from tests.helpers.lab import TARS, BuiltCase, Lab
from tests.helpers.peers import Docker

ALL = {name: cases.load(name) for name in cases.names()}
COMPARED = [name for name, case in ALL.items() if not case.fails and not case.docker]
REFUSED = [name for name, case in ALL.items() if case.fails and not case.docker]
REAL = [name for name, case in ALL.items() if case.prints]


@dataclass(slots=True, kw_only=True)
class DockerLab:
    """The cases of a `Lab` as Docker builds them, from the very same files."""

    peer: Docker
    lab: Lab
    _built: set[str] = field(default_factory=set)
    _brought: set[str] = field(default_factory=set)

    def build(self, name: str) -> None:
        """Build the case called *name*, and first what it builds on."""
        if name in self._built:
            return
        mine = self.lab.case(name)
        for base in mine.case.bases:
            self.build(base)
        for base in ({"small", mine.case.base} & TARS.keys()) - self._brought:
            self.peer.import_tar(TARS[base](), base)
            self._brought.add(base)
        directory = self._copy(mine)
        dockerfile = directory / mine.dockerfile.relative_to(mine.directory)
        self.peer.build(directory / "context", dockerfile, name, mine.case.options_in(directory))
        self._built.add(name)

    def image(self, name: str) -> trees.SavedImage:
        """The case as Docker saves it."""
        self.build(name)
        archive = self.peer.save(name, self.peer.directory / f"{name}.tar")
        try:
            return trees.read_archive(archive)
        finally:
            archive.unlink()

    def _copy(self, mine: BuiltCase) -> Path:
        directory = self.peer.directory / "cases" / mine.case.name
        directory.parent.mkdir(exist_ok=True)
        shutil.rmtree(directory, ignore_errors=True)
        subprocess.run(["cp", "-a", mine.directory, directory], check=True)
        return directory


@pytest.fixture(scope="session")
def docker_lab(docker: Docker, lab: Lab) -> DockerLab:
    return DockerLab(peer=docker, lab=lab)


@pytest.mark.drawn
@pytest.mark.parametrize("name", cases.parameters(COMPARED))
def test_docker_builds_the_same(docker_lab: DockerLab, started: int, name: str) -> None:
    ours = docker_lab.lab.case(name)
    assert ours.image is not None, ours.first.printed
    theirs = docker_lab.image(name)
    found = [("tree", path, text) for path, text in trees.differences(ours.image.tree, theirs.tree, started=started)]
    found += [("config", key, text) for key, text in configs.differences(ours.image.config, theirs.config)]
    found += [("history", word, text) for word, text in configs.step_differences(ours.image.config, theirs.config)]
    unexplained = deliberate.without(name, found)
    assert not unexplained, "\n".join(["", *unexplained])


@pytest.mark.drawn
@pytest.mark.parametrize("name", REFUSED)
def test_docker_refuses_it_too(docker_lab: DockerLab, name: str) -> None:
    with pytest.raises(subprocess.CalledProcessError) as failure:
        docker_lab.build(name)
    assert ALL[name].fails in failure.value.stderr


@pytest.mark.parametrize("name", cases.parameters(REAL))
def test_docker_loads_and_runs_our_image(docker: Docker, lab: Lab, name: str) -> None:
    built = lab.case(name)
    loaded = docker.load(built.archive)
    assert f"{name}:latest" in loaded
    assert built.case.prints in docker.run(name, *built.case.run)


def test_docker_loads_what_comes_through_a_pipe(docker: Docker, lab: Lab) -> None:
    lab.case("stages-diamond")
    program = lab.program
    save = subprocess.Popen(
        program.command("save", "stages-diamond"),
        env=program.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    )
    with save:
        docker.command("load", stdin=save.stdout)
    assert save.returncode == 0
    assert docker.run("stages-diamond", "cat", "/all") == "base\nleft\nright\n"


def test_base_is_one_layer_of_the_same_digest_for_both(docker_lab: DockerLab) -> None:
    ours = docker_lab.lab.case("env-forms")
    assert ours.image is not None, ours.first.printed
    assert ours.image.diff_ids[0] == docker_lab.image("env-forms").diff_ids[0]


def test_our_archive_names_its_image_as_docker_does(docker_lab: DockerLab) -> None:
    ours = docker_lab.lab.case("env-forms")
    assert ours.image is not None, ours.first.printed
    assert ours.image.names == docker_lab.image("env-forms").names
