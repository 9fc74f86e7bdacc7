"""A digest is a registered algorithm with a value of its length, and safe as the name of a file."""

import hashlib

import pytest

from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.errors import InvalidDigest


@pytest.mark.parametrize("text", ["sha256:" + "0a" * 32, "sha512:" + "f9" * 64])
def test_a_digest_is_written_as_it_was_read(text: str) -> None:
    assert str(Digest.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        *("", "sha256", "sha256:", "sha256:" + "0" * 63, "sha256:" + "0" * 65, "sha512:" + "0" * 64),
        *("md5:" + "0" * 32, "sha256:" + "A" * 64, "SHA256:" + "0" * 64, "sha256:" + "0" * 63 + "\n"),
        *("sha256:../" + "0" * 61, "sha256:" + "0" * 63 + "/", ":" + "0" * 64, "sha256:" + "٠" * 64),
    ],
)
def test_what_is_no_digest_is_refused(text: str) -> None:
    with pytest.raises(InvalidDigest, match="invalid digest"):
        Digest.parse(text)


def test_content_has_its_sha256() -> None:
    assert Digest.of(b"x") == Digest("sha256", hashlib.sha256(b"x").hexdigest())
