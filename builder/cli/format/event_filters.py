"""The filters of ``events``: of several with the same key one must match, of labels all."""

from collections.abc import Callable, Iterable

from pybuild.builder.cli.format.filters import by_key, has_label
from pybuild.builder.containers.events import CONTAINER, IMAGE, VOLUME, Event

Passes = Callable[[Event], bool]
_KEYS = ("container", "daemon", "event", "image", "label", "network", "scope", "type", "volume")


def event_filter(filters: Iterable[str]) -> Passes:
    """Return the test for *filters*. Raises RequestError."""
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
