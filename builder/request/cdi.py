"""Devices by name: reading files of the Container Device Interface, in which vendors describe their devices.

    /etc/cdi/*.json, *.yaml and /var/run/cdi/*.json, *.yaml     the files of this host's administrator and its drivers
    VENDOR/CLASS=NAME                                           a device in them; of several the last one

Device nodes, variables, mounts of files and additional groups are supported. Hooks, which are programs that a runtime
would run on the host, are not run; the caller is told that there are some.
"""

import importlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from pybuild.builder.errors import RequestError
from pybuild.builder.request.values import Device, Rights, Volume
from pybuild.runtime.values import frozen

PLACES = (Path("/etc/cdi"), Path("/var/run/cdi"))
_NAME = re.compile(r"(?P<kind>[A-Za-z][\w.-]*/[A-Za-z][\w-]*)=(?P<device>[A-Za-z0-9][\w.:-]*)", re.ASCII)
_LIMIT = 4 << 20


@frozen
class Needed:
    """The rights that a device needs. *hooks* says whether it has hooks, which are not run."""

    rights: Rights
    hooks: bool


def is_name(text: str) -> bool:
    """Return whether *text* names a device instead of a path."""
    return _NAME.fullmatch(text) is not None


def find_device(text: str, places: Sequence[Path] = PLACES) -> Needed:
    """Return the rights that the device with this name needs. Raises RequestError when no file describes it."""
    name = _NAME.fullmatch(text)
    if name is None:
        raise RequestError(f"invalid device name {text!r}", hint="write it as VENDOR/CLASS=NAME")
    found = None
    for path, document in _documents(places):
        if document.get("kind") != name["kind"]:
            continue
        for device in _objects(document, "devices", path):
            if device.get("name") == name["device"]:
                found = (path, _edits(document, path), _edits(device, path))
    if found is None:
        where = " and ".join(map(str, places))
        raise RequestError(f"unresolvable CDI device {text}", hint=f"it is in no file of {where}")
    path, *edits = found
    try:
        return _made(edits)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RequestError(f"{path}: the device {text} is not described as CDI wants it: {error}") from error


def _documents(places: Iterable[Path]) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    for place in places:
        for path in sorted(place.glob("*")) if place.is_dir() else ():
            if path.suffix in {".json", ".yaml", ".yml"}:
                yield path, _read(path)


def _read(path: Path) -> Mapping[str, Any]:
    try:
        with path.open("rb") as file:
            raw = file.read(_LIMIT + 1)
        if len(raw) > _LIMIT:  # a part of YAML is YAML as well
            raise RequestError(f"{path}: not a CDI file: larger than {_LIMIT} bytes")
        text = raw.decode()
        found = json.loads(text) if path.suffix == ".json" else _yaml(text, path)
    except (OSError, ValueError, RecursionError) as error:
        raise RequestError(f"{path}: not a CDI file: {getattr(error, 'strerror', None) or error}") from error
    if not isinstance(found, dict):
        raise RequestError(f"{path}: not a CDI file: expected an object")
    return found


def _yaml(text: str, path: Path) -> Any:
    try:
        yaml: Any = importlib.import_module("yaml")
    except ImportError as error:
        raise RequestError(
            f"{path}: YAML cannot be read here", hint="pip install pyyaml, or write it as JSON"
        ) from error
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from error


def _objects(document: Mapping[str, Any], key: str, path: Path) -> list[Mapping[str, Any]]:
    found = document.get(key) or []
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise RequestError(f"{path}: not a CDI file: {key} is no list of objects")
    return found


def _edits(document: Mapping[str, Any], path: Path) -> Mapping[str, Any]:
    found = document.get("containerEdits") or {}
    if not isinstance(found, dict):
        raise RequestError(f"{path}: not a CDI file: containerEdits is no object")
    return found


def _made(edits: Sequence[Mapping[str, Any]]) -> Needed:
    def every(key: str) -> list[Any]:
        return [item for each in edits for item in each.get(key) or ()]

    if any(each.get("intelRdt") for each in edits):
        raise ValueError("intelRdt is not supported")
    pairs = (line.partition("=") for line in every("env"))
    return Needed(
        rights=Rights(
            env=tuple((name, value) for name, _, value in pairs),
            devices=tuple(map(_device, every("deviceNodes"))),
            volumes=tuple(map(_volume, every("mounts"))),
            # The group 0 is left out, as the CDI specification wants it ("additionalGids").
            groups=tuple(str(int(number)) for number in every("additionalGids") if int(number)),
        ),
        hooks=bool(every("hooks")),
    )


def _device(given: Mapping[str, Any]) -> Device:
    if not {"r", "w"} <= set(given.get("permissions") or "rw"):
        raise ValueError("permissions other than rw and rwm are not supported")
    return Device(host_path=Path(given.get("hostPath") or given["path"]), target=PurePosixPath(given["path"]))


def _volume(given: Mapping[str, Any]) -> Volume:
    return Volume(
        host_path=Path(given["hostPath"]),
        target=PurePosixPath(given["containerPath"]),
        read_only="ro" in (given.get("options") or ()),
    )
