"""The limits permit what an honest layer has, at its very edge."""

import pytest

from pybuild.builder.oci.limits import DEFAULT_LIMITS, MAX_NAME, has_long_name
from pybuild.runtime.paths import MAX_PATH


@pytest.mark.parametrize(
    ("path", "is_long"),
    [
        (b"", False),
        (b"a" * MAX_NAME, False),
        (b"a" * (MAX_NAME + 1), True),
        (b"a/" * 2000 + b"b" * MAX_NAME, False),
        (b"dir/" + b"a" * (MAX_NAME + 1) + b"/b", True),
        # A whiteout stands for a file whose name may have the full length.
        (b"dir/.wh." + b"a" * MAX_NAME, False),
        (b"dir/.wh." + b"a" * (MAX_NAME + 1), True),
    ],
)
def test_a_name_is_too_long_as_a_file_system_says_it(path: bytes, *, is_long: bool) -> None:
    assert has_long_name(path) is is_long


def test_the_limits_are_those_of_linux() -> None:
    assert (MAX_PATH, MAX_NAME) == (4095, 255)


def test_no_honest_gzip_reaches_the_ratio() -> None:
    # "Compression ratio" of zlib: at most 1032 to 1.
    assert DEFAULT_LIMITS.ratio > 1032
