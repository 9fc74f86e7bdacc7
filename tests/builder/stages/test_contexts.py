import pytest

from pybuild.builder.errors import RequestError
from pybuild.builder.plan.plan import Definition
from pybuild.builder.request import Planning
from pybuild.builder.sources.address import GitSource, HttpSource
from pybuild.builder.stages.contexts import Contexts, contexts_of, is_directory
from pybuild.builder.stages.stages import FromContext, FromImage, FromRemote, FromScratch


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ("/some/folder", FromContext("n")),
        ("docker-image://alpine", FromImage("docker.io/library/alpine:latest")),
        ("docker-image://scratch", FromScratch()),
        ("oci-layout:///path:v1", FromImage("oci-layout:///path:v1")),
        ("https://h.invalid/x.git", FromRemote(GitSource(url="https://h.invalid/x.git"), as_tree=True)),
        (
            "https://h.invalid/x.tgz",
            FromRemote(HttpSource(url="https://h.invalid/x.tgz", name="context"), as_tree=True),
        ),
    ],
)
def test_a_value_means_a_directory_an_image_or_something_from_elsewhere(value, wanted):
    found = contexts_of(Definition("", "", contexts=(("n", value),)), Planning())
    assert found.stage("N") == found.image("docker.io/library/n") == wanted
    assert is_directory(value) == isinstance(wanted, FromContext)
    assert found.main == FromContext()


@pytest.mark.parametrize("value", ["docker-image://UPPER", "docker-image://", "https://me:word@h.invalid/x"])
def test_a_value_that_means_nothing_is_refused(value):
    with pytest.raises(RequestError) as caught:
        contexts_of(Definition("", "", contexts=(("n", value),)), Planning())
    assert "me:word" not in str(caught.value)


def test_the_build_context_may_be_elsewhere():
    found = contexts_of(Definition("", "", address="git@h.invalid:x.git"), Planning())
    assert found.main == FromRemote(GitSource(url="git@h.invalid:x.git"), as_tree=True)
    with pytest.raises(RequestError, match="not an address of a build context"):
        contexts_of(Definition("", "", address="somewhere"), Planning())


def test_a_context_for_one_platform_wins_over_one_for_all():
    contexts = Contexts(named={"a": FromContext("a"), "a::linux/arm64": FromContext("arm")}, platform="linux/amd64")
    assert contexts.image("a") == FromContext("a")
    assert contexts.image("a", "linux/arm64/v8") == FromContext("arm")
    assert contexts.image("b") is None
    assert contexts.image("not a name") is None


@pytest.mark.parametrize(("text", "kept"), [("1", True), ("T", True), ("0", False), ("maybe", False)])
def test_the_git_directory_of_the_build_context_is_kept_when_an_argument_says_so(text, kept):
    arguments = (("BUILDKIT_CONTEXT_KEEP_GIT_DIR", text),)
    found = contexts_of(Definition("", "", address="git@h.invalid:x.git"), Planning(build_args=arguments)).main
    assert found == FromRemote(GitSource(url="git@h.invalid:x.git", keep_git_dir=kept), as_tree=True)


def test_an_image_is_called_after_the_context_that_gives_it():
    given = (("n", "docker-image://alpine"), ("d", "."))
    contexts = contexts_of(Definition("", "", contexts=given), Planning())
    assert contexts.name_of("docker.io/library/alpine:latest") == "n"
    assert contexts.name_of("docker.io/library/debian:latest") == ""
