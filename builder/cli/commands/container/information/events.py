"""``pybuild events``: the events of the store."""

import json
import time
from datetime import datetime

import click

from pybuild.builder.cli.command import Command, root_option
from pybuild.builder.cli.failures import TEMPLATE
from pybuild.builder.cli.format.event_filters import event_filter
from pybuild.builder.cli.format.listing import parsed, rendered
from pybuild.builder.cli.format.template_functions import Loose, Typed
from pybuild.builder.cli.tools import say, store
from pybuild.builder.containers.events import Event, read_events
from pybuild.builder.containers.logs import parse_time


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
