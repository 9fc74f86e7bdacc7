"""The networks of a container, as files in its directory.

    <root>/containers/<id>/networks.json      the networks that it is connected to whenever it runs: `Membership`
                           network-up.json    what is set up for it while it runs: `Live`

``network-up.json`` is written before anything is set up, and removed after everything is taken down. A command that
finds it beside a container without processes knows that something went wrong, and what to take down.
"""

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from pybuild.builder.networks.values import Endpoint, Live, Membership, PublishedPort
from pybuild.builder.store.container_holds import CONTAINERS
from pybuild.runtime.paths.replacing import replace_file
from pybuild.runtime.values import fields

ATTACHED, _LIVE = "networks.json", "network-up.json"
_Value = TypeVar("_Value", Membership, Endpoint, PublishedPort)


def attached_text(memberships: Iterable[Membership]) -> str:
    """Return the content of ``networks.json``."""
    return json.dumps([plain(each) for each in memberships])


def read_attached(directory: Path) -> tuple[Membership, ...]:
    """Return the networks that the container in *directory* is connected to whenever it runs."""
    return tuple(_value(Membership, each) for each in _read(directory / ATTACHED, list))


def write_attached(directory: Path, memberships: Iterable[Membership]) -> None:
    """Replace the networks of a container. The caller holds its lock."""
    replace_file(directory / ATTACHED, attached_text(memberships))


def read_live(directory: Path) -> Live | None:
    """Return what is set up for the container in *directory*, None when nothing is."""
    members = _read(directory / _LIVE, dict)
    if not members:
        return None
    return Live(
        boot=str(members.get("boot", "")),
        space=str(members.get("space", "")),
        container=directory.name,
        endpoints=tuple(_value(Endpoint, each) for each in members.get("endpoints", ())),
        ports=tuple(_value(PublishedPort, each) for each in members.get("ports", ())),
        private=bool(members.get("private", False)),
        holder=str(members.get("holder", "")),
    )


def is_live(directory: Path) -> bool:
    """Return whether networks are recorded as set up for the container in *directory*."""
    return (directory / _LIVE).exists()


def write_live(directory: Path, live: Live) -> None:
    """Record what is about to be set up, or what is left of it. The caller holds the lock of the container."""
    document = {
        "boot": live.boot,
        "space": live.space,
        "endpoints": [plain(each) for each in live.endpoints],
        "ports": [plain(each) for each in live.ports],
        "private": live.private,
        "holder": live.holder,
    }
    replace_file(directory / _LIVE, json.dumps(document))


def forget_live(directory: Path) -> None:
    """Record that nothing is set up."""
    (directory / _LIVE).unlink(missing_ok=True)


def all_live(root: Path) -> list[Live]:
    """Return what is set up for each container of the store at *root*."""
    found = []
    with suppress(FileNotFoundError):
        for path in (root / CONTAINERS).iterdir():
            live = read_live(path)
            if live is not None:
                found.append(live)
    return found


def plain(value: Any) -> dict[str, Any]:
    """Return the fields of a value by name, as JSON has them."""
    return {each.name: getattr(value, each.name) for each in fields(value)}


def _value(kind: type[_Value], members: Mapping[str, Any]) -> _Value:
    # A later version may write fields that this one does not know.
    known = {each.name for each in fields(kind)}
    return kind(**{name: _tuples(member) for name, member in members.items() if name in known})


def _tuples(member: Any) -> Any:
    return tuple(map(_tuples, member)) if isinstance(member, list) else member


def _read(path: Path, kind: type) -> Any:
    """Return the document in *path*; an empty one when the file is missing, damaged, or of another kind."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return kind()
    return found if isinstance(found, kind) else kind()
