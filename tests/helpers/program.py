"""pybuild as its users meet it: a program with arguments, an exit code and printed steps."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

_LINE = re.compile(r"#(?P<number>\d+) (?P<rest>.*)")
_ENDS = re.compile(r"(?P<end>CACHED|DONE|ERROR|CANCELED)\b.*")
_STEP = re.compile(r"\[(?:[^\]]+ )?\d+/\d+\] ")
_PATIENCE = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A step as ``--progress plain`` shows it; *end* is CACHED, DONE, ERROR, CANCELED or nothing."""

    name: str
    end: str
    output: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """How a build went."""

    exit_code: int
    printed: str
    """Standard error: steps and failures."""
    steps: tuple[Step, ...]

    @property
    def executed(self) -> list[str]:
        """Instructions that ran, in order of their first mention; bases do not count."""
        return [step.name for step in self._instructions() if step.end == "DONE"]

    @property
    def cached(self) -> list[str]:
        """Instructions that the cache answered."""
        return [step.name for step in self._instructions() if step.end == "CACHED"]

    def _instructions(self) -> list[Step]:
        return [
            step for step in self.steps if _STEP.match(step.name) and not _STEP.sub("", step.name).startswith("FROM")
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """The command line of pybuild on one store."""

    store: Path
    variables: tuple[tuple[str, str], ...] = ()
    """Environment variables beside the usual ones."""

    def command(self, *arguments: str) -> list[str]:
        """The words that start it."""
        return [sys.executable, "-m", "pybuild", *arguments]

    @property
    def environment(self) -> Mapping[str, str]:
        """A small environment that names the store and nothing of the session that runs the tests."""
        # PYTHONPATH: the copy that a mutant is made in.
        names = ("PATH", "HOME", "TMPDIR", "PYTHONPATH")
        kept = {name: os.environ[name] for name in names if name in os.environ}
        return {
            **kept,
            "PYBUILD_ROOT": os.fspath(self.store),
            "NO_COLOR": "1",
            "PYBUILD_NETWORK": "host",
            **dict(self.variables),
        }

    def run(
        self, *arguments: str, stdin: int | IO[Any] | None = subprocess.DEVNULL, check: bool = True
    ) -> "subprocess.CompletedProcess[str]":
        """Run to the end, output captured.

        Raises:
            AssertionError: *check* and it failed; what it printed is in the message.
        """
        result = subprocess.run(
            self.command(*arguments),
            env=self.environment,
            stdin=stdin,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PATIENCE,
            check=False,
        )
        if check:
            assert result.returncode == 0, f"pybuild {' '.join(arguments)}: exit {result.returncode}\n{result.stderr}"
        return result

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start it and return at once; standard error is a pipe."""
        return subprocess.Popen(
            self.command(*arguments),
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )

    def remove_containers(self) -> None:
        """Remove all containers of the store, with their anonymous volumes."""
        if left := self.run("ps", "-aq").stdout.split():
            self.run("rm", "-fv", *left)

    def import_tar(self, tar: Path, name: str) -> None:
        """Make an image of one layer out of *tar*."""
        self.run("import", os.fspath(tar), name)

    def save(self, name: str, archive: Path) -> Path:
        """Write the image as an archive to *archive*."""
        self.run("save", "-o", os.fspath(archive), name)
        return archive

    def build(self, context: Path, *options: str, tag: str = "built", check: bool = True) -> Built:
        """Build *context* as *tag*."""
        result = self.run(*build_arguments(context, options, tag), check=check)
        return built(result.returncode, result.stderr)


def build_arguments(context: Path, options: Sequence[str] = (), tag: str = "built") -> list[str]:
    """The words of a build with readable steps."""
    return ["build", "--network=host", "--progress=plain", *options, "-t", tag, os.fspath(context)]


def built(exit_code: int, printed: str) -> Built:
    """What a finished build printed, as a value."""
    names: dict[int, str] = {}
    ends: dict[int, str] = {}
    output: dict[int, list[str]] = {}
    for line in printed.splitlines():
        found = _LINE.fullmatch(line)
        if found is None:
            continue
        number, rest = int(found["number"]), found["rest"]
        if number not in names:
            names[number] = rest
        elif end := _ENDS.fullmatch(rest):
            ends[number] = end["end"]
        else:
            output.setdefault(number, []).append(rest)
    steps = tuple(
        Step(name=name, end=ends.get(number, ""), output="\n".join(output.get(number, ())))
        for number, name in names.items()
    )
    return Built(exit_code=exit_code, printed=printed, steps=steps)
