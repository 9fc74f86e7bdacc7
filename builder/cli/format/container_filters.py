"""The filters of ``ps`` and ``container prune``. Those with one key need only fit one; of labels all."""

import time
from collections.abc import Callable, Iterable

from pybuild.builder.containers.directory import Containers, StoredContainer
from pybuild.builder.containers.logs import moment, moment_of
from pybuild.builder.errors import RequestError
from pybuild.builder.image.catalog import find
from pybuild.builder.networks.membership import read_attached, read_live
from pybuild.builder.networks.ports import exposed, parse_exposed
from pybuild.builder.oci.errors import OciError

Passes = Callable[[StoredContainer], bool]
_STATES = ("created", "dead", "exited", "paused", "removing", "restarting", "running")
_KEYS = (
    "ancestor",
    "before",
    "exited",
    "expose",
    "id",
    "label",
    "name",
    "network",
    "publish",
    "since",
    "status",
    "volume",
)


def container_filter(
    containers: Containers, everyone: Iterable[StoredContainer], given: Iterable[str]
) -> tuple[Passes, bool]:
    """Return what *given* asks for, and whether it tells the state, so that all containers are asked.

    Raises:
        RequestError: there is no such filter, or no such container.
    """
    wanted = _by_key(given, _KEYS)
    everyone = list(everyone)
    tests = [_any([_test(containers, everyone, key, value) for value in values]) for key, values in wanted.items()]
    labels = [_label(value) for value in wanted.get("label", ())]
    tests = [test for key, test in zip(wanted, tests, strict=True) if key != "label"] + labels
    return lambda container: all(test(container) for test in tests), bool(
        {"status", "exited", "since", "before"} & wanted.keys()
    )


def prune_filter(given: Iterable[str]) -> Passes:
    """Return what *given* asks for: ``until``, ``label`` and ``label!``. Raises RequestError."""
    wanted = _by_key(given, ("until", "label", "label!"))
    now = time.time()
    tests = [_label(value) for value in wanted.get("label", ())]
    tests += [_not(_label(value)) for value in wanted.get("label!", ())]
    for value in wanted.get("until", ()):
        limit = moment(value, now)
        tests.append(lambda container, limit=limit: moment_of(container.config.created) < limit)  # type: ignore[misc]
    return lambda container: all(test(container) for test in tests)


def _by_key(given: Iterable[str], known: tuple[str, ...]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for text in given:
        key, mark, value = text.partition("=")
        if not mark:
            raise RequestError(
                f"invalid argument {text!r} for -f, --filter: bad format of filter (expected name=value)"
            )
        if key.lower() not in known:
            raise RequestError(f"invalid filter '{key}'", hint=f"use one of {', '.join(known)}")
        found.setdefault(key.lower(), []).append(value)
    return found


def _test(containers: Containers, everyone: list[StoredContainer], key: str, value: str) -> Passes:
    match key:
        case "id":
            return lambda container: container.id.startswith(value)
        case "name":
            return lambda container: value.strip("^/$") in container.name
        case "status":
            return _status(value)
        case "exited":
            return _exited(value)
        case "volume":
            return lambda container: any(value in {each.name, each.target} for each in container.config.host.mounts)
        case "network":
            return lambda container: value in _networks(container)
        case "publish" | "expose":
            return _port(value, published=key == "publish")
        case "ancestor":
            return _ancestor(containers, value)
        case "before" | "since":
            other = containers.find(value).config.created
            older = key == "before"
            return lambda container: (container.config.created < other) if older else (container.config.created > other)
        case _:
            return lambda _container: bool(everyone)


def _status(value: str) -> Passes:
    if value not in _STATES:
        raise RequestError(f"invalid filter 'status={value}'", hint=f"use one of {', '.join(_STATES)}")
    return lambda container: container.state.status == value


def _exited(value: str) -> Passes:
    if not value.isdigit():
        raise RequestError(f"invalid filter 'exited={value}'", hint="give a number")
    return lambda container: container.state.status == "exited" and container.state.exit_code == int(value)


def _networks(container: StoredContainer) -> set[str]:
    attached = read_attached(container.directory)
    return {container.config.host.network, *(each.name for each in attached), *(each.network for each in attached)}


def _port(value: str, *, published: bool) -> Passes:
    """Return the test for a port or a range of a container: one that is published, or one that is exposed."""
    wanted = {*parse_exposed(value)}

    def passes(container: StoredContainer) -> bool:
        live = read_live(container.directory) if container.state.runs else None
        ports = (
            live.ports if live and published else () if published else exposed(container.config.program.exposed_ports)
        )
        return any(each.name in wanted for each in ports)

    return passes


def _ancestor(containers: Containers, value: str) -> Passes:
    try:
        wanted = find(containers.store, value).id
    except OciError:
        wanted = ""
    return lambda container: container.config.image_id == wanted or container.config.image == value


def _label(value: str) -> Passes:
    name, mark, text = value.partition("=")

    def passes(container: StoredContainer) -> bool:
        labels = dict(container.config.program.labels)
        return name in labels and (not mark or labels[name] == text)

    return passes


def _not(test: Passes) -> Passes:
    return lambda container: not test(container)


def _any(tests: list[Passes]) -> Passes:
    return lambda container: any(test(container) for test in tests)
