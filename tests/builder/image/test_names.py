import pytest

from pybuild.builder.errors import RequestError
from pybuild.builder.image.names import full_names


def test_names_are_spelled_in_full_each_once_in_order():
    assert full_names(("b:1", "a", "docker.io/library/a:latest", "host:5000/x/y")) == (
        "docker.io/library/b:1",
        "docker.io/library/a:latest",
        "host:5000/x/y:latest",
    )


@pytest.mark.parametrize("tag", ["", "UPPER", "a b", "a:b:c", "-x", "a/../b"])
def test_a_tag_that_is_no_name_is_refused(tag):
    with pytest.raises(RequestError, match="invalid tag") as caught:
        full_names((tag,))
    assert f'"{tag}"' in caught.value.message


def test_a_tag_has_no_digest():
    with pytest.raises(RequestError, match="a tag cannot have a digest"):
        full_names(("a@sha256:" + "1" * 64,))
