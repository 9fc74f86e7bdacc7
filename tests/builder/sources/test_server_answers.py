"""What a server said about a file."""

import pytest

from pybuild.builder.sources.server_answers import KnownFile


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("Thu, 01 Jan 1970 00:01:00 GMT", 60),
        ("Thu, 01 Jan 1970 01:01:00 +0100", 60),
        ("Thu, 01 Jan 1970 00:01:00 -0000", 60),
        ("Wed, 31 Dec 1969 23:00:00 GMT", 0),
        ("", 0),
        ("yesterday", 0),
        ("Thu, 99 Jan 1970 00:01:00 GMT", 0),
    ],
)
def test_the_time_of_a_file_is_its_last_modified_or_zero(text: str, seconds: int) -> None:
    assert KnownFile(digest="sha256:aa", last_modified=text).mtime == seconds
