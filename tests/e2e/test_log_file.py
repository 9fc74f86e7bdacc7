"""The log file of a build has all that its steps printed."""

from pathlib import Path

from tests.helpers.contexts import write_context
from tests.helpers.program import Program, built

LINES = 400_000
"""More than the two megabytes after which BuildKit stops listening."""


def test_nothing_is_clipped_in_the_log_file_whatever_is_shown(program: Program, tmp_path: Path) -> None:
    context = write_context(tmp_path / "context", {"Dockerfile": f"FROM small\nRUN seq 1 {LINES}\nRUN exit 4\n"})
    log = tmp_path / "log"
    result = program.run("build", "--progress=quiet", f"--log-file={log}", str(context), check=False)
    assert result.returncode == 1
    text = log.read_text()
    (step,) = (step for step in built(1, text).steps if "seq" in step.name)
    numbers = [line.split()[-1] for line in step.output.splitlines()]
    assert (len(numbers), numbers[0], numbers[-1]) == (LINES, "1", str(LINES))
    assert text.endswith(result.stderr)
    assert "exit code: 4" in result.stderr


def test_the_plain_log_is_whole_as_well(program: Program, tmp_path: Path) -> None:
    context = write_context(tmp_path / "context", {"Dockerfile": f"FROM small\nRUN seq 1 {LINES}\n"})
    (step,) = (step for step in program.build(context).steps if "seq" in step.name)
    assert step.output.count("\n") == LINES - 1


def test_a_log_file_that_cannot_be_written_ends_the_build_before_it_begins(program: Program, tmp_path: Path) -> None:
    context = write_context(tmp_path / "context", {"Dockerfile": "FROM small\n"})
    result = program.run("build", f"--log-file={tmp_path / 'none' / 'log'}", str(context), check=False)
    assert (result.returncode, result.stderr) == (3, f"ERROR: {tmp_path / 'none' / 'log'}: no such file or directory\n")
