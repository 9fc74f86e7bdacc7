from pybuild.grammar.errors import DockerfileError
from pybuild.grammar.source import Source, Span

_SOURCE = Source("Dockerfile", "FROM a\nRUNN b\n")


def test_render_shows_place_message_excerpt_and_hint() -> None:
    error = DockerfileError("unknown instruction: RUNN", Span(7, 11), 'did you mean "RUN"?')

    assert error.render(_SOURCE) == (
        'Dockerfile:2:1: unknown instruction: RUNN\nRUNN b\n~~~^\nhint: did you mean "RUN"?'
    )


def test_render_without_a_span_means_the_whole_file() -> None:
    assert DockerfileError("file with no instructions").render(_SOURCE) == "Dockerfile: file with no instructions"


def test_a_message_that_quotes_much_is_cut() -> None:
    error = DockerfileError("x" * 5000)

    assert error.message == "x" * 1000 + "..."
    assert str(error) == error.message
