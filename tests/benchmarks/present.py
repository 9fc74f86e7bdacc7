"""The builders that this host has, each with the base ``small``."""

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.benchmarks.builders import AnyBuilder, Buildah, Pybuild, Skopeo
from tests.benchmarks.docker_builders import BuildKit, DockerBuilder
from tests.helpers import bases, peers

_CONTAINERD = ("--feature", "containerd-snapshotter=true")


@contextmanager
def present_builders(directory: Path, without: frozenset[str]) -> Iterator[tuple[Path, list[AnyBuilder]]]:
    """A directory that all builders can read, and those that this host has."""
    with ExitStack() as stack:
        found: list[AnyBuilder] = []
        shared = directory / "shared"
        shared.mkdir()
        if not {"docker", "buildkit"} <= without and (peer := _docker(directory, shared, stack)) is not None:
            peer.import_tar(bases.small(), "small")
            found += [DockerBuilder(peer=peer), BuildKit(peer=peer)]
        if "containerd" not in without and _can_start_docker():
            peer = stack.enter_context(peers.docker(directory / "containerd", _CONTAINERD, shared=shared))
            peer.import_tar(bases.small(), "small")
            found.append(DockerBuilder(peer=peer, name="containerd"))
        if "buildah" not in without and shutil.which("buildah") is not None:
            buildah = Buildah(directory=directory / "buildah")
            stack.callback(buildah.close)
            buildah.bring_base(bases.small())
            found.append(buildah)
        if "pybuild" not in without:
            pybuild = Pybuild(directory=directory / "pybuild")
            pybuild.bring_base(bases.small())
            found.append(pybuild)
            if shutil.which("skopeo") is not None:
                found.append(Skopeo(directory=directory))
        yield shared, [builder for builder in found if builder.name not in without]


def _docker(directory: Path, shared: Path, stack: ExitStack) -> peers.Docker | None:
    """The host's daemon, else one of our own where that can be had."""
    installed = peers.installed_docker(shared)
    if installed is not None or not _can_start_docker():
        return installed
    return stack.enter_context(peers.docker(directory / "docker", shared=shared))


def _can_start_docker() -> bool:
    return os.geteuid() == 0 and shutil.which("mmdebstrap") is not None
