"""What is mounted into a container: ``-v``, ``--mount`` and ``--tmpfs``. Raises RequestError."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from posixpath import normpath

from pybuild.builder.containers.config import BIND, TMPFS, VOLUME, MountPoint
from pybuild.builder.containers.volume_options import PRIVATE, PROPAGATED, tmpfs_of
from pybuild.builder.errors import RequestError
from pybuild.builder.options import record
from pybuild.grammar.parse_go import parse_bool, parse_size
from pybuild.runtime.values import replace

_MODES = frozenset({"ro", "rw", "z", "Z", "nocopy"})
"""Labels of SELinux, ``z`` and ``Z``, are left as they are."""
_ONE_OF = (frozenset({"ro", "rw"}), frozenset({"z", "Z"}))
_REPEATED = ("volume-label", "volume-opt")
_KEYS = {
    BIND: {"bind-propagation", "bind-nonrecursive", "bind-recursive"},
    VOLUME: {"volume-nocopy", "volume-driver", "volume-label", "volume-opt"},
    TMPFS: {"tmpfs-size", "tmpfs-mode"},
}
_EVERYWHERE = {"type", "source", "src", "target", "destination", "dst", "readonly", "ro"}
_FLAGS = frozenset({"readonly", "ro", "volume-nocopy", "bind-nonrecursive"})


def mount_points(volumes: Iterable[str], mounts: Iterable[str], temporary: Iterable[str]) -> tuple[MountPoint, ...]:
    """Return what all of them mount."""
    found = (*map(_volume, volumes), *map(_mount, mounts), *map(tmpfs, temporary))
    seen: set[str] = set()
    for each in found:
        if each.target in seen:
            raise RequestError(f"Duplicate mount point: {each.target}")
        seen.add(each.target)
    return found


def binds(volumes: Iterable[str]) -> tuple[str, ...]:
    """Return the words of ``-v`` that name a source."""
    return tuple(text for text in volumes if ":" in text)


def _volume(text: str) -> MountPoint:
    parts = text.split(":")
    if len(parts) > 3 or not all(parts):
        raise RequestError(
            f"invalid volume specification: '{text}'", hint="write it as SOURCE:TARGET or SOURCE:TARGET:ro"
        )
    if len(parts) == 1:
        return MountPoint(kind=VOLUME, target=_target(parts[0], text))
    modes = frozenset(parts[2].split(",")) if len(parts) == 3 else frozenset()
    propagation = modes & (PRIVATE | PROPAGATED)
    if modes - _MODES - propagation or any(len(modes & each) > 1 for each in (PRIVATE | PROPAGATED, *_ONE_OF)):
        raise RequestError(f"invalid mode: {parts[2]}", hint="use ro, rw, nocopy, or rshared, rslave and the like")
    target, read_only = _target(parts[1], text), "ro" in modes
    if not parts[0].startswith(("/", ".")):  # as in Docker, which then refuses a name with a slash
        if propagation:
            raise RequestError(
                f"invalid volume specification: '{text}': invalid mount config for type \"volume\": field BindOptions"
                " must not be specified",
                hint="propagation is for directories of the host",
            )
        return MountPoint(kind=VOLUME, name=parts[0], target=target, read_only=read_only, copies="nocopy" not in modes)
    place = Path(parts[0]).absolute()
    passed_on = "".join(propagation & PROPAGATED)
    return MountPoint(kind=BIND, source=os.fspath(place), target=target, read_only=read_only, propagation=passed_on)


def _mount(text: str) -> MountPoint:
    given, several = _fields(text)
    kind = given.get("type", VOLUME)
    if kind not in _KEYS:
        raise RequestError(f"invalid argument {text!r} for --mount: mount type {kind!r} is not supported")
    for key in given.keys() - _EVERYWHERE - _KEYS[kind]:
        raise RequestError(f"invalid argument {text!r} for --mount: unexpected key '{key}' in '{text}'")
    source = given.get("source", given.get("src", ""))
    target = _target(given.get("target", given.get("destination", given.get("dst", ""))), text)
    read_only = _flag(given, "readonly") or _flag(given, "ro")
    if kind == TMPFS:
        return _sized(target, given, read_only=read_only)
    if kind == VOLUME:
        copies = not _flag(given, "volume-nocopy")
        if given.get("volume-driver", "local") != "local":
            raise RequestError(f"--mount: there is no volume driver {given['volume-driver']!r}", hint="there is local")
        return MountPoint(
            kind=VOLUME,
            name=source,
            target=target,
            read_only=read_only,
            copies=copies,
            labels=several["volume-label"],
            driver_options=several["volume-opt"],
        )
    propagation = given.get("bind-propagation", "rprivate")
    if propagation not in PRIVATE | PROPAGATED:
        raise RequestError(f'invalid mount config for type "bind": invalid propagation mode: {propagation}')
    if not source.startswith("/") or not os.path.exists(source):
        raise RequestError(
            f'invalid mount config for type "bind": bind source path does not exist: {source}',
            hint="give an absolute path that exists",
        )
    recursive = given.get("bind-recursive", "enabled") != "disabled" and not _flag(given, "bind-nonrecursive")
    passed_on = propagation if propagation in PROPAGATED else ""
    return MountPoint(
        kind=BIND, source=source, target=target, read_only=read_only, recursive=recursive, propagation=passed_on
    )


def _fields(text: str) -> tuple[dict[str, str], dict[str, tuple[tuple[str, str], ...]]]:
    """Return the fields of ``--mount``, and those that may be repeated, each of which is KEY=VALUE itself."""
    import csv

    once: list[str] = []
    several: dict[str, list[tuple[str, str]]] = {name: [] for name in _REPEATED}
    # One record of CSV: a value with a comma is quoted together with its key.
    for word in next(csv.reader([text]), []):
        name, _, value = word.partition("=")
        if name in several:
            key, _, content = value.partition("=")
            several[name].append((key, content))
        else:
            once.append(f"{word}=true" if word in _FLAGS else word)
    quoted = (f'"{word}"' if "," in word and '"' not in word else word for word in once)
    return record(",".join(quoted), "--mount"), {name: tuple(pairs) for name, pairs in several.items()}


def _sized(target: str, given: Mapping[str, str], *, read_only: bool) -> MountPoint:
    try:
        size = parse_size(given.get("tmpfs-size", "0"))
        mode = int(given["tmpfs-mode"], 8) if "tmpfs-mode" in given else None
    except ValueError as error:
        raise RequestError(f"invalid --mount: {error}", hint="write it as tmpfs-size=64m,tmpfs-mode=755") from error
    return MountPoint(kind=TMPFS, target=target, size=size, mode=mode, read_only=read_only, no_exec=True)


def tmpfs(text: str) -> MountPoint:
    """Return what ``--tmpfs TARGET[:OPTIONS]`` mounts."""
    target, _, options = text.partition(":")
    return replace(tmpfs_of(options, no_exec=True), target=_target(target, text), options=options)


def _flag(given: Mapping[str, str], name: str) -> bool:
    try:
        return name in given and parse_bool(given[name] or "true")
    except ValueError as error:
        raise RequestError(f"invalid value for {name}: {given[name]}") from error


def _target(path: str, text: str) -> str:
    if not path.startswith("/"):
        raise RequestError(f"invalid mount path: '{path}' mount path must be absolute", hint=f"in {text!r}")
    whole = normpath("/" + path.lstrip("/"))
    if whole == "/":
        raise RequestError(f"invalid specification: destination can't be '/' in '{text}'")
    return whole
