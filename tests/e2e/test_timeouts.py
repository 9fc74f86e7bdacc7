"""--timeout and --step-timeout: what they end, what they leave, and what does not count."""

import os
import threading
import time
from pathlib import Path

import pytest

import pybuild
from pybuild import errors
from pybuild.builder.oci.validate import validate_store
from tests.helpers.contexts import write_context
from tests.helpers.leftovers import mounts_below, wait_until_no_process
from tests.helpers.program import Program, build_arguments, built

UNTIL = "while ! test -e /flag/go; do sleep 0.1; done"
TREE = "sleep 300 & setsid sleep 300 & trap '' TERM; echo before; wait"


def _context(directory: Path, *instructions: str) -> Path:
    return write_context(directory, {"Dockerfile": "\n".join(("FROM small", *instructions, ""))})


def _marked(directory: Path, command: str) -> str:
    """The command, whose processes can be told from those of other tests."""
    return f"export MARK={directory}; {command}"


def _check_nothing_is_left(program: Program, mark: Path) -> None:
    assert wait_until_no_process(str(mark)) == []
    assert mounts_below(program.store) == []
    assert os.listdir(program.store / "tmp") == []
    assert validate_store(program.store) == []


def test_a_build_ends_when_its_time_is_over_and_goes_on_later(program: Program, tmp_path: Path) -> None:
    step = f"RUN {_marked(tmp_path, UNTIL)}"
    context = _context(tmp_path / "context", "RUN echo first", step)
    (flag := tmp_path / "flag").mkdir()
    ended = program.build(context, "--timeout=15s", f"--volume={flag}:/flag", check=False)
    assert ended.exit_code == 1
    says = f"ERROR: the build took longer than 15s (--timeout) while this step was running: [3/3] {step}"
    assert ended.printed.splitlines()[-1] == says
    assert [step.end for step in ended.steps if "[3/3]" in step.name] == ["CANCELED"]
    _check_nothing_is_left(program, tmp_path)
    (flag / "go").touch()
    again = program.build(context, "--timeout=1h", "--step-timeout=1h", f"--volume={flag}:/flag")
    assert (again.cached, again.executed) == (["[2/3] RUN echo first"], [f"[3/3] {step}"])
    assert len(program.build(context).cached) == 2


def test_a_step_that_takes_too_long_is_killed_with_all_its_processes(program: Program, tmp_path: Path) -> None:
    step = f"RUN {_marked(tmp_path, TREE)}"
    context = _context(tmp_path / "context", "RUN sleep 0.1", step)
    start = time.monotonic()
    ended = program.build(context, "--step-timeout=4s500ms", check=False)
    assert time.monotonic() - start < 60
    assert ended.exit_code == 1
    lines = ended.printed.splitlines()
    assert "Dockerfile:3" in lines
    assert f"   3 | >>> {step}" in lines
    assert lines[-1] == "ERROR: failed to build: failed to solve: the step took longer than 4.5s (--step-timeout)"
    assert any(line.endswith(" before") for line in lines)
    _check_nothing_is_left(program, tmp_path)


def test_waiting_for_the_same_step_of_another_build_does_not_count(program: Program, tmp_path: Path) -> None:
    (flag := tmp_path / "flag").mkdir()
    context = _context(tmp_path / "context", f"RUN touch /flag/began && {UNTIL}")
    first = program.start(*build_arguments(context, [f"--volume={flag}:/flag"]))
    while not (flag / "began").exists():
        time.sleep(0.05)
    second = program.start(*build_arguments(context, [f"--volume={flag}:/flag", "--step-timeout=3s"]))
    assert second.stderr is not None
    lines = []
    while "waiting for another build" not in (line := second.stderr.readline()):
        assert line, lines
        lines.append(line)
    time.sleep(3.5)
    (flag / "go").touch()
    first.communicate()
    assert first.returncode == 0
    rest = second.communicate()[1]
    assert second.returncode == 0, rest
    assert len(built(0, "".join(lines) + rest).cached) == 1


@pytest.mark.parametrize("question", [(), ("--check",), ("--call=targets",)])
def test_the_time_of_a_context_that_does_not_come_counts(program: Program, question: tuple[str, ...]) -> None:
    reader, writer = os.pipe()
    try:
        ended = program.run("build", *question, "--timeout=500ms", "-", stdin=reader, check=False)
    finally:
        os.close(reader)
        os.close(writer)
    assert (ended.returncode, ended.stderr) == (1, "ERROR: the build took longer than 500ms (--timeout)\n")


@pytest.mark.parametrize("flag", ["--timeout", "--step-timeout"])
def test_a_time_of_nothing_is_refused(program: Program, tmp_path: Path, flag: str) -> None:
    for text in ("0s", "10", "-1m"):
        ended = program.run("build", f"{flag}={text}", str(tmp_path), check=False)
        assert (ended.returncode, flag in ended.stderr) == (2, True), ended.stderr


def test_a_program_that_embeds_builds_gets_the_steps_that_ran(program: Program, tmp_path: Path) -> None:
    context = _context(tmp_path / "context", "RUN sleep 300")
    caught: list[BaseException] = []

    def build() -> None:
        with pybuild.Store.open(program.store) as store:
            try:
                pybuild.build(pybuild.Request.of(context=context, timeout=8, network="host"), store)
            except errors.TimedOut as error:
                caught.append(error)

    thread = threading.Thread(target=build)
    thread.start()
    thread.join(60)
    assert [error.steps for error in caught if isinstance(error, errors.TimedOut)] == [("[2/2] RUN sleep 300",)]
    assert os.listdir(program.store / "tmp") == []
