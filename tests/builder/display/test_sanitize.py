import itertools
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybuild.builder.display.sanitize import Sanitizer, clean, clean_line


def whole(data: bytes) -> str:
    sanitizer = Sanitizer()
    return sanitizer.feed(data) + sanitizer.finish()


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"plain\ttext\n", "plain\ttext\n"),
        (b"\x1b]0;pwn\x07\x1b[2J\x1b[1A#1 DONE\r", "#1 DONE\n"),
        (b"a\x1b[31;1mred\x1b[0m b\n", "ared b\n"),
        (b"\x1b]52;c;aGk=\x1b\\after\n", "after\n"),
        (b"\x1b]52;never closed\nnext line\n", "\nnext line\n"),
        (b"\x1bPq#0;2;0\x1b\\x", "x"),
        (b"\x1b(Bcharset\x1b=keypad\x1bM\n", "charsetkeypad\n"),
        ("\x9b31mC1\x9d0;t\x9c!".encode(), "C1!"),
        (b"bell\x07 nul\x00 del\x7f bs\x08", "bell nul del bs"),
        (b"10%\r20%\r\n30%\n", "10%\n20%\n30%\n"),
        (b"\r  0%\r  5%\n", "  0%\n  5%\n"),
        ("a\u202eb\ufeffc\u2028".encode(), "a\\u202eb\\ufeffc\\u2028"),
        (b"bad \xff\xfe \xe2\x82", "bad \ufffd\ufffd \ufffd"),
        (b"\x1b[12\nline\n", "\nline\n"),
        (b"\x1b", ""),
        ("\U000e0041".encode(), "\\U000e0041"),
    ],
)
def test_what_a_terminal_would_act_on_is_removed(data: bytes, text: str) -> None:
    assert whole(data) == text


HOSTILE = st.lists(
    st.sampled_from(
        [
            b"\x1b",
            b"[",
            b"]",
            b"0;",
            b"m",
            b"\x07",
            b"\\",
            b"\r",
            b"\n",
            b"x",
            b"\xe2\x80\xae",
            b"\xc2\x9b",
            b"P",
            b"\xff",
            b"\x18",
        ]
    )
).map(b"".join)


@given(HOSTILE, st.lists(st.integers(0, 60)))
def test_the_result_does_not_depend_on_how_the_input_is_cut(data: bytes, cuts: list[int]) -> None:
    sanitizer = Sanitizer()
    bounds = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    pieces = [sanitizer.feed(data[a:b]) for a, b in itertools.pairwise(bounds)]
    assert "".join(pieces) + sanitizer.finish() == whole(data)


@given(st.binary())
def test_only_printable_text_tabs_and_newlines_come_out(data: bytes) -> None:
    for char in whole(data):
        assert char in "\t\n" or (ord(char) >= 0x20 and not 0x7F <= ord(char) <= 0x9F)


@given(st.text())
def test_cleaning_twice_changes_nothing_more(text: str) -> None:
    once = clean(text)
    assert clean(once) == once


def test_no_printable_character_is_special() -> None:
    # `clean` passes on what is printable without looking further.
    printable = "".join(char for char in map(chr, range(sys.maxunicode + 1)) if char.isprintable())
    assert Sanitizer().text(printable) == printable


def test_bytes_of_a_file_name_that_are_no_text_are_shown() -> None:
    assert clean("a\udcffb") == "a\\xffb"


def test_a_name_becomes_one_line() -> None:
    assert clean_line("RUN a\n\tb\x1b[1m\n") == "RUN a b"
