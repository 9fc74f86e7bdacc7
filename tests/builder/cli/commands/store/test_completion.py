"""Completion in real shells: what a user sees who types a line and presses the tabulator."""

import os
import pty
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.builder.cli.conftest import Shop

_START = {
    "bash": ["bash", "--norc", "--noprofile", "-i"],
    "zsh": ["zsh", "-f", "-i"],
}
_PREPARE = {
    "bash": "bind 'set completion-query-items -1'; bind 'set page-completions off'; source <(pybuild completion bash)",
    "zsh": "autoload -U compinit; compinit -u -D; source <(pybuild completion zsh)",
}
_PATIENCE = 60
_LINES = (
    ("pybuild bui", "build"),
    ("pybuild build con", "contexts/"),
    ("pybuild -t x con", "contexts/"),
    ("pybuild build -f Docker.s", "Docker.slow"),
    ("pybuild tag ti", "tiny:1"),
    ("pybuild tag other:la", "other:latest"),
    ("pybuild build --target com", "compiled"),
    ("pybuild build -f Docker.slow --target sec", "second"),
    ("pybuild build contexts/inner --target nes", "nested"),
    ("pybuild -t x contexts/inner --target nes", "nested"),
    ("pybuild images --no-tr", "--no-trunc"),
    ("pybuild image hist", "history"),
)
"""What is typed, and what is shown of it when it is completed: more than was typed."""


@pytest.fixture
def home(shop: Shop, tmp_path: Path) -> Path:
    shop.image("tiny:1", "other:latest")
    directory = tmp_path / "home"
    (directory / "contexts" / "inner").mkdir(parents=True)
    (directory / "contexts" / "inner" / "Dockerfile").write_text("FROM scratch AS nested\n")
    (directory / "Docker.slow").write_text("FROM scratch AS first\nFROM first AS second\n")
    (directory / "Dockerfile").write_text("FROM scratch AS compiled\nfrom scratch as final\n")
    program = tmp_path / "bin" / "pybuild"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nPYTHONPATH={os.getcwd()}/.src exec {sys.executable} -m pybuild "$@"\n')
    program.chmod(0o755)
    return directory


def environment(home: Path, shop: Shop) -> dict[str, str]:
    path = f"{home.parent / 'bin'}:{os.environ['PATH']}"
    root = os.fspath(shop.store.root)
    return {"PATH": path, "HOME": os.fspath(home), "PYBUILD_ROOT": root, "TERM": "dumb", "LC_ALL": "C.UTF-8"}


class Typist:
    """A shell on a terminal, and what it shows of what is typed."""

    def __init__(self, shell: str, home: Path, env: dict[str, str]) -> None:
        self._pid, self._terminal = pty.fork()
        if self._pid == 0:
            os.chdir(home)
            os.execvpe(_START[shell][0], _START[shell], env)
        os.write(self._terminal, f"{_PREPARE[shell]}; PS1=; echo rea''dy\n".encode())
        assert "ready\r\n" in self.until("ready\r\n")

    def until(self, mark: str) -> str:
        """Read until *mark* was shown, or the patience has an end, and return all of it."""
        text, begun = "", time.monotonic()
        while mark not in text and time.monotonic() - begun < _PATIENCE:
            if select.select([self._terminal], [], [], 1)[0]:
                text += os.read(self._terminal, 4096).decode(errors="replace")
        return text

    def completed(self, line: str, expected: str) -> str:
        """Type *line* and two tabulators on an empty line, and return what is shown until *expected* is."""
        os.write(self._terminal, b"\x15" + f"{line}\t\t".encode())
        return self.until(expected)

    def close(self) -> None:
        """Hang up."""
        os.close(self._terminal)
        os.waitpid(self._pid, 0)


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_a_shell_completes_the_line(shell: str, home: Path, shop: Shop) -> None:
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    typist = Typist(shell, home, environment(home, shop))
    try:
        for line, expected in _LINES:
            assert expected in typist.completed(line, expected), line
    finally:
        typist.close()


def test_fish_completes_the_line(home: Path, shop: Shop) -> None:
    if not shutil.which("fish"):
        pytest.skip("fish is not installed")
    asked = "; ".join(f"complete --do-complete '{line}'" for line, _ in _LINES)
    script = f"pybuild completion fish | source; {asked}"
    run = ["fish", "--no-config", "-c", script]
    shown = subprocess.run(run, cwd=home, env=environment(home, shop), check=True, capture_output=True, text=True)
    for line, expected in _LINES:
        assert expected in shown.stdout, line
