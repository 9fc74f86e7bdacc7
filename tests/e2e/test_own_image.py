"""The image of pybuild itself: built by pybuild from this repository, and building in a container."""

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest

from tests.contracts.structure import REPOSITORY
from tests.helpers import bases, peers
from tests.helpers.contexts import write_context
from tests.helpers.hosts import need_programs
from tests.helpers.program import Program
from tests.helpers.thorough import IN_CI

pytestmark = [IN_CI, pytest.mark.xdist_group("own image")]
_DIRECTORY = REPOSITORY / "testdata" / "pybuild-image"
_CERTIFICATES = ("PIP_CERT", "REQUESTS_CA_BUNDLE")
"""Variables that name the certificates by which this host reaches a package index."""


def _own_certificates() -> tuple[str, ...]:
    """The flags by which pip in a step trusts what it trusts here."""
    path = next((os.environ[name] for name in _CERTIFICATES if os.environ.get(name)), "")
    return ("-v", f"{path}:/own.crt:ro", "--env", "PIP_CERT=/own.crt") if path else ()


_MOUNTS = """FROM small
RUN --mount=type=cache,target=/c echo cached > /c/n
RUN --mount=type=cache,target=/c --mount=type=secret,id=s cat /c/n > /made && wc -c < /run/secrets/s >> /made
USER alice
RUN id -un > /tmp/me && {kills}
"""
_POD = ("--security-opt=seccomp=unconfined",)
_PODS: dict[str, tuple[str, ...]] = {
    "userns": _POD,
    "single": (
        *_POD,
        *("--security-opt=no-new-privileges", "--cap-drop=ALL", "--user=1000"),
        *("--tmpfs=/tmp:exec,mode=1777", "-e=PYBUILD_ROOT=/tmp/store", "-e=HOME=/tmp"),
    ),
}
"""The rungs that pods have: with the options of ``docker run`` that make such places. Without options it is ``chroot``."""


_WITH_ADVICE: tuple[tuple[str, ...], ...] = (
    (),
    ("--user=1000",),
    ("--cap-drop=ALL",),
    ("--cap-drop=ALL", "--user=1000"),
    (*_POD, "--cap-drop=ALL"),
    ("--security-opt=no-new-privileges", "--user=1000"),
)
"""The options of containers in which something better than what is there can be had by more options."""


def _doctor(docker: peers.Docker, options: Sequence[str]) -> dict[str, Any]:
    script = "pybuild doctor --format=json || true"
    found = json.loads(docker.run("pybuild", "-c", script, options=("--entrypoint=sh", "-e=HOME=/tmp", *options)))
    assert isinstance(found, dict)
    return found


def _follow(docker: peers.Docker, options: Sequence[str]) -> dict[str, bool]:
    """Return for each better rung that the doctor has more options for, beside *options*, whether it works with them."""
    found = _doctor(docker, options)
    worked = {}
    for rung in takewhile(lambda rung: rung["name"] != found["isolation"]["used"], found["rungs"]):
        if rung["needs"].startswith("docker run --"):
            advised = rung["needs"].removeprefix("docker run ").removesuffix(" ...").split(" ")
            after = _doctor(docker, (*options, *advised))["rungs"]
            worked[rung["name"]] = next(each["works"] for each in after if each["name"] == rung["name"])
    return worked


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """pybuild on a store that has the image of this repository, ``pybuild``."""
    need_programs(["mmdebstrap"])
    made = Program(store=tmp_path_factory.mktemp("own") / "store")
    made.import_tar(bases.bookworm(), "bookworm")
    flags = ("--network=host", "--build-arg=BASE=bookworm", *_own_certificates())
    made.run("build", *flags, "-f", str(_DIRECTORY / "Dockerfile"), "-t", "pybuild", str(REPOSITORY))
    yield made
    shutil.rmtree(made.store)


@pytest.fixture(scope="module")
def docker(program: Program, tmp_path_factory: pytest.TempPathFactory) -> Iterator[peers.Docker]:
    """A daemon that has the image."""
    directory = tmp_path_factory.mktemp("own-docker")
    with peers.docker(directory / "docker") as running:
        archive = program.save("pybuild", directory / "pybuild.tar")
        running.load(archive)
        archive.unlink()
        yield running


def _inside(program: Program, work: Path, flags: tuple[str, ...], script: str) -> str:
    given = ("-v", f"{work}:/work:ro", "--tmpfs", "/store", "--entrypoint", "sh", *flags)
    return program.run("run", *given, "pybuild", "-c", f"({script}) 2>&1").stdout


def test_it_builds_in_containers_of_pybuild(program: Program, tmp_path: Path) -> None:
    text = {"Dockerfile": "FROM scratch\nCOPY file /\n", "Steps": "FROM small\nRUN echo made > /made\n", "file": "x"}
    work = write_context(tmp_path / "work", text)
    (work / "small.tar").write_bytes(bases.small().read_bytes())
    # Where device nodes cannot be used nothing can be run, but files can be copied.
    assert "naming to docker.io/library/x" in _inside(program, work, (), "pybuild build -t x /work")
    script = "pybuild import small.tar small && pybuild build -t y -f Steps . && pybuild run y cat /made"
    assert "\nmade\n" in _inside(program, work, _POD, script)
    assert "usage" in program.run("run", "pybuild").stdout.lower()


@pytest.mark.parametrize("rung", ["chroot", *(pytest.param(rung, marks=pytest.mark.drawn) for rung in _PODS)])
def test_it_builds_with_mounts_in_containers_of_docker(docker: peers.Docker, rung: str) -> None:
    # After a chroot alone the numbers of other processes can be named, and signals are refused.
    kills = "! kill -9 1 && ! kill -9 -1" if rung == "chroot" else "test $$ = 1"
    text = {"Dockerfile": _MOUNTS.replace("{kills}", kills), "s": "0123456789"}
    work = write_context(docker.directory / rung, text)
    (work / "small.tar").write_bytes(bases.small().read_bytes())
    script = (
        "pybuild doctor | grep isolation; pybuild import small.tar small && pybuild build --secret=id=s,src=s -t x ."
    )
    script += " && pybuild export x | tar -xO made"
    options = ("--entrypoint=sh", "-v", f"{docker.inside / rung}:/work:ro", *_PODS.get(rung, ()))
    told = docker.run("pybuild", "-c", script, options=options)
    assert f"auto: {rung}\n" in told
    assert told.endswith("cached\n10\n")


@pytest.mark.drawn
@pytest.mark.parametrize("options", _WITH_ADVICE, ids=lambda options: " ".join(options) or "none")
def test_what_the_doctor_advises_works(docker: peers.Docker, options: tuple[str, ...]) -> None:
    worked = _follow(docker, options)
    assert worked
    assert all(worked.values()), worked
