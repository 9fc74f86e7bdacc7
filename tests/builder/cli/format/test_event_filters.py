"""Which events the filters of ``events`` let pass."""

import pytest

from pybuild.builder.cli.failures import Described
from pybuild.builder.cli.format.event_filters import event_filter
from pybuild.builder.containers.events import Event
from pybuild.builder.errors import RequestError


def event(kind: str = "container", action: str = "start", **attributes: str) -> Event:
    return Event(
        kind=kind, action=action, identity="abcdef", attributes=tuple(sorted(attributes.items())), nanoseconds=1
    )


C1 = event(image="example.com:5/box:1", name="c1", tier="web")


@pytest.mark.parametrize(
    ("given", "passes"),
    [
        ([], True),
        (["container=c1"], True),
        (["container=abc"], True),
        (["container=other", "container=c1"], True),
        (["container=other"], False),
        (["volume=abc"], False),
        (["event=start", "type=container"], True),
        (["event=die"], False),
        (["type=image"], False),
        (["image=example.com:5/box:1"], True),
        (["image=example.com:5/box"], True),
        (["image=box"], False),
        (["label=tier"], True),
        (["label=tier=web"], True),
        (["label=tier", "label=other"], False),
        (["label=tier=db"], False),
        (["scope=local"], True),
        (["scope=swarm"], False),
        (["network=n"], False),
    ],
)
def test_events_of_a_container(given: list[str], *, passes: bool) -> None:
    assert event_filter(given)(C1) is passes


def test_what_follows_a_colon_need_not_be_given() -> None:
    told = event(action="exec_create: sh -c x")
    assert event_filter(["event=exec_create"])(told)
    assert event_filter(["event=exec_create: sh -c x"])(told)
    assert not event_filter(["event=exec_start"])(told)


def test_an_image_by_its_id_or_name() -> None:
    told = event("image", "tag", name="box:2")
    assert all(event_filter([f"image={text}"])(told) for text in ("abcdef", "box:2", "box"))
    assert not event_filter(["image=box:1"])(told)


@pytest.mark.parametrize("text", ["container", "colour=red"])
def test_no_filter(text: str) -> None:
    with pytest.raises((RequestError, Described), match="filter"):
        event_filter([text])
