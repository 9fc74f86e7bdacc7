"""The builders that are compared, as makers of commands: pybuild, and those that are programs like it."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tests.benchmarks.measure import Command
from tests.helpers import bases
from tests.helpers.leftovers import mounts_below
from tests.helpers.program import Program, build_arguments


class Builder(Protocol):
    """What the table needs of a builder. Images are called by plain names."""

    @property
    def name(self) -> str:
        """The head of its column."""

    def version(self) -> str:
        """What it says of itself, in one line."""

    def forget(self) -> None:
        """Drop what earlier builds have cached, and no image that has a name."""

    def build(self, context: Path, tag: str) -> Command:
        """The command that builds *context*."""

    def build_on(self, base: str, context: Path, tag: str) -> Command:
        """The command that builds *context* where nothing of its *base* is left; the removal is done by this call."""

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

    directory: Path
    name: str = "pybuild"

    @property
    def _program(self) -> Program:
        return Program(store=self.directory / "store")

    def version(self) -> str:
        return self._program.run("version").stdout.splitlines()[0]

    def bring_base(self, tar: Path) -> None:
        self._program.import_tar(tar, "small")

    def forget(self) -> None:
        self._program.run("prune", "--all", "--force", "--build-cache")
        # The others keep the base unpacked, as a layer of an image that has a name.
        self._program.run("run", "--rm", "small", "true")

    def build(self, context: Path, tag: str) -> Command:
        return self._command(*build_arguments(context, tag=tag))

    def build_on(self, base: str, context: Path, tag: str) -> Command:
        shutil.rmtree(self.directory / "other", ignore_errors=True)
        other = Program(store=self.directory / "other")
        return Command(words=other.command(*build_arguments(context, tag=tag)), environment=other.environment)

    def save(self, tag: str, archive: Path) -> Command:
        return self._command("save", "-o", os.fspath(archive), tag)

    def load(self, archive: Path, tag: str) -> Command:
        shutil.rmtree(self.directory / "other", ignore_errors=True)
        other = Program(store=self.directory / "other")
        words = other.command("load", "-i", os.fspath(archive))
        return Command(words=words, environment=other.environment)

    def push(self, tag: str, name: str) -> Command:
        self._program.run("tag", tag, name)
        return self._command("push", name)

    def pull(self, name: str) -> Command:
        shutil.rmtree(self.directory / "other", ignore_errors=True)
        other = Program(store=self.directory / "other")
        return Command(words=other.command("pull", name), environment=other.environment)

    def export_cache(self, context: Path, name: str) -> Sequence[Command]:
        return (self._command(*build_arguments(context, (f"--cache-to=type=registry,ref={name}",), "cached")),)

    def import_cache(self, context: Path, name: str) -> Command:
        shutil.rmtree(self.directory / "other", ignore_errors=True)
        other = Program(store=self.directory / "other")
        other.import_tar(bases.small(), "small")
        words = other.command(*build_arguments(context, ("--cache-from", name), "cached"))
        return Command(words=words, environment=other.environment)

    def _command(self, *arguments: str) -> Command:
        return Command(words=self._program.command(*arguments), environment=self._program.environment)


@dataclass(slots=True, kw_only=True)
class Buildah:
    """Buildah with layers, its cache, as Docker and pybuild have it always."""

    directory: Path
    name: str = "buildah"

    def version(self) -> str:
        return subprocess.run(["buildah", "--version"], check=True, capture_output=True, text=True).stdout.strip()

    def bring_base(self, tar: Path) -> None:
        container = self._run("from", "scratch")
        self._run("add", container, os.fspath(tar), "/")
        self._run("commit", "--rm", container, "small")

    def forget(self) -> None:
        subprocess.run([*self._words(self.directory), "rmi", "--prune", "--force"], check=True, capture_output=True)

    def build(self, context: Path, tag: str) -> Command:
        return self._build(self.directory, context, tag)

    def build_on(self, base: str, context: Path, tag: str) -> Command:
        return self._build(self._emptied("other"), context, tag, "--tls-verify=false")

    def _build(self, directory: Path, context: Path, tag: str, *more: str) -> Command:
        # crun 1.8 refuses hosts that have cgroups of both versions.
        runtime = "runc" if shutil.which("runc") else "crun"
        options = ["--layers", "--network=host", "--runtime", runtime, *more]
        return self._command(directory, "build", *options, "-t", tag, os.fspath(context))

    def _emptied(self, name: str) -> Path:
        """Return another root of its storage, in which there are no images."""
        other = self.directory / name
        if other.exists():
            subprocess.run([*self._words(other), "rmi", "--all", "--force"], check=True, capture_output=True)
        return other

    def save(self, tag: str, archive: Path) -> Command:
        return self._command(self.directory, "push", "--quiet", tag, f"docker-archive:{archive}:{tag}:latest")

    def load(self, archive: Path, tag: str) -> Command:
        return self._command(self._emptied("other"), "pull", "--quiet", f"docker-archive:{archive}")

    def push(self, tag: str, name: str) -> Command:
        return self._command(self.directory, "push", "--quiet", "--tls-verify=false", tag, f"docker://{name}")

    def pull(self, name: str) -> Command:
        return self._command(self._emptied("other"), "pull", "--quiet", "--tls-verify=false", f"docker://{name}")

    def export_cache(self, context: Path, name: str) -> Sequence[Command]:
        return (self._cached(self.directory, context, "--cache-to", name),)

    def import_cache(self, context: Path, name: str) -> Command:
        other = self._emptied("cached")
        Buildah(directory=other).bring_base(bases.small())
        return self._cached(other, context, "--cache-from", name)

    def _cached(self, directory: Path, context: Path, *options: str) -> Command:
        build = self.build(context, "cached").words
        *words, last = build[len(self._words(directory)) :]
        return self._command(directory, *words, "--tls-verify=false", *options, last)

    def close(self) -> None:
        """Unmount what the storage library keeps mounted, and what a failed build left."""
        for line in reversed(mounts_below(self.directory)):
            subprocess.run(["umount", line.split()[4]], check=False, capture_output=True)

    def _run(self, *arguments: str) -> str:
        words = [*self._words(self.directory), *arguments]
        result = subprocess.run(words, check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        return result.stdout.strip()

    def _words(self, directory: Path) -> list[str]:
        return [
            "buildah",
            "--root",
            f"{directory}/root",
            "--runroot",
            f"{directory}/run",
            "--storage-driver",
            "overlay",
        ]

    def _command(self, directory: Path, *arguments: str) -> Command:
        return Command(words=[*self._words(directory), *arguments], environment=os.environ)


@dataclass(slots=True, kw_only=True)
class Skopeo:
    """Copies what pybuild has in its store, which is an OCI layout, and back into another layout."""

    directory: Path
    name: str = "skopeo"

    def version(self) -> str:
        return subprocess.run(["skopeo", "--version"], check=True, capture_output=True, text=True).stdout.strip()

    def push(self, tag: str, name: str) -> Command:
        source = f"oci:{self.directory}/pybuild/store:docker.io/library/{tag}:latest"
        return self._copy("--dest-tls-verify=false", source, f"docker://{name}")

    def pull(self, name: str) -> Command:
        shutil.rmtree(self.directory / "copied", ignore_errors=True)
        return self._copy("--src-tls-verify=false", f"docker://{name}", f"oci:{self.directory}/copied:it")

    def _copy(self, *arguments: str) -> Command:
        return Command(words=["skopeo", "--insecure-policy", "copy", "--quiet", *arguments], environment=os.environ)


AnyBuilder = Builder | Skopeo
