"""Values of a build take short paths: limits that may be lowered, and raised only with a reason.

`python -m tests.contracts.paths` prints the modules that are counted here.
"""

import shlex
import subprocess
import sys

import pytest

from pybuild.builder.request import Request, Target
from tests.contracts.paths import Trace, profiled, traces
from tests.contracts.structure import REPOSITORY

LIMITS = {"context path": (8, 0), "text of the Dockerfile": (13, 3), "layer": (18, 10)}
"""The number of modules that receive each value, and of its steps back up."""


@pytest.fixture(scope="module")
def found() -> dict[str, Trace]:
    return traces()


@pytest.mark.parametrize("name", LIMITS)
def test_no_path_is_longer_than_its_limit(name: str, found: dict[str, Trace]) -> None:
    modules, steps_up = LIMITS[name]
    trace = found[name]
    assert len(trace.modules) <= modules, list(trace.modules)
    assert len(trace.steps_up) <= steps_up, list(trace.steps_up)


def test_a_path_has_the_modules_that_receive_the_value(found: dict[str, Trace]) -> None:
    assert "builder.definition.load" in found["context path"].modules
    assert "grammar.dockerfile.lines" in found["text of the Dockerfile"].modules
    assert "builder.image.assemble" in found["layer"].modules
    assert ("builder.execute.ops", "builder.solve.executing") in found["layer"].steps_up


def test_a_value_is_followed_inside_of_other_values() -> None:
    trace = Trace(lambda item: item == "app")
    for item in (
        "app",
        ("app",),
        [["app"]],
        {"name": "app"},
        ValueError("app"),
        Target(stage="app"),
        (Target(stage="app"), 1),
    ):
        assert trace.is_in(item)
    for item in ("other", ("other",), {"app": "other"}, Target(stage="other"), object(), None):
        assert not trace.is_in(item)


def test_calls_of_other_code_are_not_counted() -> None:
    trace = Trace(lambda item: item == "app")
    with profiled((trace,)):
        repr(["app"]), Trace(bool), Request.of(context="app")
    assert list(trace.modules) == ["builder.request", "builder.request.checks"]
    assert not trace.steps_up


@pytest.mark.parametrize("program", ["paths", "structure"])
def test_a_reader_of_the_figures_may_stop_early(program: str) -> None:
    command = f"{shlex.quote(sys.executable)} -m tests.contracts.{program} | true"
    done = subprocess.run(command, shell=True, cwd=REPOSITORY, capture_output=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
