"""What the flags about the image may be given: --target."""

import pytest

from pybuild.builder.cli.flags.image import targets
from pybuild.builder.errors import RequestError
from pybuild.builder.request import Target


def test_one_target_has_the_names_of_the_build_and_its_own() -> None:
    assert targets(["a"], ("n:1",)) == (Target(stage="a", tags=("n:1",)),)
    assert [name.rpartition("/")[2] for name in targets(["a=x"], ("n:1",))[0].tags] == ["n:1", "x:latest"]


def test_of_several_targets_the_one_without_names_has_those_of_the_build() -> None:
    found = targets(["a", "b=x:1,y:2"], ("n:1",))
    assert found[0] == Target(stage="a", tags=("n:1",))
    assert [name.rpartition("/")[2] for name in found[1].tags] == ["x:1", "y:2"]


@pytest.mark.parametrize(
    ("given", "tags", "reason"),
    [
        (["=x"], (), "expected STAGE"),
        (["a="], (), "expected STAGE"),
        (["a", "a=x"], (), "duplicate target"),
        (["a", "b"], ("n:1",), "-t is ambiguous with several targets"),
        (["a=x", "b=y"], ("n:1",), "-t is ambiguous with several targets"),
    ],
)
def test_targets_that_are_not_clear_are_refused(given: list[str], tags: tuple[str, ...], reason: str) -> None:
    with pytest.raises(RequestError, match=reason):
        targets(given, tags)
