"""The fuzz targets hold on random text, too, in every run of the tests."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import TARGETS

WORDS = ["FROM scratch\n", "RUN ", "COPY ", "ONBUILD ", "--mount=", "type=cache,", "target=/x", "<<EOF\n", "EOF\n"]
MARKS = [
    "$a",
    "${b:-",
    "}",
    "\\\n",
    "\n",
    "#",
    "# escape=`\n",
    "'",
    '"',
    "[",
    "]",
    ",",
    "!",
    "**",
    "*",
    "/",
    ":",
    "@sha256:",
]
PIECES = st.sampled_from([*WORDS, *MARKS, "a", "é", "\t"])
TEXT = st.lists(PIECES, max_size=14).map("".join) | st.text(max_size=40)


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_a_reader_keeps_its_promises_on_random_text(name: str) -> None:
    @settings(max_examples=150, deadline=None)
    @given(TEXT)
    def check(text: str) -> None:
        TARGETS[name](text)

    check()
