import pytest

from tests.builder.cli.conftest import Shop


def test_a_name_is_added(shop: Shop) -> None:
    shop.image("tiny:1")
    assert shop.run("tag", "tiny:1", "reg.example:5000/x/y").code == 0
    assert shop.names() == ["docker.io/library/tiny:1", "reg.example:5000/x/y:latest"]


def test_a_name_moves(shop: Shop) -> None:
    shop.image("tiny:1")
    other = shop.image("tiny:2", layers=({"y": b""},))
    shop.run("tag", "tiny:2", "tiny:1")
    assert shop.run("images", "-q", "--no-trunc", "tiny:1").lines == [str(other.id)]


@pytest.mark.parametrize(
    ("words", "code"), [(["nope", "x"], 1), (["tiny:1", "UPPER"], 2), (["tiny:1"], 2), (["tiny:1", "sha256:abc"], 2)]
)
def test_what_cannot_be_is_refused(shop: Shop, words: list[str], code: int) -> None:
    shop.image("tiny:1")
    assert shop.run("tag", *words).code == code
    assert shop.names() == ["docker.io/library/tiny:1"]
