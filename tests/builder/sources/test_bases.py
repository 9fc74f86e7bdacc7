"""Where a base image comes from: the store, or a registry, as ``--pull`` says."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from pybuild.builder.errors import PullFailed
from pybuild.builder.oci.errors import ImageNotFound, OtherPlatform, RegistryError
from pybuild.builder.oci.image import Image, host_platform, write_image
from pybuild.builder.oci.model import ImageConfig
from pybuild.builder.oci.registry.registry import Resolved
from pybuild.builder.platforms import parse_platform
from pybuild.builder.progress import Event, StepFinished, StepStarted
from pybuild.builder.reporter import Reporter
from pybuild.builder.sources import bases
from pybuild.builder.store.store import Store
from tests.helpers.images import AMD64, ARM64, tiny_image, tiny_index

NAME = "docker.io/library/base:latest"


def image(store: Store, author: str) -> Image:
    here = host_platform()
    return write_image(store.blobs, ImageConfig(os=here.os, architecture=here.architecture, author=author), ())


def author(store: Store, pull: str) -> str:
    return bases.pin(NAME, host_platform(), store, pull=pull).config.author


@pytest.mark.parametrize(
    ("pull", "found"), [("missing", "store"), ("never", "store"), ("always", "registry"), ("newer", "registry")]
)
def test_the_policy_decides_between_store_and_registry(
    store: Store, monkeypatch: pytest.MonkeyPatch, pull: str, found: str
) -> None:
    store.layout.tag(NAME, image(store, "store").descriptor)
    theirs = image(store, "registry")
    monkeypatch.setattr(bases, "_ask", lambda *_: theirs)
    assert author(store, pull) == found


def test_without_a_registry_a_newer_one_is_the_one_of_the_store(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> Image:
        raise PullFailed("nobody answers")

    monkeypatch.setattr(bases, "_ask", fail)
    store.layout.tag(NAME, image(store, "store").descriptor)
    assert author(store, "newer") == "store"
    with pytest.raises(PullFailed, match="nobody answers"):
        author(store, "always")


def test_never_asks_no_registry(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bases, "_ask", lambda *_: pytest.fail("a registry was asked"))
    with pytest.raises(PullFailed, match="not found in the store") as caught:
        author(store, "never")
    assert "--pull=never" in (caught.value.hint or "")


@pytest.mark.parametrize("theirs", ["single", "index"])
def test_an_image_for_another_platform_is_asked_for_in_the_registry_and_keeps_its_name(
    store: Store, monkeypatch: pytest.MonkeyPatch, theirs: str
) -> None:
    mine = tiny_image(store.blobs, {"f": b"mine"}, platform=AMD64)
    store.layout.tag(NAME, mine.descriptor if theirs == "single" else tiny_index(store.blobs, mine))
    before = store.layout.resolve(NAME)
    found = tiny_image(store.blobs, {"f": b"theirs"}, platform=ARM64)
    _serve(monkeypatch, Resolved(pinned=found.descriptor, image=found))
    assert bases.pin(NAME, ARM64, store, pull="missing").image.id == found.id
    assert store.layout.resolve(NAME) == before
    assert bases.pin(NAME, AMD64, store, pull="never").image.id == mine.id


def test_without_a_registry_it_is_said_which_platforms_the_store_has(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = [tiny_image(store.blobs, {"f": b"x"}, platform=platform) for platform in (AMD64, ARM64)]
    store.layout.tag(NAME, tiny_index(store.blobs, *images))
    _serve(monkeypatch, RegistryError("no answer"))
    with pytest.raises(PullFailed, match=r"for linux/amd64, linux/arm64, not for linux/s390x, and .*: no answer"):
        bases.pin(NAME, parse_platform("s390x"), store, pull="missing")


@pytest.mark.parametrize("pull", ["missing", "never"])
def test_an_image_without_an_index_is_used_when_no_registry_has_a_better_one(
    store: Store, monkeypatch: pytest.MonkeyPatch, pull: str
) -> None:
    mine = tiny_image(store.blobs, {"f": b"mine"}, platform=AMD64)
    store.layout.tag(NAME, mine.descriptor)
    _serve(monkeypatch, RegistryError("no answer"))
    assert bases.pin(NAME, ARM64, store, pull=pull).image.id == mine.id
    by_digest = f"{NAME}@{mine.descriptor.digest}"
    assert bases.pin(by_digest, ARM64, store, pull=pull).image.id == mine.id
    with pytest.raises(PullFailed, match="no answer"):
        bases.pin(NAME, ARM64, store, pull="always")


def test_an_image_of_a_registry_for_another_platform_is_not_called_missing(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    _serve(monkeypatch, OtherPlatform("image sha256:1 is for linux/amd64, not for linux/arm64", present=("x/y",)))
    with pytest.raises(PullFailed, match=f"^{NAME}: image sha256:1 is for linux/amd64") as caught:
        bases.pin(NAME, ARM64, store, pull="missing")
    assert caught.value.hint == "it is for x/y"


def _serve(monkeypatch: pytest.MonkeyPatch, answer: Resolved | Exception) -> None:
    """Let every registry give *answer*."""
    registry = SimpleNamespace(resolve=lambda *_: answer, warnings=())

    @contextmanager
    def opened(*_: object) -> Iterator[SimpleNamespace]:
        if isinstance(answer, Exception):
            raise answer
        yield registry

    monkeypatch.setattr("pybuild.builder.oci.registry.registry.open_registry", opened)


@pytest.mark.parametrize(("context", "shown"), [("", "internal"), ("tools", "context tools")])
def test_a_question_is_a_step_named_after_who_asks(
    store: Store, monkeypatch: pytest.MonkeyPatch, context: str, shown: str
) -> None:
    monkeypatch.setattr(bases, "_ask", lambda *_: image(store, "registry"))
    events: list[Event] = []
    bases.pin(NAME, host_platform(), store, Reporter(events.append), pull="missing", context=context)
    (begun,) = (event for event in events if isinstance(event, StepStarted))
    assert begun.name == f"[{shown}] load metadata for {NAME}"


@pytest.mark.parametrize(
    ("failure", "shown", "message"),
    [
        (ImageNotFound("manifest unknown"), "manifest unknown", f"{NAME}: not found"),
        (RegistryError("no answer"), "no answer", f"failed to resolve source metadata for {NAME}: no answer"),
    ],
)
def test_the_step_says_why_and_the_error_what_for(
    store: Store, monkeypatch: pytest.MonkeyPatch, failure: Exception, shown: str, message: str
) -> None:
    @contextmanager
    def fail(*_: object) -> Iterator[None]:
        raise failure
        yield

    monkeypatch.setattr("pybuild.builder.oci.registry.registry.open_registry", fail)
    events: list[Event] = []
    with pytest.raises(PullFailed, match=f"^{message}$"):
        bases.pin(NAME, host_platform(), store, Reporter(events.append), pull="missing")
    assert [event.error for event in events if isinstance(event, StepFinished)] == [shown]
