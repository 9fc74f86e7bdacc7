import pytest
from hypothesis import given, settings

from pybuild.grammar import MAX_TEXT
from pybuild.grammar.dockerfile.lines import MAX_INSTRUCTIONS, MAX_LINE, MAX_ROW, read_lines
from pybuild.grammar.errors import DockerfileError
from pybuild.grammar.source import Span
from tests.grammar.texts import dockerfiles


def test_continued_lines_are_joined_and_comments_dropped() -> None:
    reading = read_lines("RUN a \\\n # c\n\n  b\\\nc\nUSER d\n")

    assert [line.text for line in reading.lines] == ["RUN a   bc", "USER d"]
    assert reading.warnings == (("NoEmptyContinuation", Span(13, 13)),)


def test_span_of_an_instruction_reaches_over_its_heredocs() -> None:
    text = "COPY <<A <<B /x\na\nA\nb\nB\nUSER c\n"

    first, second = read_lines(text).lines

    assert text[first.span.start : first.span.end] == "COPY <<A <<B /x\na\nA\nb\nB"
    assert text[second.span.start : second.span.end] == "USER c"


def test_comment_is_what_stands_directly_above() -> None:
    text = "# one\n\n# two\n#three\nA\nB\n  # four\nC\n"

    assert [line.comment for line in read_lines(text).lines] == ["two\nthree", "", "four"]


def test_a_directive_is_no_comment() -> None:
    assert read_lines("# check=skip=all\nFROM a\n").lines[0].comment == ""


def test_the_escape_can_be_given_from_outside_but_a_directive_wins() -> None:
    assert [line.text for line in read_lines("A `\nB\\", "`").lines] == ["A B\\"]
    assert read_lines("# escape=\\\nA", "`").escape == "\\"


def test_heredoc_keeps_the_raw_body_beside_the_stripped_one() -> None:
    (body,) = read_lines("RUN <<-E\n\t\ta\n\tE\n").lines[0].bodies

    assert (body.raw, body.heredoc.body) == ("\t\ta\n", "a\n")


def test_line_may_have_65535_bytes() -> None:
    assert len(read_lines("RUN " + "x" * (MAX_ROW - 4) + "\n").lines) == 1


@pytest.mark.parametrize("row", ["x" * (MAX_ROW + 1), "é" * (MAX_ROW // 2 + 1), "\ud800" * 30_000])
@pytest.mark.parametrize("before", ["FROM a\n", "# ", "RUN a \\\n", "COPY <<E /x\n"])
def test_longer_line_is_refused(before: str, row: str) -> None:
    with pytest.raises(DockerfileError) as caught:
        read_lines(f"{before}{row}\n")

    assert caught.value.message == "dockerfile line greater than max allowed size of 65535"
    assert caught.value.hint.startswith("line ")
    assert caught.value.span is not None


def test_instruction_of_many_lines_is_limited() -> None:
    with pytest.raises(DockerfileError, match="instruction longer than 256 KiB"):
        read_lines("RUN " + ("x" * 60_000 + "\\\n") * (MAX_LINE // 60_000 + 1))


def test_number_of_instructions_is_limited() -> None:
    assert len(read_lines("A\n" * MAX_INSTRUCTIONS).lines) == MAX_INSTRUCTIONS
    with pytest.raises(DockerfileError, match="more than 20000 instructions"):
        read_lines("A\n" * (MAX_INSTRUCTIONS + 1))


def test_size_of_the_text_is_limited() -> None:
    with pytest.raises(DockerfileError, match="larger than 4 MiB"):
        read_lines("\n" * (MAX_TEXT + 1))


def test_nul_is_refused_where_it_stands() -> None:
    with pytest.raises(DockerfileError, match="invalid character NUL") as caught:
        read_lines("FROM a\0")

    assert caught.value.span == Span(6, 7)


def test_unterminated_heredoc_points_to_its_announcement() -> None:
    with pytest.raises(DockerfileError, match="unterminated heredoc") as caught:
        read_lines("RUN \\\n cat <<EOF\nEOF \n")

    assert caught.value.span == Span(11, 16)
    assert caught.value.hint == 'end it with a line "EOF"'


@settings(max_examples=300)
@given(dockerfiles)
def test_every_character_of_a_line_leads_back_to_the_source(text: str) -> None:
    try:
        lines = read_lines(text).lines
    except DockerfileError:
        return
    for line in lines:
        places = [line.place(at, at + 1).start for at in range(len(line.text))]
        assert "".join(text[place] for place in places) == line.text
        assert line.span.start == places[0]
        assert places[-1] < line.span.end <= len(text)
