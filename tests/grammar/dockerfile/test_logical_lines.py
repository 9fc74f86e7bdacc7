from pybuild.grammar.dockerfile.logical_lines import Line, Piece, split_first
from pybuild.grammar.source import Span

# RUN ab\<newline>  cd
_LINE = Line(text="RUN ab  cd", span=Span(0, 12), marks=((0, 0), (6, 8)))


def test_place_leads_back_over_a_continuation() -> None:
    assert _LINE.place(0, 3) == Span(0, 3)
    assert _LINE.place(8, 10) == Span(10, 12)
    assert _LINE.place(4, 10) == Span(4, 12)


def test_place_behind_the_text_is_its_last_character() -> None:
    assert _LINE.place(10, 10) == Span(11, 12)


def test_without_marks_everything_stands_at_the_span_of_the_line() -> None:
    assert Line(text="RUN a", span=Span(7, 9)).place(1, 3) == Span(7, 9)


def test_tail_keeps_the_places() -> None:
    tail = _LINE.tail(4)

    assert (tail.text, tail.span) == ("ab  cd", Span(4, 12))
    assert tail.place(4, 6) == _LINE.place(8, 10)


def test_cut_gives_both_sides_their_places() -> None:
    line = Line(text="A=b=c", span=Span(0, 5), marks=((0, 0),))

    name, value = Piece("A=b=c", 0, line).cut("=")

    assert (name.text, name.span) == ("A", Span(0, 1))
    assert value is not None
    assert (value.text, value.span) == ("b=c", Span(2, 5))
    assert name.cut("=") == (name, None)


def test_split_first_ends_at_white_space_of_ascii() -> None:
    assert split_first("RUN \t a b") == ("RUN", 6)
    assert split_first("a\u00a0b") == ("a\u00a0b", 3)
