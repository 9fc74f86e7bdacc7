"""Events are values that any process can send, and say nothing until they are told."""

import pickle
from typing import get_args

import pytest

from pybuild.builder.progress import (
    Event,
    LayerMade,
    PlannedStep,
    StepFinished,
    StepOutput,
    StepsPlanned,
    StepStarted,
    StepStatus,
    Warned,
    silent,
)

EVENTS: tuple[Event, ...] = (
    StepsPlanned(total=2, steps=(PlannedStep(id="sha256:a", name="one"), PlannedStep(id="b", name="2", inputs=("a",)))),
    StepStarted(step=1, name="one", at=0.5, id="sha256:a"),
    StepOutput(step=1, stream=2, data=b"\xff", at=0.6),
    StepStatus(step=1, id="blob", current=0, total=9, done=False, at=0.7),
    StepFinished(step=1, at=0.8, layer=LayerMade(digest="sha256:d", diff_id="sha256:e", size=3)),
    Warned(message="careful", line=3),
)


def test_each_kind_of_event_is_here() -> None:
    assert {type(event) for event in EVENTS} == set(get_args(Event))


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_events_are_frozen_and_cross_to_another_process_unchanged(event: Event) -> None:
    assert pickle.loads(pickle.dumps(event)) == event
    with pytest.raises(AttributeError):
        event.step = 9  # type: ignore[union-attr]


def test_a_step_that_ended_did_neither_fail_nor_come_from_the_cache_unless_it_says_so() -> None:
    ended = StepFinished(step=1, at=0)
    assert (ended.cached, ended.error, ended.cancelled, ended.layer) == (False, "", False, None)


def test_the_silent_progress_takes_every_event(capfd: pytest.CaptureFixture[str]) -> None:
    for event in EVENTS:
        silent(event)
    assert capfd.readouterr() == ("", "")
