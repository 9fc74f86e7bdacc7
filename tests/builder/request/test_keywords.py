"""The keywords of `Request.of`, which type checkers take from the parts of a request."""

import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

from pybuild.builder.request import Request

PROGRAM = """from pybuild.builder.request import Request, changes
reveal_type(Request.of)
reveal_type(Request.of(context=".").changed)
reveal_type(changes)
"""


def test_a_type_checker_knows_the_fields_of_every_part(tmp_path: Path) -> None:
    tmp_path.joinpath("program.py").write_text(PROGRAM)
    options = ["--strict", "--config-file=", f"--cache-dir={tmp_path / 'cache'}"]
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", *options, "program.py"], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    given, changed, free = re.findall(r'Revealed type is "def \((.*)\) ->', checked.stdout)
    every = {each.name for part in fields(Request) for each in fields(part.type)}
    assert _keywords(given) == _keywords(changed) == _keywords(free) == every
    assert "context: pathlib.Path | str," in given
    assert "context: pathlib.Path | str =," in changed
    assert "platforms: tuple[str, ...] =" in changed


def _keywords(signature: str) -> set[str]:
    return set(re.findall(r"(\w+): ", signature))
