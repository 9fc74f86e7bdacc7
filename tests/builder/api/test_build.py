"""A build as a program that embeds pybuild starts, watches and cancels it."""

from collections.abc import Callable
from pathlib import Path

import pytest

import pybuild
from pybuild import errors, events
from pybuild.builder.oci.image import read_image

TWO_STEPS = "FROM scratch\nCOPY a /a\nCOPY b /b\n"


@pytest.fixture
def context(tmp_path: Path) -> Path:
    directory = tmp_path / "context"
    directory.mkdir()
    for name in ("a", "b"):
        (directory / name).write_text(name)
    (directory / "Dockerfile").write_text(TWO_STEPS)
    return directory


def cancelling(cancel: pybuild.Cancel, seen: list[events.Event]) -> Callable[[events.Event], None]:
    """Progress that cancels when the first COPY starts."""

    def show(event: events.Event) -> None:
        seen.append(event)
        if isinstance(event, events.StepStarted) and "COPY a" in event.name:
            cancel.cancel()

    return show


def test_a_build_reports_its_plan_and_returns_its_image(store: pybuild.Store, context: Path) -> None:
    seen: list[events.Event] = []
    outcome = pybuild.build(pybuild.Request.of(context=context, tags=("app",)), store, seen.append)
    assert outcome.names == ("docker.io/library/app:latest",)
    plan = next(event for event in seen if isinstance(event, events.StepsPlanned))
    started = [event for event in seen if isinstance(event, events.StepStarted)]
    assert {step.id for step in plan.steps} <= {event.id for event in started}
    assert plan.total == len(started) == sum(isinstance(event, events.StepFinished) for event in seen)
    layers = [event.layer for event in seen if isinstance(event, events.StepFinished) and event.layer]
    assert len(layers) == 2
    assert sorted(layer.digest for layer in layers) == sorted(
        str(layer.digest) for layer in read_image(store.blobs, outcome.descriptor).manifest.layers
    )


def test_cancelling_ends_the_build_and_nothing_is_named(store: pybuild.Store, context: Path) -> None:
    cancel, seen = pybuild.Cancel(), list[events.Event]()
    request = pybuild.Request.of(context=context, tags=("app",))
    with pytest.raises(errors.Cancelled):
        pybuild.build(request, store, cancelling(cancel, seen), cancel=cancel)
    assert not any("COPY b" in event.name for event in seen if isinstance(event, events.StepStarted))
    assert list(store.layout.entries()) == []
    assert pybuild.build(request, store).names, "the store is as good as before"


def test_a_mistake_is_located(store: pybuild.Store, context: Path) -> None:
    (context / "Dockerfile").write_text("FROM scratch\nCOPY missing /\n")
    with pytest.raises(errors.PybuildError, match="missing") as caught:
        pybuild.build(pybuild.Request.of(context=context), store)
    assert caught.value.location.startswith("Dockerfile:2")
    (context / "Dockerfile").write_text("FROM scratch\nCPOY a /\n")
    with pytest.raises(errors.DockerfileError, match="CPOY") as wrong:
        pybuild.build(pybuild.Request.of(context=context), store)
    assert wrong.value.location == "Dockerfile:2:1"


def test_a_closed_store_is_refused(tmp_path: Path, context: Path) -> None:
    with pybuild.Store.open(tmp_path / "other") as store:
        pybuild.build(pybuild.Request.of(context=context), store)
    with pytest.raises(errors.StoreError, match="is closed"):
        pybuild.build(pybuild.Request.of(context=context), store)
    with pytest.raises(errors.StoreError, match="is closed"), store:
        pytest.fail("it was entered")
    with pytest.raises(errors.StoreError, match="is closed"):
        store.cache.forget_all()
