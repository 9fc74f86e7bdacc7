import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pybuild.grammar.reference import InvalidReference, Reference, parse_reference

_DIGEST = "sha256:" + "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("text", "full", "familiar"),
    [
        ("alpine", "docker.io/library/alpine:latest", "alpine:latest"),
        ("alpine:3.20", "docker.io/library/alpine:3.20", "alpine:3.20"),
        ("library/alpine", "docker.io/library/alpine:latest", "alpine:latest"),
        ("docker.io/alpine", "docker.io/library/alpine:latest", "alpine:latest"),
        ("index.docker.io/alpine", "docker.io/library/alpine:latest", "alpine:latest"),
        ("docker.io/library/a/b", "docker.io/library/a/b:latest", "library/a/b:latest"),
        ("user/app", "docker.io/user/app:latest", "user/app:latest"),
        ("localhost/app", "localhost/app:latest", "localhost/app:latest"),
        ("localhost:5000/app", "localhost:5000/app:latest", "localhost:5000/app:latest"),
        (
            "registry.example/a/b__c/d-e.f",
            "registry.example/a/b__c/d-e.f:latest",
            "registry.example/a/b__c/d-e.f:latest",
        ),
        ("[::1]:5000/app", "[::1]:5000/app:latest", "[::1]:5000/app:latest"),
        ("HOST/app", "HOST/app:latest", "HOST/app:latest"),
        ("myhost/app", "docker.io/myhost/app:latest", "myhost/app:latest"),
        (f"alpine@{_DIGEST}", f"docker.io/library/alpine@{_DIGEST}", f"alpine@{_DIGEST}"),
        (f"alpine:3@{_DIGEST}", f"docker.io/library/alpine:3@{_DIGEST}", f"alpine:3@{_DIGEST}"),
        ("a:" + "T" * 128, "docker.io/library/a:" + "T" * 128, "a:" + "T" * 128),
        ("host:5000", "docker.io/library/host:5000", "host:5000"),
    ],
)
def test_short_names_are_completed_as_docker_completes_them(text: str, full: str, familiar: str) -> None:
    reference = parse_reference(text)

    assert str(reference) == full
    assert reference.familiar() == familiar


def test_parts_of_a_reference() -> None:
    assert parse_reference(f"localhost:5000/a/b:c@{_DIGEST}") == Reference("localhost:5000", "a/b", "c", _DIGEST)
    assert parse_reference(f"a@{_DIGEST}").tag is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "invalid reference format"),
        ("Ubuntu", "invalid reference format: repository name (library/Ubuntu) must be lowercase"),
        ("ghcr.io/Org/app:v1", "invalid reference format: repository name (Org/app) must be lowercase"),
        ("a:", "invalid reference format"),
        (":a", "invalid reference format"),
        ("a b", "invalid reference format"),
        ("a//b", "invalid reference format"),
        ("a/", "invalid reference format"),
        ("/a", "invalid reference format"),
        ("a__b___c", "invalid reference format"),
        ("a..b", "invalid reference format"),
        ("-a", "invalid reference format"),
        ("a-", "invalid reference format"),
        ("a:-b", "invalid reference format"),
        ("a:" + "t" * 129, "invalid reference format"),
        ("host:port/a", "invalid reference format"),
        ("-host.example/a", "invalid reference format"),
        ("https://example.org/a", "invalid reference format"),
        ("$x", "invalid reference format"),
        ("$X", "invalid reference format: repository name (library/$X) must be lowercase"),
        ("a\n", "invalid reference format"),
        ("a:1٣", "invalid reference format"),
        ("a@sha256:00", "invalid reference format"),
        ("a@md5:" + "0" * 32, "unsupported digest algorithm"),
        ("a@sha256:" + "0" * 63, "invalid checksum digest length"),
        ("a@sha256:" + "A" * 64, "invalid checksum digest format"),
        ("0" * 64, f"invalid repository name ({'0' * 64}), cannot specify 64-byte hexadecimal strings"),
        ("a/" + "b" * 254, "repository name must not be more than 255 characters"),
        ("a/" * 5000, "invalid reference format"),
    ],
)
def test_other_texts_name_no_image(text: str, message: str) -> None:
    with pytest.raises(InvalidReference) as caught:
        parse_reference(text)

    assert str(caught.value) == message


@settings(max_examples=200)
@given(st.text("ab.-_/:@A0[]", max_size=20))
def test_full_and_familiar_names_lead_to_the_same_image(text: str) -> None:
    try:
        reference = parse_reference(text)
    except InvalidReference:
        return
    assert parse_reference(str(reference)) == reference
    assert parse_reference(reference.familiar()) == reference
