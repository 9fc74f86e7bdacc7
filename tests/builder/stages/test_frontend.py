import pytest

from pybuild.builder.errors import RequestError, ResolveError
from pybuild.builder.request import Planning
from pybuild.builder.stages.frontend import check_frontend
from pybuild.grammar.dockerfile.parser import parse
from pybuild.grammar.source import Source


def checked(value: str, argument: str | None = None) -> None:
    given = () if argument is None else (("BUILDKIT_SYNTAX", argument),)
    directives = parse(Source("Dockerfile", f"# syntax={value}\n# check=skip=all\nFROM a\n")).directives
    check_frontend(directives, Planning(build_args=given))


@pytest.mark.parametrize(
    "value",
    [
        "docker/dockerfile",
        "docker/dockerfile:1.7-labs",
        "docker.io/docker/dockerfile:1@sha256:" + "0" * 64,
        "mirror.example:5000/hub/docker/dockerfile:1",
        "docker/dockerfile-upstream:master",
        "dockerfile.v0",
        "docker/dockerfile:1 with words",
    ],
)
def test_dockers_own_language_is_ours_in_every_version(value: str) -> None:
    checked(value)


@pytest.mark.parametrize(
    "value", ["evil/frontend", "earthly/earthfile:1", "docker/dockerfile2", "::", "../dockerfile/"]
)
def test_another_language_is_refused_with_its_place(value: str) -> None:
    with pytest.raises(ResolveError, match="is not supported: files are read as Dockerfiles only") as caught:
        checked(value)
    assert caught.value.span is not None
    checked(value, "dockerfile.v0")
    checked(value, "docker/dockerfile:1")


def test_the_build_argument_is_held_to_the_same() -> None:
    with pytest.raises(RequestError, match="frontend evil/frontend is not supported"):
        checked("docker/dockerfile", "evil/frontend")
    checked("docker/dockerfile", "")
