"""The networks of a container on disk.

    <root>/containers/<id>/networks.json      those that it is on whenever it runs: `Membership`
                           network-up.json    what it has of them while it runs: `Live`

The second is there from before the first thing is set up until the last one is taken down, so who finds it and no
process of the container knows what to take down.
"""

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from pybuild.builder.networks.values import Endpoint, Live, Membership, PublishedPort
from pybuild.builder.store.holds import CONTAINERS
from pybuild.runtime.paths.replacing import replace_file
from pybuild.runtime.values import fields

ATTACHED, _LIVE = "networks.json", "network-up.json"
_Value = TypeVar("_Value", Membership, Endpoint, PublishedPort)


def attached_text(attachments: Iterable[Membership]) -> str:
    """Return the content of the file of the networks of a container."""
    return json.dumps([plain(each) for each in attachments])


def read_attached(directory: Path) -> tuple[Membership, ...]:
    """Return the networks that the container in *directory* is on whenever it runs."""
    return tuple(_value(Membership, each) for each in _read(directory / ATTACHED, list))


def write_attached(directory: Path, attachments: Iterable[Membership]) -> None:
    """Change the networks of a container, whose lock the caller holds."""
    replace_file(directory / ATTACHED, attached_text(attachments))


def read_live(directory: Path) -> Live | None:
    """Return what the container in *directory* has of its networks, None when nothing is set up."""
    members = _read(directory / _LIVE, dict)
    if not members:
        return None
    return Live(
        boot=str(members.get("boot", "")),
        space=str(members.get("space", "")),
        container=directory.name,
        endpoints=tuple(_value(Endpoint, each) for each in members.get("endpoints", ())),
        ports=tuple(_value(PublishedPort, each) for each in members.get("ports", ())),
    )


def is_live(directory: Path) -> bool:
    """Tell whether something is set up for the container in *directory*."""
    return (directory / _LIVE).exists()


def write_live(directory: Path, live: Live) -> None:
    """Say what is set up from now on."""
    document = {
        "boot": live.boot,
        "space": live.space,
        "endpoints": [plain(each) for each in live.endpoints],
        "ports": [plain(each) for each in live.ports],
    }
    replace_file(directory / _LIVE, json.dumps(document))


def forget_live(directory: Path) -> None:
    """Say that nothing is set up."""
    (directory / _LIVE).unlink(missing_ok=True)


def everyone(root: Path) -> list[Live]:
    """Return what all containers of the store at *root* have."""
    found = []
    with suppress(FileNotFoundError):
        for path in (root / CONTAINERS).iterdir():
            live = read_live(path)
            if live is not None:
                found.append(live)
    return found


def plain(value: Any) -> dict[str, Any]:
    """Return the members of a value."""
    return {each.name: getattr(value, each.name) for each in fields(value)}


def _value(kind: type[_Value], members: Mapping[str, Any]) -> _Value:
    known = {each.name for each in fields(kind)}
    return kind(**{name: _tuples(member) for name, member in members.items() if name in known})


def _tuples(member: Any) -> Any:
    return tuple(map(_tuples, member)) if isinstance(member, list) else member


def _read(path: Path, kind: type) -> Any:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return kind()
    return found if isinstance(found, kind) else kind()
