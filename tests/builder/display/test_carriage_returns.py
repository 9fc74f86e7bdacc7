"""Lines that a program writes over again and again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybuild.builder.display.carriage_returns import Overwriting, overwritten


def passed(*pieces: bytes) -> bytes:
    lines = Overwriting()
    return b"".join(map(lines.feed, pieces)) + lines.flush()


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (b"", b""),
        (b"a\nb", b"a\nb"),
        (b"1%\r2%\r3%\n", b"3%\n"),
        (b"a\r\nb\r\n", b"a\r\nb\r\n"),
        (b"a\rb\r\r\nc", b"b\r\r\nc"),
        (b"\r50%\r100%", b"100%"),
        (b"bar\r   \rdone\n", b"done\n"),
        (b"bar\r", b"bar\r"),
    ],
)
def test_of_a_line_what_follows_the_last_carriage_return_is_kept(text: bytes, kept: bytes) -> None:
    assert passed(text) == kept


@given(st.lists(st.text("ab\r\n", max_size=8).map(str.encode), max_size=8))
def test_it_does_not_matter_how_the_output_is_cut(pieces: list[bytes]) -> None:
    whole = b"".join(pieces)
    assert passed(*pieces) == passed(whole) == b"\n".join(map(overwritten, whole.split(b"\n")))


def test_a_line_that_was_shown_is_not_taken_back() -> None:
    lines = Overwriting()
    assert (lines.feed(b"wait"), lines.flush()) == (b"", b"wait")
    assert lines.feed(b"\rx\ry") + lines.feed(b"\rz\nnext\ry\n") == b"\rz\ny\n"


def test_an_endless_line_is_passed_on_in_pieces() -> None:
    lines = Overwriting()
    assert sum(len(lines.feed(b"." * 1000)) + len(lines.held()) for _ in range(4)) <= 4000 * 4
    assert lines.feed(b"." * 1000) == b"." * 5000
    assert lines.held() == b""
