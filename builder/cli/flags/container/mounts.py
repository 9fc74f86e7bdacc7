"""What is mounted into a container: ``-v``, ``--mount`` and ``--tmpfs``. Raises RequestError."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from posixpath import normpath

from pybuild.builder.containers.config import BIND, TMPFS, VOLUME, MountPoint
from pybuild.builder.errors import RequestError
from pybuild.builder.options import record
from pybuild.grammar.golang import parse_bool, parse_size

_MODES = frozenset({"ro", "rw", "z", "Z", "nocopy", "rprivate", "private"})
"""Labels of SELinux, ``z`` and ``Z``, are left as they are; nothing is propagated, as without a mode."""
_KEYS = {
    BIND: {"bind-propagation", "bind-nonrecursive"},
    VOLUME: {"volume-nocopy", "volume-driver", "volume-label", "volume-opt"},
    TMPFS: {"tmpfs-size", "tmpfs-mode"},
}
_EVERYWHERE = {"type", "source", "src", "target", "destination", "dst", "readonly", "ro"}
_FLAGS = frozenset({"readonly", "ro", "volume-nocopy", "bind-nonrecursive"})
_TMPFS_OPTIONS = frozenset({"rw", "noexec", "exec", "nosuid", "nodev", "noatime"})


def mount_points(volumes: Iterable[str], mounts: Iterable[str], tmpfs: Iterable[str]) -> tuple[MountPoint, ...]:
    """Return what all of them mount."""
    found = (*map(_volume, volumes), *map(_mount, mounts), *map(_tmpfs, tmpfs))
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
    if modes - _MODES:
        raise RequestError(f"invalid mode: {parts[2]}", hint="use ro, rw or nocopy")
    target, read_only = _target(parts[1], text), "ro" in modes
    if "/" not in parts[0] and parts[0] not in {".", ".."}:
        return MountPoint(kind=VOLUME, name=parts[0], target=target, read_only=read_only, copies="nocopy" not in modes)
    place = Path(parts[0]).absolute()
    return MountPoint(kind=BIND, source=os.fspath(place), target=target, read_only=read_only)


def _mount(text: str) -> MountPoint:
    given = record(",".join(f"{word}=true" if word in _FLAGS else word for word in text.split(",")), "--mount")
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
        return MountPoint(kind=VOLUME, name=source, target=target, read_only=read_only, copies=copies)
    if not source.startswith("/") or not os.path.exists(source):
        raise RequestError(
            f'invalid mount config for type "bind": bind source path does not exist: {source}',
            hint="give an absolute path that exists",
        )
    return MountPoint(kind=BIND, source=source, target=target, read_only=read_only)


def _sized(target: str, given: Mapping[str, str], *, read_only: bool) -> MountPoint:
    try:
        size, mode = parse_size(given.get("tmpfs-size", "0")), int(given.get("tmpfs-mode", "1777"), 8)
    except ValueError as error:
        raise RequestError(f"invalid --mount: {error}", hint="write it as tmpfs-size=64m,tmpfs-mode=755") from error
    return MountPoint(kind=TMPFS, target=target, size=size, mode=mode, read_only=read_only)


def _tmpfs(text: str) -> MountPoint:
    target, _, options = text.partition(":")
    size, mode, read_only = 0, 0o1777, False
    for option in filter(None, options.split(",")):
        name, _, value = option.partition("=")
        try:
            if name == "size":
                size = parse_size(value)
            elif name == "mode":
                mode = int(value, 8)
            elif name == "ro":
                read_only = True
            elif name not in _TMPFS_OPTIONS:
                raise RequestError(f"invalid tmpfs option {option!r}", hint="use size, mode and ro")
        except ValueError as error:
            raise RequestError(f"invalid tmpfs option {option!r}", hint="write it as size=64m,mode=755") from error
    return MountPoint(
        kind=TMPFS, target=_target(target, text), size=size, mode=mode, read_only=read_only, options=options
    )


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
