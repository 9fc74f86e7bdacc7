"""The builders that are compared, as makers of commands."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tests.benchmarks.measure import Command
from tests.helpers import bases, peers
from tests.helpers.leftovers import mounts_below
from tests.helpers.program import Program, build_arguments


class Builder(Protocol):
    """What the table needs of a builder. Images are called by plain names."""

    @property
    def name(self) -> str:
        """The head of its column."""

    def version(self) -> str:
        """What it says of itself, in one line."""

    def build(self, context: Path, tag: str) -> Command:
        """The command that builds *context*."""

    def save(self, tag: str, archive: Path) -> Command:
        """The command that writes an image to a file."""

    def load(self, archive: Path, tag: str) -> Command:
        """The command that reads *archive* where nothing of its image is left; the removal is done by this call."""

    def export_cache(self, context: Path, name: str) -> Sequence[Command]:
        """The commands that build *context* and put what they know into a registry."""

    def import_cache(self, context: Path, name: str) -> Command:
        """The command that builds *context* with that alone; what is known otherwise is removed by this call."""


class Transferring(Protocol):
    """What rows with a registry need."""

    @property
    def name(self) -> str:
        """The head of its column."""

    def push(self, tag: str, name: str) -> Command:
        """The command that pushes an image; it is given its *name* by this call."""

    def pull(self, name: str) -> Command:
        """The command that pulls an image where nothing of it is left; the removal is done by this call."""


@dataclass(slots=True, kw_only=True)
class Pybuild:
    """This project."""

    folder: Path
    name: str = "pybuild"

    @property
    def _program(self) -> Program:
        return Program(store=self.folder / "store")

    def version(self) -> str:
        return self._program.run("version").stdout.splitlines()[0]

    def bring_base(self, tar: Path) -> None:
        self._program.import_tar(tar, "small")

    def build(self, context: Path, tag: str) -> Command:
        return self._command(*build_arguments(context, tag=tag))

    def save(self, tag: str, archive: Path) -> Command:
        return self._command("save", "-o", os.fspath(archive), tag)

    def load(self, archive: Path, tag: str) -> Command:
        shutil.rmtree(self.folder / "other", ignore_errors=True)
        other = Program(store=self.folder / "other")
        words = other.command("load", "-i", os.fspath(archive))
        return Command(words=words, environment=other.environment)

    def push(self, tag: str, name: str) -> Command:
        self._program.run("tag", tag, name)
        return self._command("push", name)

    def pull(self, name: str) -> Command:
        shutil.rmtree(self.folder / "other", ignore_errors=True)
        other = Program(store=self.folder / "other")
        return Command(words=other.command("pull", name), environment=other.environment)

    def export_cache(self, context: Path, name: str) -> Sequence[Command]:
        return (self._command(*build_arguments(context, (f"--cache-to=type=registry,ref={name}",), "cached")),)

    def import_cache(self, context: Path, name: str) -> Command:
        shutil.rmtree(self.folder / "other", ignore_errors=True)
        other = Program(store=self.folder / "other")
        other.import_tar(bases.small(), "small")
        words = other.command(*build_arguments(context, ("--cache-from", name), "cached"))
        return Command(words=words, environment=other.environment)

    def _command(self, *arguments: str) -> Command:
        return Command(words=self._program.command(*arguments), environment=self._program.environment)


@dataclass(slots=True, kw_only=True)
class DockerBuilder:
    """Docker with BuildKit."""

    peer: peers.Docker
    name: str = "docker"

    def version(self) -> str:
        return f"Docker {self.peer.command('version', '--format', '{{.Server.Version}}').stdout.strip()}"

    def build(self, context: Path, tag: str) -> Command:
        return self._command(*self.peer.build_words(context, context / "Dockerfile", tag))

    def save(self, tag: str, archive: Path) -> Command:
        return self._command("save", tag, output=archive)

    def load(self, archive: Path, tag: str) -> Command:
        self.peer.command("rmi", "--force", tag)
        self.peer.command("builder", "prune", "--all", "--force")
        return self._command("load", source=archive)

    def push(self, tag: str, name: str) -> Command:
        self.peer.command("tag", tag, name)
        return self._command("push", name)

    def pull(self, name: str) -> Command:
        listed = self.peer.command(
            "images", "--quiet", "--filter", "reference=large", "--filter", "reference=*/*/large"
        )
        for image in set(listed.stdout.split()):
            self.peer.command("rmi", "--force", image)
        self.peer.command("builder", "prune", "--all", "--force")
        return self._command("pull", name)

    def export_cache(self, context: Path, name: str) -> Sequence[Command]:
        # Without containerd's image store, this is the one kind of cache that it writes.
        options = ("--build-arg=BUILDKIT_INLINE_CACHE=1",)
        words = self.peer.build_words(context, context / "Dockerfile", name, options)
        return self._command(*words), self._command("push", name)

    def import_cache(self, context: Path, name: str) -> Command:
        self.peer.command("rmi", "--force", name)
        self.peer.command("builder", "prune", "--all", "--force")
        options = ("--cache-from", name, "--build-arg=BUILDKIT_INLINE_CACHE=1")
        return self._command(*self.peer.build_words(context, context / "Dockerfile", name, options))

    def _command(self, *arguments: str, source: Path | None = None, output: Path | None = None) -> Command:
        words = [*self.peer.client, *arguments]
        return Command(words=words, environment=os.environ, source=source, output=output, daemon=self.peer.pid)


@dataclass(slots=True, kw_only=True)
class Buildah:
    """Buildah with layers, its cache, as Docker and pybuild have it always."""

    folder: Path
    name: str = "buildah"

    def version(self) -> str:
        return subprocess.run(["buildah", "--version"], check=True, capture_output=True, text=True).stdout.strip()

    def bring_base(self, tar: Path) -> None:
        container = self._run("from", "scratch")
        self._run("add", container, os.fspath(tar), "/")
        self._run("commit", "--rm", container, "small")

    def build(self, context: Path, tag: str) -> Command:
        runtime = (
            "runc" if shutil.which("runc") else "crun"
        )  # crun 1.8 refuses hosts that have cgroups of both versions
        options = ["--layers", "--network=host", "--runtime", runtime]
        return self._command(self.folder, "build", *options, "-t", tag, os.fspath(context))

    def save(self, tag: str, archive: Path) -> Command:
        return self._command(self.folder, "push", "--quiet", tag, f"docker-archive:{archive}:{tag}:latest")

    def load(self, archive: Path, tag: str) -> Command:
        other = self.folder / "other"
        if other.exists():
            subprocess.run([*self._words(other), "rmi", "--all", "--force"], check=True, capture_output=True)
        return self._command(other, "pull", "--quiet", f"docker-archive:{archive}")

    def push(self, tag: str, name: str) -> Command:
        return self._command(self.folder, "push", "--quiet", "--tls-verify=false", tag, f"docker://{name}")

    def pull(self, name: str) -> Command:
        other = self.folder / "other"
        if other.exists():
            subprocess.run([*self._words(other), "rmi", "--all", "--force"], check=True, capture_output=True)
        return self._command(other, "pull", "--quiet", "--tls-verify=false", f"docker://{name}")

    def export_cache(self, context: Path, name: str) -> Sequence[Command]:
        return (self._cached(self.folder, context, "--cache-to", name),)

    def import_cache(self, context: Path, name: str) -> Command:
        other = self.folder / "cached"
        if other.exists():
            subprocess.run([*self._words(other), "rmi", "--all", "--force"], check=True, capture_output=True)
        Buildah(folder=other).bring_base(bases.small())
        return self._cached(other, context, "--cache-from", name)

    def _cached(self, folder: Path, context: Path, *options: str) -> Command:
        build = self.build(context, "cached").words
        *words, last = build[len(self._words(folder)) :]
        return self._command(folder, *words, "--tls-verify=false", *options, last)

    def close(self) -> None:
        """Unmount what the storage library keeps mounted, and what a failed build left."""
        for line in reversed(mounts_below(self.folder)):
            subprocess.run(["umount", line.split()[4]], check=False, capture_output=True)

    def _run(self, *arguments: str) -> str:
        words = [*self._words(self.folder), *arguments]
        result = subprocess.run(words, check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        return result.stdout.strip()

    def _words(self, folder: Path) -> list[str]:
        return ["buildah", "--root", f"{folder}/root", "--runroot", f"{folder}/run", "--storage-driver", "overlay"]

    def _command(self, folder: Path, *arguments: str) -> Command:
        return Command(words=[*self._words(folder), *arguments], environment=os.environ)


@dataclass(slots=True, kw_only=True)
class Skopeo:
    """Copies what pybuild has in its store, which is an OCI layout, and back into another layout."""

    folder: Path
    name: str = "skopeo"

    def version(self) -> str:
        return subprocess.run(["skopeo", "--version"], check=True, capture_output=True, text=True).stdout.strip()

    def push(self, tag: str, name: str) -> Command:
        source = f"oci:{self.folder}/pybuild/store:docker.io/library/{tag}:latest"
        return self._copy("--dest-tls-verify=false", source, f"docker://{name}")

    def pull(self, name: str) -> Command:
        shutil.rmtree(self.folder / "copied", ignore_errors=True)
        return self._copy("--src-tls-verify=false", f"docker://{name}", f"oci:{self.folder}/copied:it")

    def _copy(self, *arguments: str) -> Command:
        return Command(words=["skopeo", "--insecure-policy", "copy", "--quiet", *arguments], environment=os.environ)


@contextmanager
def present_builders(folder: Path, without: frozenset[str]) -> Iterator[tuple[Path, list[Builder | Skopeo]]]:
    """A folder that all builders can read, and those that this host has; each knows the base ``small``."""
    with ExitStack() as stack:
        found: list[Builder | Skopeo] = []
        shared = folder
        if "docker" not in without and (peer := _docker(folder, stack)) is not None:
            peer.import_tar(bases.small(), "small")
            shared = peer.folder
            found.append(DockerBuilder(peer=peer))
        if "buildah" not in without and shutil.which("buildah") is not None:
            buildah = Buildah(folder=folder / "buildah")
            stack.callback(buildah.close)
            buildah.bring_base(bases.small())
            found.append(buildah)
        if "pybuild" not in without:
            pybuild = Pybuild(folder=folder / "pybuild")
            pybuild.bring_base(bases.small())
            found.append(pybuild)
            if "skopeo" not in without and shutil.which("skopeo") is not None:
                found.append(Skopeo(folder=folder))
        yield shared, found


def _docker(folder: Path, stack: ExitStack) -> peers.Docker | None:
    """The host's daemon, else one of our own where that can be had."""
    installed = peers.installed_docker(folder)
    if installed is not None:
        return installed
    if os.geteuid() != 0 or shutil.which("mmdebstrap") is None:
        return None
    return stack.enter_context(peers.docker(folder / "docker"))
