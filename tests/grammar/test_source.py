from pybuild.grammar.source import Source, Span


def test_position_counts_lines_and_columns_from_one() -> None:
    source = Source("Dockerfile", "ab\ncd\n")

    assert [source.position(offset) for offset in range(6)] == [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (2, 3)]


def test_lines_are_those_that_the_span_touches() -> None:
    source = Source("Dockerfile", "ab\ncd\nef\n")

    assert list(source.lines(Span(1, 4))) == [1, 2]
    assert list(source.lines(Span(3, 5))) == [2]


def test_excerpt_marks_the_first_line_of_the_span() -> None:
    source = Source("Dockerfile", "\tRUN ab\\\r\n cd\n")

    assert source.excerpt(Span(5, 12)) == "\tRUN ab\\\n\t    ~~^"


def test_excerpt_shows_only_the_part_of_a_long_line_around_the_span() -> None:
    source = Source("Dockerfile", "a" * 5000 + "BAD" + "b" * 5000)

    text, marker = source.excerpt(Span(5000, 5003)).splitlines()

    assert len(text) == 160
    assert text[marker.index("~") : len(marker)] == "BAD"


def test_to_covers_both_spans() -> None:
    assert Span(5, 6).to(Span(1, 3)) == Span(1, 6)
