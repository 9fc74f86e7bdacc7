"""Names of contexts have one spelling."""

import pytest

from pybuild.builder.errors import RequestError
from pybuild.builder.request.names import check_contexts, context_name, short_name


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("a", "a"),
        ("A", "a"),
        ("alpine:latest", "alpine"),
        ("docker.io/library/alpine", "alpine"),
        ("host.invalid/x:1", "host.invalid/x:1"),
        ("alpine::linux/amd64", "alpine::linux/amd64"),
        ("alpine::x86_64", "alpine::linux/amd64"),
    ],
)
def test_a_name_has_one_spelling(given, name):
    assert context_name(given) == name


@pytest.mark.parametrize("name", ["", "context", "Scratch", "a b", "::linux/amd64", "-x"])
def test_what_can_be_no_name_of_a_stage_or_image_is_refused(name):
    with pytest.raises(RequestError, match="invalid context name"):
        context_name(name)


def test_platforms_and_values_of_contexts_are_checked() -> None:
    check_contexts((("a", "/x"), ("alpine::linux/amd64", "docker-image://b")))
    with pytest.raises(RequestError, match="invalid context name 'a::x/y/z/v': "):
        check_contexts((("a::x/y/z/v", "/x"),))
    with pytest.raises(RequestError, match="invalid context value: 'a=', expected key=value"):
        check_contexts((("a", ""),))
    assert (short_name("Docker.io/library/Alpine:latest"), short_name("a b")) == ("alpine", None)
