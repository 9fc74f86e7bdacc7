"""Contexts: the directories and Dockerfiles that rows are made of. Sizes shrink with `Place.scale`."""

import os
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

TWO_SPANS = "**/target/**/*.o\n**/node_modules/**/test\n**/.venv/**/*.pyc\n**/docs/**/*.tmp\n**/build/**/cache\n"
MEBIBYTE = 1 << 20
GIGABYTE = 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """A registry that runs while the table is made; *name* is "" when there is none."""

    name: str = ""
    storage: Path = Path("/nonexistent")
    sink: str = ""
    """One that keeps nothing (`null_registry`)."""

    def holds(self, name: str) -> bool:
        """Return whether it has a repository called *name*."""
        return (self.storage / "docker/registry/v2/repositories" / name / "_manifests/tags").exists()

    def empty(self) -> None:
        """Forget everything: its files are all that it has."""
        shutil.rmtree(self.storage, ignore_errors=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where contexts are made, and how large."""

    directory: Path
    scale: float
    registry: Registry

    def count(self, number: int) -> int:
        return max(1, int(number * self.scale))

    def context(self, name: str, dockerfile: str, fill: Callable[[Path], None]) -> Path:
        """The context called *name*, made if it is not there yet."""
        path = self.directory / "contexts" / name
        if not path.exists():
            path.mkdir(parents=True)
            (path / "Dockerfile").write_text(dockerfile)
            fill(path)
        return path

    def fresh(self, template: Path, name: str) -> Path:
        """A copy of *template* with new files and one that is like no other."""
        path = self.directory / "contexts" / f"{template.name}-{name}"
        shutil.copytree(template, path, copy_function=shutil.copyfile)
        (path / "nonce").write_text(name)
        return path


def fill_small(count: int, size: int = 100) -> Callable[[Path], None]:
    def fill(path: Path) -> None:
        for number in range(count):
            place = path / f"folder-{number % 50}"
            place.mkdir(exist_ok=True)
            (place / f"file-{number}").write_text(f"{number}\n" * (size // 5))

    return fill


def fill_large(size: int) -> Callable[[Path], None]:
    """Four files; every other piece of them can be compressed."""

    def fill(path: Path) -> None:
        noise = random.Random(1)
        for number in range(4):
            with (path / f"large-{number}").open("wb") as stream:
                for piece in range(max(1, size // 4 // MEBIBYTE)):
                    stream.write(noise.randbytes(MEBIBYTE) if piece % 2 else f"{piece:064}".encode() * (MEBIBYTE // 64))

    return fill


def fill_ignored(count: int) -> Callable[[Path], None]:
    def fill(path: Path) -> None:
        fill_small(count)(path)
        (path / ".dockerignore").write_text(TWO_SPANS)

    return fill


def fill_sparse(size: int) -> Callable[[Path], None]:
    """One file that is a hole but for a page at each end."""

    def fill(path: Path) -> None:
        with (path / "sparse").open("wb") as stream:
            stream.write(b"first" * 800)
            stream.truncate(max(size, MEBIBYTE))
            stream.seek(-4000, os.SEEK_END)
            stream.write(b"last" * 1000)

    return fill
