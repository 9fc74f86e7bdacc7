"""The directories of testdata/builds as values, and their contexts as git cannot keep them.

A case is a directory with a Dockerfile, a ``context/`` and an ``expect.toml``:

    about = "one sentence: the rule"
    options = ["--build-arg", "A=1"]      further words for the build command; {directory} is where the case stands
    dockerfile = "context/Dockerfile"     when it is not the one beside expect.toml
    bases = ["python-app-base"]           cases built first; each is then an image of its name
    base = "bookworm"                     the root file system it starts from; "small" if not said, or "scratch"
    prepare = "chmod 4755 tool"           shell text that finishes the context: modes, links, devices
    output = ["text"]                     what the build must print
    fails = "text"                        the build fails, and says this
    docker = "reason"                     why Docker is not asked
    run = ["word"]                        a container of it, started with these words,
    prints = "text"                       prints this
    [config]                              the settings of the image config, as `configs.settings` gives them
    [tree]                                all that is not as in the base: "path" = a line of `trees.lines`, which may
                                          stop after the owner, or "absent". On a Debian base: some of it.
"""

import os
import shutil
import subprocess
import time
import tomllib
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.bases import EPOCH
from tests.helpers.thorough import long

_YEAR = 365 * 24 * 3600
BUILDS = Path(__file__).parents[2] / "testdata" / "builds"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One directory of testdata/builds."""

    name: str
    directory: Path
    about: str
    dockerfile: str = "Dockerfile"
    options: tuple[str, ...] = ()
    bases: tuple[str, ...] = ()
    base: str = "small"
    prepare: str = ""
    output: tuple[str, ...] = ()
    fails: str = ""
    docker: str = ""
    run: tuple[str, ...] = ()
    prints: str = ""
    config: Mapping[str, Any]
    tree: Mapping[str, str]

    def options_in(self, directory: Path) -> tuple[str, ...]:
        """The further words for the build command, when the case stands in *directory*."""
        return tuple(option.replace("{directory}", os.fspath(directory)) for option in self.options)

    def copy_to(self, directory: Path) -> Path:
        """Make the case in *directory*, contexts finished; return the path of its Dockerfile.

        Modes follow the executable bit alone and times are old, whatever git or the user's umask did. Each case has
        a time of its own: Docker does not read a file again that has the path, size and time of an earlier build.
        """
        shutil.copytree(self.directory, directory, symlinks=True)
        context = directory / "context"
        context.mkdir(exist_ok=True)
        for path in (context, *context.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
                os.utime(path)
        subprocess.run(["sh", "-euc", self.prepare], cwd=context, check=True, umask=0o022)
        _age(context, EPOCH + zlib.crc32(self.name.encode()) % _YEAR)
        return directory / self.dockerfile


def load(name: str) -> Case:
    """Read the case called *name*; a key that this module does not know is a mistake."""
    directory = BUILDS / name
    content = tomllib.loads((directory / "expect.toml").read_text())
    lists: dict[str, Any] = {
        key: tuple(content.pop(key)) for key in ("options", "bases", "output", "run") if key in content
    }
    tables: dict[str, Any] = {"config": content.pop("config", {}), "tree": content.pop("tree", {})}
    return Case(name=name, directory=directory, **content, **lists, **tables)


def names() -> list[str]:
    """All cases, in order."""
    return sorted(path.parent.name for path in BUILDS.glob("*/expect.toml"))


INSTALLING = ("c-program", "python-app", "python-app-base", "web-site")
"""They install packages of Debian, half a minute of processor time and more for each."""


def parameters(names: Iterable[str]) -> list[Any]:
    """Return parameters for ``parametrize``, those of `INSTALLING` marked long, with the case that they build on."""
    return [
        pytest.param(name, marks=long((*load(name).bases, name)[0])) if name in INSTALLING else name for name in names
    ]


WITH_DEBIAN, SMALL = "cases on Debian", "small cases"
"""The groups of cases, for two processes of a run to share the work. A Debian takes seconds to import, into Docker as well."""


@cache
def group(name: str) -> str:
    """The group of a case, which is that of the case it builds on. Where *name* is no case, it is `SMALL`."""
    if not (BUILDS / name / "expect.toml").is_file():
        return SMALL
    case = load(name)
    if case.bases:
        return group(case.bases[0])
    return WITH_DEBIAN if case.base == "bookworm" else SMALL


def _age(context: Path, moment: int) -> None:
    """Give everything younger than an hour the time *moment*, directories after what they hold."""
    recent = time.time() - 3600
    for path in sorted((context, *context.rglob("*")), reverse=True):
        if path.lstat().st_mtime > recent:
            os.utime(path, (moment, moment), follow_symlinks=False)
