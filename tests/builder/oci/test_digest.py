"""A digest is a registered algorithm with a value of its length, and safe as the name of a file."""

import hashlib
from collections.abc import Callable

import pytest

from pybuild.builder.oci.digest import Digest, read_digest, read_digests
from pybuild.builder.oci.errors import InvalidDigest, InvalidImage
from pybuild.builder.oci.json_documents import Fields


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


def test_members_of_documents_are_digests() -> None:
    text = "sha256:" + "0a" * 32
    document = Fields("doc", {"one": text, "many": [text, text]})
    assert read_digest(document, "one") == Digest.parse(text)
    assert read_digests(document, "many") == (Digest.parse(text), Digest.parse(text))
    assert read_digests(document, "gone") == ()


@pytest.mark.parametrize(
    ("read", "key", "message"),
    [
        (read_digest, "gone", "doc.gone: expected string, found nothing"),
        (read_digest, "text", "doc.text: invalid digest 'x'"),
        (read_digests, "texts", "doc.texts[0]: invalid digest 'x'"),
        (read_digests, "mixed", "doc.mixed[1]: expected string"),
    ],
)
def test_a_member_that_is_no_digest_is_named_with_its_place(
    read: Callable[[Fields, str], object], key: str, message: str
) -> None:
    document = Fields("doc", {"text": "x", "texts": ["x"], "mixed": ["x", 1]})
    with pytest.raises(InvalidImage) as caught:
        read(document, key)
    assert str(caught.value) == message
