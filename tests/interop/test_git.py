"""ADD of git repositories beside Docker: a branch, a tag, a commit, a directory, submodules, the git directory."""

import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.helpers import trees
from tests.helpers.contexts import write_context
from tests.helpers.hosts import need_programs, need_root
from tests.helpers.peers import Docker
from tests.helpers.program import Program
from tests.helpers.repositories import MOMENT, Repository, daemon, git

pytestmark = pytest.mark.xdist_group("git")

WAYS = {
    "head": "ADD {url} /d/",
    "branch": "ADD {url}#side /d/",
    "tag": "ADD {url}#light /d/",
    "annotated tag": "ADD {url}#heavy /d/",
    "full name": "ADD {url}#refs/heads/side /d/",
    "commit": "ADD {url}#{commit} /d/",
    "directory": "ADD {url}#main:d/e /d/",
    "directory of the head": "ADD {url}#:d /d/",
    "query": "ADD {url}?branch=side&subdir=d /d/",
    "tag in a query": "ADD {url}?tag=heavy /d/",
    "commit in a query": "ADD {url}?branch=main&commit={newest} /d/",
    "checksum": "ADD --checksum={newest} {url}#main /d/",
    "owner": "ADD --chown=7:8 {url} /d/",
    "mode": "ADD --chmod=0750 {url} /d/",
    "link": "ADD --link {url} /d/",
    "into a directory that is there": "COPY f /d/g\nADD {url} /d/",
    "two": "ADD {url}#light {url}#side:d /d/",
    "exclude": "ADD --exclude=d --exclude=run {url} /d/",
    "submodules": "ADD {modules} /d/",
    "directory beside submodules": "ADD {modules}#main:d /d/",
    "without submodules": "ADD {modules}?submodules=false /d/",
    "git directory": "ADD --keep-git-dir=true {url}#heavy /d/",
    "git directory by query": "ADD {url}?keep-git-dir=true /d/",
    "git directory of a commit": "ADD --keep-git-dir {url}#{commit} /d/",
    "git directory with submodules": "ADD --keep-git-dir {modules} /d/",
}
REFUSED = {
    "unknown branch": "ADD {url}#nope /d/",
    "unknown commit": "ADD {url}#" + "1" * 40 + " /d/",
    "unknown directory": "ADD {url}#main:nope /d/",
    "file for a directory": "ADD {url}#main:f /d/",
    "wrong checksum": "ADD --checksum=" + "1" * 40 + " {url}#main /d/",
    "COPY": "COPY {url} /d/",
    "unknown repository": "ADD {url}x.git /d/",
    "unknown query": "ADD {url}?colour=red /d/",
}
GIT_FILES = ("/d/.git/HEAD", "/d/.git/shallow")
"""Of a git directory, what follows from the commit; packs, the index and logs are of the version of git and its options."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Repositories on a server, and both builders; *words* are what the Dockerfiles call them."""

    directory: Path
    words: Mapping[str, str]
    program: Program
    docker: Docker

    def context(self, line: str) -> Path:
        """A context with a Dockerfile of *line*, where Docker reads it, too."""
        directory = self.docker.directory / "git"
        text = f"FROM scratch\n{line.format(**self.words)}\n"
        return write_context(directory, {"Dockerfile": text, "f": "f\n"})


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory, docker: Docker) -> Iterator[Scene]:
    need_root()
    need_programs(["git"])
    directory = tmp_path_factory.mktemp("git")
    served = directory / "served"
    repository = Repository(served)
    (repository.tree / "d").mkdir()
    (repository.tree / "link").symlink_to("d/e/file")
    (repository.tree / "run").write_text("#!/bin/sh\n")
    (repository.tree / "run").chmod(0o755)
    commit = repository.commit({"f": "1\n", "d/e/file": "2\n", "d/x": "3\n", ".gitattributes": "x export-ignore\n"})
    repository.tag("light")
    repository.tag("heavy", annotated=True)
    repository.commit({"f": "side\n", "d/side": "4\n"}, branch="side")
    git(repository.tree, "reset", "-q", "--hard", commit)
    newest = repository.commit({"f": "newest\n"})
    with daemon(served) as address:
        inner = Repository(served, "inner.git").commit({"i": "inner\n"})
        modules = Repository(served, "modules.git")
        modules.commit({"d/x": "x\n"})
        modules.link("m/inner", "../inner.git", inner)
        words = {"url": f"{address}/x.git", "modules": f"{address}/modules.git", "commit": commit, "newest": newest}
        yield Scene(directory=directory, words=words, program=Program(store=directory / "store"), docker=docker)


def built(scene: Scene, line: str) -> tuple[trees.Tree, trees.Tree]:
    """What pybuild and Docker make of *line*."""
    context = scene.context(line)
    scene.program.build(context, tag="ours")
    scene.docker.build(context, context / "Dockerfile", "theirs")
    archives = (
        scene.program.save("ours", scene.directory / "ours.tar"),
        scene.docker.save("theirs", scene.directory / "theirs.tar"),
    )
    ours, theirs = (trees.read_archive(archive).tree for archive in archives)
    return ours, theirs


@pytest.mark.drawn
@pytest.mark.parametrize("way", WAYS)
def test_docker_adds_the_same_files(scene: Scene, started: int, way: str) -> None:
    ours, theirs = built(scene, WAYS[way])
    kept = "/d/.git" in theirs
    assert kept == way.startswith("git directory")
    assert ("/d/.git" in ours) == kept
    for path in GIT_FILES if kept else ():
        digests = {tree[path].digest if path in tree else "" for tree in (ours, theirs)}
        assert len(digests) == 1, path
    for tree, time in ((ours, MOMENT), (theirs, started)):
        assert all(node.mtime >= time for path, node in tree.items() if _is_checked_out(path)), tree
    plain = [
        {path: replace(node, mtime=0) for path, node in tree.items() if not _is_of_git(path)} for tree in (ours, theirs)
    ]
    assert list(trees.differences(*plain, started=started)) == []


def _is_of_git(path: str) -> bool:
    """Whether *path* is in a git directory, or the file in which Docker's submodules name one that is not there."""
    return "/.git/" in path or path == "/d/m/inner/.git"


def _is_checked_out(path: str) -> bool:
    return path.startswith("/d/") and path != "/d/g" and "/.git" not in path


@pytest.mark.drawn
@pytest.mark.parametrize("way", REFUSED)
def test_docker_refuses_it_too(scene: Scene, way: str) -> None:
    context = scene.context(REFUSED[way])
    with pytest.raises(subprocess.CalledProcessError):
        scene.docker.build(context, context / "Dockerfile", "theirs")
    failed = scene.program.build(context, tag="ours", check=False)
    assert failed.exit_code in {1, 2}
    assert "Dockerfile:2" in failed.printed
