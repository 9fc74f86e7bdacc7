"""The filters of ``ps`` and ``container prune``."""

import time
from collections.abc import Callable, Iterable
from pathlib import Path

from pybuild.builder.cli.format.filters import by_key, has_label, passing
from pybuild.builder.containers.catalog import StoredContainer, find
from pybuild.builder.containers.logs import moment_of, parse_time
from pybuild.builder.errors import RequestError
from pybuild.builder.networks.membership import read_attached, read_live

Passes = Callable[[StoredContainer], bool]
_STATES = ("created", "dead", "exited", "paused", "removing", "restarting", "running")
_HEALTH = ("healthy", "none", "starting", "unhealthy")
_DIGITS = 18
_KEYS = (
    "ancestor",
    "before",
    "exited",
    "expose",
    "health",
    "id",
    "label",
    "name",
    "network",
    "publish",
    "since",
    "status",
    "volume",
)


def container_filter(root: Path, filters: Iterable[str], image_id: Callable[[str], str]) -> tuple[Passes, bool]:
    """Return the test for *filters*, and whether they select states, so that all containers are tested.

    *root* is that of the store; *image_id* returns the id of the image that a name stands for, "" for none.

    Raises:
        RequestError: there is no such filter, or no such container.
    """
    wanted = by_key(filters, _KEYS)
    tells_state = bool({"status", "exited", "since", "before"} & wanted.keys())
    return passing(wanted, lambda key, value: _test(root, image_id, key, value)), tells_state


def prune_filter(filters: Iterable[str]) -> Passes:
    """Return the test for *filters*: ``until``, ``label`` and ``label!``. Raises RequestError."""
    now = time.time()

    def test(key: str, value: str) -> Passes:
        if key == "until":
            limit = parse_time(value, now)
            return lambda container: moment_of(container.config.created) < limit
        return lambda container: has_label(container.config.program.labels, value) is (key == "label")

    return passing(by_key(filters, ("until", "label", "label!")), test)


def _test(root: Path, image_id: Callable[[str], str], key: str, value: str) -> Passes:
    match key:
        case "id":
            return lambda container: container.id.startswith(value)
        case "name":
            return lambda container: value.strip("^/$") in container.name
        case "status":
            return _status(value)
        case "exited":
            return _exited(value)
        case "health":
            return _health(value)
        case "volume":
            return lambda container: any(value in {each.name, each.target} for each in container.config.host.mounts)
        case "network":
            return lambda container: value in _networks(container)
        case "publish" | "expose":
            return _port(value, published=key == "publish")
        case "ancestor":
            wanted = image_id(value)
            return lambda container: container.config.image_id == wanted or container.config.image == value
        case "before" | "since":
            other = find(root, value).config.created
            older = key == "before"
            return lambda container: (container.config.created < other) if older else (container.config.created > other)
        case _:
            return lambda container: has_label(container.config.program.labels, value)


def _status(value: str) -> Passes:
    if value not in _STATES:
        raise RequestError(f"invalid filter 'status={value}'", hint=f"use one of {', '.join(_STATES)}")
    return lambda container: container.state.status == value


def _health(value: str) -> Passes:
    if value not in _HEALTH:
        raise RequestError(f"invalid filter 'health={value}'", hint=f"use one of {', '.join(_HEALTH)}")

    def passes(container: StoredContainer) -> bool:
        found = container.state.health
        return (found.get("Status") if isinstance(found, dict) else "none") == value

    return passes


def _exited(value: str) -> Passes:
    if not (value.isascii() and value.isdigit()) or len(value) > _DIGITS:
        raise RequestError(f"invalid filter 'exited={value}'", hint="give a number")
    code = int(value)
    return lambda container: container.state.status == "exited" and container.state.exit_code == code


def _networks(container: StoredContainer) -> set[str]:
    attached = read_attached(container.directory)
    return {container.config.host.network, *(each.name for each in attached), *(each.network for each in attached)}


def _port(value: str, *, published: bool) -> Passes:
    """Return the test for a port, or a range of ports: published ones of the host, or exposed ones of a container."""
    # Imported here because most listings are not about ports.
    from pybuild.builder.networks.ports import exposed, parse_exposed

    wanted = {*parse_exposed(value)}

    def passes(container: StoredContainer) -> bool:
        if not published:
            return any(each.name in wanted for each in exposed(container.config.program.exposed_ports))
        live = read_live(container.directory) if container.state.runs else None
        return any(f"{each.host_port}/{each.protocol}" in wanted for each in (live.ports if live else ()))

    return passes
