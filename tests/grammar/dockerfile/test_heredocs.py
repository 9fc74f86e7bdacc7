import pytest

from pybuild.grammar.dockerfile.heredocs import find_markers, lone_heredoc
from pybuild.grammar.dockerfile.parser import parse
from pybuild.grammar.nodes import Run
from pybuild.grammar.source import Source


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("RUN <<EOF", ["EOF"]),
        ("copy <<a <<b c /x", ["a", "b"]),
        ("ADD <<'a b' /x", ["a b"]),
        ("RUN cat <<-E.O-F", ["E.O-F"]),
        ("RUN cat <<  EOF", ["EOF"]),
        ("RUN cat 12<<EOF", ["EOF"]),
        ("ONBUILD RUN <<EOF", ["EOF"]),
        ("RUN --network=none <<EOF", ["EOF"]),
        ("RUN <<$A", ["$A"]),
        ("RUN <<${A}", ["${A}"]),
        ("RUN <<\"A\"'B'C", ["ABC"]),
        ("RUN <<\\$A", ["$A"]),
        ("RUN <<A\\ B", ["A B"]),
        ("RUN echo 'a <<X' <<Y", ["Y"]),
        ("RUN a<<EOF", []),
        ("RUN <<<EOF", []),
        ("RUN <<A<B", []),
        ("RUN <<", []),
        ("RUN <<''", []),
        ("RUN <<- EOF", []),
        ("RUN x<<EOF <<Z", ["Z"]),
        ('RUN ["<<EOF"]', []),
        ('ONBUILD RUN ["a", "<<EOF"]', []),
        ("RUN [a <<EOF", ["EOF"]),
        ("CMD <<EOF", []),
        ("ENV a=1 <<EOF", []),
        ('RUN echo " <<EOF', []),
        ("RUN echo ${} <<EOF", []),
        ("RUN echo ${a:?b} <<EOF", ["EOF"]),
        ("<<EOF", []),
    ],
)
def test_heredocs_are_found_by_the_names_that_end_them(text: str, names: list[str]) -> None:
    assert [marker.name for marker in find_markers(text)] == names


def test_marker_tells_how_the_body_is_taken() -> None:
    plain, dashed, quoted = find_markers("RUN 3<<A <<-B <<'C'")

    assert (plain.fd, plain.strip_tabs, plain.expand) == (3, False, True)
    assert (dashed.fd, dashed.strip_tabs, dashed.expand) == (0, True, True)
    assert (quoted.fd, quoted.strip_tabs, quoted.expand) == (0, False, False)


def test_an_escaped_quote_does_not_quote_the_body() -> None:
    (marker,) = find_markers("RUN <<A\\'B")

    assert (marker.name, marker.expand) == ("A'B", True)


@pytest.mark.parametrize(
    ("command", "alone"),
    [("<<EOF", True), ("<<-'EOF'", True), ("<< EOF", True), ("0<<EOF", True), ("<<EOF sh", False), ("sh <<EOF", False)],
)
def test_lone_heredoc_is_the_whole_command(command: str, alone: bool) -> None:
    run = _run(f"RUN {command}\nbody\nEOF\n")

    assert lone_heredoc(run) is (run.heredocs[0] if alone else None)


def test_two_heredocs_are_not_alone() -> None:
    assert lone_heredoc(_run("RUN <<A <<B\nA\nB\n")) is None


def test_a_command_without_heredoc_has_none() -> None:
    assert lone_heredoc(_run('RUN ["a"]\n')) is None
    assert lone_heredoc(_run("RUN a\n")) is None


def _run(text: str) -> Run:
    instruction = parse(Source("Dockerfile", "FROM a\n" + text)).instructions[1]
    assert isinstance(instruction, Run)
    return instruction
