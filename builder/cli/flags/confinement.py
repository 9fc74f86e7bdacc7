"""Parsing ``--cap-add``, ``--security-opt``, ``--device`` and the like, for steps and for containers."""

import os
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from pybuild.builder.cli.tools import warn
from pybuild.builder.errors import RequestError, reason
from pybuild.builder.options import record
from pybuild.builder.request.capabilities import named
from pybuild.builder.request.values import Device, Rights
from pybuild.grammar.parse_go import parse_bool
from pybuild.runtime.errors import kernel_reason

_GPU = "nvidia.com/gpu"
_GPU_KEYS = frozenset({"count", "device", "driver", "capabilities", "options"})
_LIMIT = 1 << 20
_OFF = frozenset({"apparmor=unconfined", "label=disable"})
"""Options that change nothing, because pybuild sets no labels of security modules."""
_KNOWN = "there are no-new-privileges, seccomp=FILE and seccomp=unconfined"


def confinement(
    *,
    cap_add: Sequence[str] = (),
    cap_drop: Sequence[str] = (),
    groups: tuple[str, ...] = (),
    devices: Sequence[str] = (),
    security: Sequence[str] = (),
) -> Rights:
    """Return the rights that these flags give. Raises RequestError."""
    added, dropped = named(cap_add, cap_drop)
    seccomp, no_new_privileges = _security(security)
    by_name, nodes = _devices(devices)
    return Rights(
        cap_add=added,
        cap_drop=dropped,
        groups=(*groups, *(group for each in by_name for group in each.groups)),
        devices=(*nodes, *(node for each in by_name for node in each.devices)),
        env=tuple(pair for each in by_name for pair in each.env),
        volumes=tuple(file for each in by_name for file in each.volumes),
        seccomp=seccomp,
        no_new_privileges=no_new_privileges,
    )


def _security(given: Iterable[str]) -> tuple[str | None, bool]:
    seccomp, no_new_privileges = None, False
    for text in given:
        # Docker also accepts a colon, its older notation.
        name, _, value = (text if "=" in text else text.replace(":", "=", 1)).partition("=")
        if name == "no-new-privileges":
            no_new_privileges = _switch(text, value)
        elif name == "seccomp":
            seccomp = _profile(value)
        elif f"{name}={value}" not in _OFF:
            raise RequestError(f"--security-opt {text} is not supported", hint=_KNOWN)
    return seccomp, no_new_privileges


def _switch(text: str, value: str) -> bool:
    try:
        return parse_bool(value or "true")
    except ValueError as error:
        raise RequestError(f'invalid --security-opt 2: "{text}"', hint="write it as no-new-privileges") from error


def _profile(value: str) -> str | None:
    """Return the text of a valid profile; "" for no filter, None for the default one."""
    if value in {"unconfined", "builtin"}:
        return "" if value == "unconfined" else None
    if not value:
        raise RequestError("--security-opt seccomp= needs a file", hint=_KNOWN)
    from pybuild.runtime.sandbox.seccomp_profile import InvalidProfile, parse_profile

    try:
        text = _text(Path(value))
        parse_profile(text)
    except OSError as error:
        raise RequestError(f"opening seccomp profile ({value}) failed: {reason(error)}") from error
    except (InvalidProfile, UnicodeDecodeError) as error:
        raise RequestError(f"seccomp profile {value}: {error}") from error
    return text


def _text(path: Path) -> str:
    with path.open("rb") as file:
        data = file.read(_LIMIT + 1)
    if len(data) > _LIMIT:
        raise RequestError(f"seccomp profile {path}: it is longer than {_LIMIT} bytes")
    return data.decode()


def _devices(given: Iterable[str]) -> tuple[list[Rights], list[Device]]:
    """Return what the devices that CDI files describe need, and the nodes of those that are given by path."""
    by_name: list[Rights] = []
    nodes: list[Device] = []
    for text in given:
        from pybuild.builder.request import cdi  # inside the loop: few runs name a device

        if not cdi.is_name(text):
            nodes += _device_nodes(text)
            continue
        found = cdi.find_device(text)
        if found.hooks:
            warn(f"--device {text}: the hooks that its CDI file names are not run")
        by_name.append(found.rights)
    return by_name, nodes


def _device_nodes(text: str) -> list[Device]:
    """Return the nodes of ``HOST[:TARGET][:PERMISSIONS]``; those in a directory one by one, as Docker does."""
    host, *rest = text.split(":")
    target = rest.pop(0) if rest and rest[0].startswith("/") else host
    permissions = rest.pop(0) if rest else "rwm"
    if rest or not host.startswith("/") or not permissions or set(permissions) - set("rwm"):
        raise RequestError(f"invalid --device {text!r}", hint="write it as /dev/NAME[:/dev/NAME][:rwm]")
    if not {"r", "w"} <= set(permissions):
        raise RequestError(
            f"--device {text!r}: permissions other than rw and rwm are not supported", hint="leave them out"
        )
    found = [
        Device(host_path=Path(os.path.realpath(path)), target=PurePosixPath(target, os.path.relpath(path, host)))
        for path in _nodes(host, text)
    ]
    if not found:
        raise RequestError(f"--device {text!r}: there is no device node in {host}")
    return found


def _nodes(host: str, text: str) -> list[str]:
    try:
        mode = os.stat(host).st_mode
    except OSError as error:
        raise RequestError(
            f'error gathering device information while adding custom device "{host}": {kernel_reason(error)}',
            hint=f"--device {text}",
        ) from error
    if _is_device(mode):
        return [host]
    if not stat.S_ISDIR(mode):
        raise RequestError(f"--device {text!r}: not a device node")
    found = (os.path.join(directory, name) for directory, _, names in os.walk(host) for name in names)
    return sorted(path for path in found if _is_device(os.lstat(path).st_mode))


def _is_device(mode: int) -> bool:
    return stat.S_ISCHR(mode) or stat.S_ISBLK(mode)


def gpu_names(texts: Iterable[str]) -> tuple[str, ...]:
    """Return the CDI names behind *texts*: ``all``, a number, or ``device=0`` and the like."""
    return tuple(f"{_GPU}={name}" for text in texts for name in _gpus(text))


_DIGITS = 4
"""A number of GPUs has fewer: each one is a name, of which a mistyped number would make too many."""


def _gpus(text: str) -> Iterable[str]:
    if text == "all":
        return ("all",)
    if text.isascii() and text.isdigit() and len(text) < _DIGITS:
        return tuple(map(str, range(int(text))))
    plain = text.strip('"')
    if plain.startswith("device=") and "=" not in plain.removeprefix("device="):
        return tuple(plain.removeprefix("device=").split(","))
    found = record(text.replace('"', ""), "--gpus") if "=" in text else {}
    if not found or found.keys() - _GPU_KEYS:
        raise RequestError(f"invalid --gpus {text!r}", hint="write it as all, 2, or device=0")
    if found.get("driver", "nvidia") != "nvidia":
        raise RequestError(f"--gpus: the driver {found['driver']!r} is not known", hint="use --device with a CDI name")
    if "device" in found:
        return tuple(found["device"].split(","))
    return _gpus(found.get("count", "all").replace("-1", "all"))
