"""What ``events`` tells of containers, volumes and images, and which events its filters let pass."""

import json
import threading
import time

import pytest

from pybuild.builder.cli.commands.container.information.events import event_filter
from pybuild.builder.cli.failures import Described
from pybuild.builder.containers.events import CONTAINER, Event, log_event
from pybuild.builder.errors import RequestError
from tests.builder.cli.commands.container.conftest import LOOP, until
from tests.builder.cli.conftest import Shop

ACTIONS = ("--format", "{{.Action}}")
ALL = ("events", "--since", "1h", "--until", "0s")


def test_the_life_of_a_container(pen: Shop) -> None:
    assert pen.run("run", "-d", "--name", "c1", "-l", "tier=web", "box", *LOOP).code == 0
    until(lambda: "ready" in pen.run("logs", "c1").out)
    assert pen.run("exec", "c1", "sh", "-c", "exit 4").code == 4
    pen.run("pause", "c1")
    pen.run("unpause", "c1")
    pen.run("rename", "c1", "c2")
    pen.run("stop", "c2")
    pen.run("start", "c2")
    pen.run("rm", "-f", "c2")
    found = pen.run(*ALL, "--filter", "type=container", *ACTIONS).lines
    assert found == [
        *("create", "start", "exec_create: sh -c exit 4", "exec_start: sh -c exit 4", "exec_die", "pause", "unpause"),
        *("rename", "kill", "die", "stop", "start", "kill", "die", "destroy"),
    ]
    (die, _) = pen.run(*ALL, "--filter", "event=die", "--format", "json").lines
    attributes = json.loads(die)["Actor"]["Attributes"]
    # The monitor was told the new name.
    assert attributes == {"exitCode": "5", "image": "box", "name": "c2", "of": "image", "tier": "web"}
    (line,) = pen.run(*ALL, "--filter", "event=rename").lines
    assert line.endswith("(image=box, name=c2, of=image, oldName=/c1, tier=web)")


def test_one_that_is_restarted_and_one_that_loses_its_monitor(pen: Shop) -> None:
    pen.run("run", "--name", "c1", "--restart", "on-failure:1", "box", "false")
    until(lambda: pen.run("inspect", "-f", "{{.State.Status}} {{.RestartCount}}", "c1").out == "exited 1\n")
    assert pen.run(*ALL, "--filter", "container=c1", *ACTIONS).lines == [
        *("create", "attach", "start", "die", "start", "die")
    ]


def test_images_and_volumes(pen: Shop) -> None:
    pen.run("tag", "box", "other")
    pen.run("rmi", "other")
    pen.run("volume", "create", "v1")
    pen.run("volume", "rm", "v1")
    found = pen.run(*ALL, "--format", "{{.Type}} {{.Action}} {{.Actor.Attributes.name}}{{.Actor.Attributes.driver}}")
    identity = pen.run("images", "-q", "--no-trunc", "box").out.strip()
    assert found.lines == [
        *("image import box:latest<no value>", "image tag other:latest<no value>"),
        *(f"image untag {identity}<no value>", "volume create <no value>local", "volume destroy <no value>local"),
    ]


def test_what_happens_is_shown_until_a_time(pen: Shop) -> None:
    begun = time.time()
    worker = threading.Timer(1, lambda: pen.store.locks and _note(pen))
    worker.start()
    found = pen.run("events", "--until", str(begun + 3), *ACTIONS)
    worker.join()
    assert found.lines == ["start"]
    assert pen.run(*ALL, "--filter", "nonsense=1").err.startswith("ERROR: invalid filter 'nonsense'")


def _note(pen: Shop) -> None:
    log_event(pen.store.root, CONTAINER, "start", "0" * 64, {})


@pytest.mark.parametrize("given", ["--since", "--until"])
def test_a_time_that_is_none(pen: Shop, given: str) -> None:
    assert "invalid time 'soon'" in pen.run("events", given, "soon").err


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
