"""The builders that are a Docker daemon: with each store of images, and BuildKit alone.

*docker* is the default of Docker 28 on a new installation of Debian. *containerd* has the image store of containerd, the
default of Docker 29. *buildkit* is the daemon of *docker* with a result that stays in the cache of BuildKit, its best
case: no layer is compressed or exported, and there is no image.
"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.measure import Command
from tests.helpers import peers


@dataclass(slots=True, kw_only=True)
class DockerBuilder:
    """``docker build``: what its users wait for."""

    peer: peers.Docker
    name: str = "docker"

    def version(self) -> str:
        return f"{self.name}: Docker {self.peer.command('version', '--format', '{{.Server.Version}}').stdout.strip()}"

    def forget(self) -> None:
        self.peer.command("builder", "prune", "--all", "--force")

    def build(self, context: Path, tag: str) -> Command:
        return self._command(*self.peer.build_words(context, context / "Dockerfile", tag))

    def build_on(self, base: str, context: Path, tag: str) -> Command:
        # What was built on it holds the layers, also for BuildKit, which shares the daemon.
        self.peer.command("rmi", "--force", base, tag)
        self.forget()
        return self.build(context, tag)

    def save(self, tag: str, archive: Path) -> Command:
        return self._command("save", tag, output=archive)

    def load(self, archive: Path, tag: str) -> Command:
        self.peer.command("rmi", "--force", tag)
        self.forget()
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
        self.forget()
        return self._command("pull", name)

    def export_cache(self, context: Path, name: str) -> Sequence[Command]:
        # Without containerd's image store, this is the one kind of cache that it writes.
        options = ("--build-arg=BUILDKIT_INLINE_CACHE=1",)
        words = self.peer.build_words(context, context / "Dockerfile", name, options)
        return self._command(*words), self._command("push", name)

    def import_cache(self, context: Path, name: str) -> Command:
        self.peer.command("rmi", "--force", name)
        self.forget()
        options = ("--cache-from", name, "--build-arg=BUILDKIT_INLINE_CACHE=1")
        return self._command(*self.peer.build_words(context, context / "Dockerfile", name, options))

    def _command(self, *arguments: str, source: Path | None = None, output: Path | None = None) -> Command:
        words = [*self.peer.client, *arguments]
        return Command(words=words, environment=os.environ, source=source, output=output, daemon=self.peer.pid)


@dataclass(slots=True, kw_only=True)
class BuildKit:
    """BuildKit, whose result is its cache."""

    peer: peers.Docker
    name: str = "buildkit"

    def version(self) -> str:
        found = re.search(r"BuildKit version:\s+(\S+)", self.peer.command("buildx", "inspect").stdout)
        return f"{self.name}: BuildKit {found[1] if found else 'unknown'}, cache only"

    def forget(self) -> None:
        self.peer.command("builder", "prune", "--all", "--force")

    def build(self, context: Path, tag: str) -> Command:
        words = self.peer.build_words(context, context / "Dockerfile", tag, ("--output=type=cacheonly",))
        return Command(words=[*self.peer.client, "buildx", *words], environment=os.environ, daemon=self.peer.pid)

    def build_on(self, base: str, context: Path, tag: str) -> Command:
        # What was built on it holds the layers, also for BuildKit, which shares the daemon.
        self.peer.command("rmi", "--force", base, tag)
        self.forget()
        return self.build(context, tag)
