"""The options of a volume: a directory of the host, or a tmpfs, in place of a directory in the store.

They are those of Docker's driver ``local``, which mounts them on the host while a container has the volume. Here each
sandbox mounts them for itself, so that a kill leaves nothing on the host.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from pybuild.builder.containers.config import TMPFS, MountPoint
from pybuild.builder.containers.errors import ContainerError
from pybuild.builder.errors import RequestError
from pybuild.grammar.golang import parse_size

_KEYS = ("type", "device", "o")
_BIND, _WAYS = frozenset({"", "none", "bind"}), frozenset({"bind", "rbind", "rw", "ro"})
_OF_TMPFS = frozenset({"rw", "exec", "noexec", "nosuid", "nodev", "noatime"})


def check_options(options: Mapping[str, str]) -> None:
    """Raise RequestError unless *options* can be kept."""
    for key in options:
        if key not in _KEYS:
            raise RequestError(f"invalid option: {key!r}", hint=f"use {', '.join(_KEYS)}")
    if not options:
        return
    kind, device, ways = options.get("type", ""), options.get("device", ""), _words(options)
    if kind == "tmpfs":
        tmpfs_of(options.get("o", ""), "o=")
    elif kind not in _BIND:
        raise RequestError(
            f"a volume of the type {kind!r} is not supported",
            hint=f"mount it on the host, and use -o type=none -o o=bind -o device=DIRECTORY (here: {device})",
        )
    elif not {"bind", "rbind"} & set(ways):
        raise RequestError("a volume with a device needs -o o=bind", hint="-o type=none -o o=bind -o device=DIRECTORY")
    elif not device.startswith("/"):
        raise RequestError(f"the device {device!r} of a volume is no absolute path", hint="-o device=/DIRECTORY")
    elif unknown := set(ways) - _WAYS:
        raise RequestError(
            f"the option o={min(unknown)} of a volume is not supported", hint="use bind, rbind, ro or rw"
        )


def place_of(name: str, data: Path, options: Mapping[str, str]) -> Path | MountPoint:
    """Return what containers see in place of the directory *data* of the volume *name*. Raises ContainerError."""
    if options.get("type") == "tmpfs":
        return tmpfs_of(options.get("o", ""), "o=")
    if not options:
        return data
    device = options.get("device", "")
    if not os.path.isdir(device):
        raise ContainerError(
            f"error while mounting volume '{data}': {device}: no such directory", hint=f"volume {name}"
        )
    return Path(device)


def tmpfs_of(text: str, prefix: str = "") -> MountPoint:
    """Return the tmpfs that the options of mount(8) describe, separated by commas, at no place yet.

    Raises RequestError, which names an option with *prefix* before it, as the user has written it.
    """
    size, mode, read_only = 0, 0o1777, False
    for option in filter(None, text.split(",")):
        name, _, value = option.partition("=")
        try:
            if name == "size":
                size = parse_size(value)
            elif name == "mode":
                mode = int(value, 8)
            elif name == "ro":
                read_only = True
            elif name not in _OF_TMPFS:
                raise RequestError(f"invalid tmpfs option {prefix + option!r}", hint="use size, mode and ro")
        except ValueError as error:
            hint = f"write it as {prefix}size=64m,mode=755"
            raise RequestError(f"invalid tmpfs option {prefix + option!r}", hint=hint) from error
    return MountPoint(kind=TMPFS, target="", size=size, mode=mode, read_only=read_only)


def _words(options: Mapping[str, str]) -> list[str]:
    return [word for word in options.get("o", "").split(",") if word]
