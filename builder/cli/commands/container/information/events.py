"""``pybuild events``: the events of the store."""

import json
import time
from collections.abc import Callable, Iterable
from datetime import datetime

import click

from pybuild.builder.cli.command import Command, root_option
from pybuild.builder.cli.failures import TEMPLATE
from pybuild.builder.cli.format.filters import by_key, has_label
from pybuild.builder.cli.format.listing import parsed, rendered
from pybuild.builder.cli.format.template_functions import Loose, Typed
from pybuild.builder.cli.tools import say, store
from pybuild.builder.containers.events import CONTAINER, IMAGE, VOLUME, Event, read_events
from pybuild.builder.containers.logs import parse_time

_KEYS = ("container", "daemon", "event", "image", "label", "network", "scope", "type", "volume")


@click.command("events", cls=Command)
@click.option("-f", "--filter", "filters", multiple=True, metavar="KEY=VALUE", help="Show only matching events.")
@click.option("--since", metavar="TIME", help="Show also earlier events, since a time such as 2023-01-31, or 10m ago.")
@click.option("--until", metavar="TIME", help="End at this time, such as now (0s).")
@click.option("--format", "template", metavar="FORMAT", help='Print as "json", or with a Go template.')
@root_option
def command(*, filters: tuple[str, ...], since: str | None, until: str | None, template: str | None) -> None:
    """Show what happens to containers, images, networks and volumes, as it happens; without --until it does not end.

    There is no daemon: commands and the monitors of containers write the log, of which the last 4 to 8 MB are kept.
    Filters: container, event, image, label, network, type and volume. Of several filters with the same key, one
    must match.
    """
    passes, now = event_filter(filters), time.time()
    asked = parsed(template, TEMPLATE) if template and template != "json" else None
    begin = None if since is None else parse_time(since, now)
    end = None if until is None else parse_time(until, now)
    opened = store()
    root = opened.root
    opened.close()
    for event in read_events(root, begin, end):
        if not passes(event):
            continue
        if template == "json":
            say(json.dumps(event.document(), separators=(",", ":"), ensure_ascii=False))
        elif asked is not None:
            say(rendered(asked, _in_template(event)))
        else:
            say(_line(event))


def event_filter(filters: Iterable[str]) -> Callable[[Event], bool]:
    """Return the test for *filters*: of several with the same key one must match, of labels all. Raises as `by_key`."""
    wanted = by_key(filters, _KEYS)
    return lambda event: all(_fits(event, key, values) for key, values in wanted.items())


def _fits(event: Event, key: str, values: list[str]) -> bool:
    attributes = dict(event.attributes)
    if key == "label":
        return all(has_label(event.attributes, value) for value in values)
    match key:
        case "event":
            # After a colon an action has details, such as the command of an exec.
            known = {event.action, event.action.partition(":")[0]}
        case "type":
            known = {event.kind}
        case "scope":
            known = {"local"}
        case "image":
            known = _images(event, attributes)
        case _:
            of_kind = event.kind == {"container": CONTAINER, "volume": VOLUME}.get(key, key)
            known = {event.identity, attributes.get("name", "")} if of_kind else set()
            return any(name.startswith(value) for value in values for name in known if name)
    return bool(known.intersection(values))


def _images(event: Event, attributes: dict[str, str]) -> set[str]:
    """Return the names of the image that *event* is about, with and without a tag."""
    if event.kind not in {CONTAINER, IMAGE}:
        return set()
    name = attributes.get("name" if event.kind == IMAGE else "image", "")
    found = {name, event.identity} if event.kind == IMAGE else {name}
    head, slash, last = name.rpartition("/")
    return {*found, f"{head}{slash}{last.partition(':')[0]}"} - {""}


def _line(event: Event) -> str:
    attributes = ", ".join(f"{name}={value}" for name, value in sorted(event.attributes))
    return f"{_time(event.nanoseconds)} {event.kind} {event.action} {event.identity}" + (
        f" ({attributes})" if attributes else ""
    )


def _time(nanoseconds: int) -> str:
    """Return a time in the time zone of this host with nine digits after the second, as Go prints it."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    zone = datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%dT%H:%M:%S|%z")
    text, _, offset = zone.partition("|")
    return f"{text}.{rest:09}{'Z' if offset == '+0000' else f'{offset[:3]}:{offset[3:]}'}"


def _in_template(event: Event) -> Typed:
    """Return the event with the field names of Docker's templates."""
    document = event.document()
    return Typed(
        {
            **{name: document[name] for name in ("Type", "Action")},
            "Actor": {"ID": event.identity, "Attributes": Loose(event.attributes)},
            "Status": document.get("status", ""),
            "ID": document.get("id", ""),
            "From": document.get("from", ""),
            "Scope": document["scope"],
            "Time": document["time"],
            "TimeNano": document["timeNano"],
        },
        {},
    )
