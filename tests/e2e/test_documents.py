"""What README and demo tell people to do works."""

import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.program import Program
from tests.helpers.registry import FakeRegistry

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
DEMO = ROOT / "testdata" / "hello" / "demo.sh"


@pytest.fixture
def shims(tmp_path: Path) -> Path:
    """The program that the examples call: ours as it stands here."""
    directory = tmp_path / "bin"
    directory.mkdir()
    program = directory / "pybuild"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m pybuild "$@"\n')
    program.chmod(stat.S_IRWXU)
    return directory


def _example(language: str, word: str) -> str:
    """The first block of README in *language* that has *word* in it."""
    blocks = re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)
    return next(block for block in blocks if word in block)


def _run(command: list[str], directory: Path, shims: Path, *, place: Path = ROOT) -> str:
    """Run *command* in *place*, the checkout if not said otherwise, with a store below *directory*."""
    result = _ended(command, directory, shims, place=place)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def _ended(command: list[str], directory: Path, shims: Path, *, place: Path) -> subprocess.CompletedProcess[str]:
    program = Program(store=directory / "store")
    environment = {
        **program.environment,
        "PATH": f"{shims}:{os.environ['PATH']}",
        "PYTHONPATH": os.fspath(ROOT / ".src"),
        "TMPDIR": os.fspath(directory),
    }
    return subprocess.run(
        command, cwd=place, env=environment, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )


def test_first_build_of_the_readme_works_as_pasted(tmp_path: Path, shims: Path) -> None:
    text = _example("sh", "pybuild import").replace("/tmp/first", os.fspath(tmp_path / "first"))
    assert "built on Linux" in _run(["sh", "-euc", text], tmp_path, shims)


def test_library_example_of_the_readme_works(tmp_path: Path, shims: Path) -> None:
    shell = _example("sh", "pybuild import").replace("/tmp/first", os.fspath(tmp_path / "first"))
    _run(["sh", "-euc", shell], tmp_path, shims)
    (tmp_path / "Dockerfile").write_text("FROM base\nLABEL made=by-library\n")
    with FakeRegistry() as registry:
        example = [sys.executable, "-c", _example("python", "import pybuild"), ".", f"{registry.name}/first:1"]
        printed = _run(example, tmp_path, shims, place=tmp_path)
        assert re.fullmatch(r"sha256:[0-9a-f]{64}\n", printed)
        assert "/v2/first/manifests/1" in registry.paths("PUT")
        (tmp_path / "Dockerfile").write_text("FROM base\nLABLE made=by-mistake\n")
        wrong = _ended(example, tmp_path, shims, place=tmp_path)
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert "Dockerfile:2:1: unknown instruction" in wrong.stderr


def test_library_example_of_the_readme_passes_the_strictest_type_check(tmp_path: Path) -> None:
    example, wrong = tmp_path / "example.py", tmp_path / "wrong.py"
    example.write_text(_example("python", "import pybuild"))
    # That it passes says something only if what a program may not do fails.
    wrong.write_text('import pybuild\npybuild.Request.of(context=".", tag=("x",))\npybuild.list("x")\n')
    options = ["--strict", "--config-file=", f"--cache-dir={tmp_path / 'cache'}"]
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", *options, example, wrong],
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
    )
    *found, summary = checked.stdout.splitlines()
    assert [line.partition(": error")[0] for line in found if ": error" in line] == ["wrong.py:2", "wrong.py:3"]
    assert summary == "Found 2 errors in 1 file (checked 2 source files)"


def test_demo_builds_and_runs_its_image(tmp_path: Path, shims: Path) -> None:
    printed = _run(["sh", os.fspath(DEMO), os.fspath(shims / "pybuild")], tmp_path, shims)
    assert "Hello, world." in printed
    assert "Hello, reader." in printed
    assert printed.count("RUN sed") == 3
    assert list(tmp_path.glob("tmp.*")) == [], "the demo left its store"


def test_files_that_the_readme_points_to_exist() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
