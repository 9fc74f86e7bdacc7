import io

import pytest

from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.errors import DigestMismatch, SizeMismatch
from pybuild.builder.oci.streams.verified import pieces, verifying

CONTENT = b"x" * 3_000_000


def read(content: bytes, digest: Digest, size: int | None) -> bytes:
    with verifying(io.BytesIO(content), digest, size) as stream:
        return b"".join(pieces(stream))


def test_content_that_is_right_passes() -> None:
    assert read(CONTENT, Digest.of(CONTENT), len(CONTENT)) == CONTENT
    assert read(CONTENT, Digest.of(CONTENT), None) == CONTENT
    assert read(b"", Digest.of(b""), 0) == b""


@pytest.mark.parametrize("content", [CONTENT + b"y", CONTENT[:-1], b""])
def test_content_of_another_length_is_refused(content: bytes) -> None:
    with pytest.raises(SizeMismatch):
        read(content, Digest.of(content), len(CONTENT))


def test_content_with_one_wrong_byte_is_refused() -> None:
    with pytest.raises(DigestMismatch):
        read(b"y" + CONTENT[1:], Digest.of(CONTENT), len(CONTENT))


def test_a_source_without_end_is_left_at_the_promised_length() -> None:
    with (
        open("/dev/zero", "rb") as endless,
        pytest.raises(SizeMismatch),
        verifying(endless, Digest.of(b""), 10_000) as stream,
    ):
        for _ in pieces(stream):
            pass


def test_sha512_is_verified_too() -> None:
    digest = Digest.parse(
        "sha512:"
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
        "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
    )
    assert read(b"abc", digest, 3) == b"abc"
