from pybuild.builder.display.failure import build_failure, excerpt, language_failure, plain_failure, step_failure
from pybuild.builder.errors import ResolveError, StepFailed
from pybuild.grammar.errors import DockerfileError
from pybuild.grammar.source import Source, Span


def test_a_failed_step_is_told_in_the_shape_of_buildkit() -> None:
    error = StepFailed(
        'process "/bin/sh -c x" did not complete successfully: exit code: 1',
        step="[2/3] RUN x",
        lines=(2, 2),
        exit_code=1,
        output=("0.206 oh\x1b[2J no",),
    )
    assert step_failure(error, Source("Dockerfile", "FROM a\nRUN x\n")) == (
        "------\n"
        " > [2/3] RUN x:\n"
        "0.206 oh no\n"
        "------\n"
        "Dockerfile:2\n"
        "--------------------\n"
        "   1 |     FROM a\n"
        "   2 | >>> RUN x\n"
        "   3 |     \n"
        "--------------------\n"
        'ERROR: failed to build: failed to solve: process "/bin/sh -c x" did not complete successfully: exit code: 1\n'
    )


def test_a_step_without_a_place_has_no_excerpt() -> None:
    error = StepFailed("broken", step="exporting", lines=(0, 0), hint="try again")
    assert step_failure(error, Source("Dockerfile", "FROM a\n")) == (
        "------\n > exporting:\n------\nERROR: failed to build: failed to solve: broken\nhint: try again\n"
    )


def test_a_single_line_has_four_lines_around_it_and_a_block_two() -> None:
    source = Source("Dockerfile", "\n".join(f"line {n}" for n in range(1, 20)))
    numbers = [int(line.split("|")[0]) for line in excerpt(source, 10, 10)[2:-1]]
    assert numbers == [8, 9, 10, 11, 12]
    numbers = [int(line.split("|")[0]) for line in excerpt(source, 10, 12)[2:-1]]
    assert numbers == [9, 10, 11, 12, 13]


def test_a_long_line_is_cut_and_still_marked() -> None:
    source = Source("Dockerfile", f"FROM a\nRUN {'x' * 236}\nRUN {'true && ' * 3000}false\n# {'y' * 9000}")
    lines = excerpt(source, 3, 3)[2:-1]
    assert lines[1] == f"   2 |     RUN {'x' * 236}"
    assert lines[2] == f"   3 | >>> RUN {('true && ' * 30)[:236]}..."
    assert max(map(len, lines)) == len("   3 | >>> ") + 240 + len("...")


def test_the_name_of_a_failed_step_is_cut() -> None:
    report = step_failure(StepFailed("broken", step=f"[2/2] RUN {'x' * 9000}", lines=(0, 0)), None)
    assert report.splitlines()[1] == f" > [2/2] RUN {'x' * 230}...:"


def test_lines_outside_of_the_file_are_cut() -> None:
    source = Source("Dockerfile", "a\nb")
    assert excerpt(source, 5, 6) == []
    assert excerpt(source, 2, 9)[2:-1] == ["   1 |     a", "   2 | >>> b"]


def test_a_mistake_in_the_language_points_at_its_place() -> None:
    source = Source("Dockerfile", "FROM a\nRUM x\n")
    error = DockerfileError('unknown instruction: "RUM"', Span(7, 10), "did you mean RUN?")
    assert language_failure(error, source) == (
        'Dockerfile:2:1: unknown instruction: "RUM"\nRUM x\n~~^\nhint: did you mean RUN?\n'
    )


def test_other_failures_are_located_when_they_can_be() -> None:
    error = ResolveError("unknown stage", span=Span(0, 4), hint="h")
    assert build_failure(error, Source("D", "FROM a")).startswith("D:1:1: unknown stage\nFROM a\n~~~^\n")
    assert build_failure(error, None) == "ERROR: unknown stage\nhint: h\n"
    assert plain_failure("x\x1b[1m") == "ERROR: x\n"
