"""Flags of ``build`` about what RUN steps get: secrets, SSH agents, entitlements, limits. Raises RequestError."""

import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from builder.errors import RequestError
from builder.request import Resources, Secret
from grammar.golang import parse_size

_ENTITLEMENTS = ("network.host", "security.insecure")
_MICROSECONDS = ("cpu-period", "cpu-quota")
_LIMITS = (
    *("core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss"),
    *("rtprio", "rttime", "sigpending", "stack"),
)
_UNLIMITED = 2**64 - 1


def step_flags(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add these flags to a command."""
    options = (
        click.option(
            *("--secret", "secrets"),
            multiple=True,
            metavar="id=ID[,src=FILE|,env=NAME]",
            help="Secret for RUN --mount=type=secret; never stored.",
        ),
        click.option(
            "--ssh",
            "agents",
            multiple=True,
            metavar="ID[=SOCKET|KEY,...]",
            help="Agent or keys for RUN --mount=type=ssh, git.",
        ),
        click.option("--allow", multiple=True, metavar="NAME", help="Permit security.insecure or network.host."),
        click.option("--shm-size", metavar="SIZE", help="Size of /dev/shm in steps (default: 64m)."),
        click.option("--ulimit", "ulimits", multiple=True, metavar="NAME=SOFT[:HARD]", help="Limit of processes."),
        click.option("-m", "--memory", metavar="SIZE", help="Memory of each step."),
        click.option("--cpu-period", metavar="MICROSECONDS", hidden=True),
        click.option("--cpu-quota", metavar="MICROSECONDS", hidden=True),
        click.option("--resource", "resources", multiple=True, metavar="KEY=VALUE,...", help="Limits of each step."),
    )
    for option in reversed(options):
        function = option(function)
    return function


def step_values(flags: Mapping[str, Any], env: Mapping[str, str]) -> dict[str, Any]:
    """Return the fields of a request that these flags set."""
    return {
        "secrets": tuple(_secret(item, env) for item in flags["secrets"]),
        "ssh": tuple((name, paths[0]) for name, paths in _agents(flags["agents"], env) if _is_socket(paths[0])),
        "allow": frozenset(_entitlement(item) for given in flags["allow"] for item in given.split(",")),
        "resources": _resources(flags),
    }


def _fields(given: str, flag: str) -> dict[str, str]:
    import csv

    fields: dict[str, str] = {}
    for field in next(csv.reader([given], strict=True), []):
        key, equals, value = field.partition("=")
        if not equals:
            raise RequestError(f"invalid {flag} {given!r}: {field!r} must be a key=value pair")
        fields[key.strip().lower()] = value
    return fields


def _secret(given: str, env: Mapping[str, str]) -> Secret:
    """Return a secret; an id alone is a variable when there is one of its name, else a file."""
    fields = _fields(given, "--secret")
    kind, name = fields.pop("type", ""), fields.pop("id", "")
    path = fields.pop("src", "") or fields.pop("source", "")
    variable = fields.pop("env", "")
    if fields or kind not in {"", "file", "env"}:
        wrong = next(iter(fields), f"type={kind}")
        raise RequestError(f"invalid --secret {given!r}: unexpected {wrong!r}", hint="use id=, src=, env= and type=")
    name = name or Path(path).name
    if not name:
        raise RequestError(f"invalid --secret {given!r}: id is required")
    if kind == "env" or variable or (not kind and not path and name in env):
        return Secret(id=name, variable=variable or path or name)
    return Secret(id=name, file=Path(path or name))


def ssh_keys(given: Iterable[str], env: Mapping[str, str]) -> dict[str, tuple[Path, ...]]:
    """Return the files of private keys that ``--ssh`` names, by id."""
    return {name: paths for name, paths in _agents(given, env) if not _is_socket(paths[0])}


def _agents(given: Iterable[str], env: Mapping[str, str]) -> Iterator[tuple[str, tuple[Path, ...]]]:
    """Give (id, paths), one for each id: one path of a socket, or paths of keys."""
    ids: set[str] = set()
    for item in given:
        name, _, value = item.partition("=")
        name = name or "default"
        if name in ids:
            raise RequestError(f"invalid --ssh {item!r}: {name} is given twice", hint="list its keys: ID=KEY,KEY")
        ids.add(name)
        yield name, _agent_paths(item, value or env.get("SSH_AUTH_SOCK", ""))


def _agent_paths(item: str, value: str) -> tuple[Path, ...]:
    if not value:
        raise RequestError(f"invalid --ssh {item!r}: SSH_AUTH_SOCK is not set", hint="start an agent")
    paths = tuple(Path(path) for path in value.split(","))
    try:
        sockets = sum(_is_socket(path) for path in paths)
    except OSError as error:
        raise RequestError(f"invalid --ssh {item!r}: {error.filename}: {(error.strerror or '').lower()}") from error
    if sockets and len(paths) > 1:
        raise RequestError(f"invalid --ssh {item!r}: only single socket allowed", hint="one agent may have many keys")
    return paths


def _is_socket(path: Path) -> bool:
    return stat.S_ISSOCK(path.stat().st_mode)


def _entitlement(given: str) -> str:
    if given not in _ENTITLEMENTS:
        raise RequestError(f"invalid --allow {given!r}", hint=f"use {' or '.join(_ENTITLEMENTS)}")
    return given


def _resources(flags: Mapping[str, Any]) -> Resources:
    limits: dict[str, int] = {}
    given = [("memory", flags["memory"]), ("cpu-period", flags["cpu_period"]), ("cpu-quota", flags["cpu_quota"])]
    for text in flags["resources"]:
        given += _fields(text, "--resource").items()
    for key, value in given:
        if value is not None:
            limits |= {key.replace("-", "_"): _limit(key, value)}
    resources = Resources(ulimits=_ulimits(flags["ulimits"]), **limits)
    if flags["shm_size"] is None:
        return resources
    return replace(resources, shm_size=_size("--shm-size", flags["shm_size"]))


def _limit(key: str, value: str) -> int:
    if key == "memory":
        return _size("memory", value)
    if key in (*_MICROSECONDS, "pids"):
        if not (value.isascii() and value.isdigit()) or len(value) > 12:
            raise RequestError(f"invalid {key} {value!r}: expected a number")
        return int(value)
    raise RequestError(f"limit {key!r} is not supported", hint="use memory, cpu-period, cpu-quota or pids")


def _size(name: str, text: str) -> int:
    try:
        return parse_size(text)
    except ValueError as error:
        raise RequestError(f"invalid {name}: {error}", hint="write it as 512m or 2g") from error


def _ulimits(given: Iterable[str]) -> tuple[tuple[str, int, int], ...]:
    return tuple(_ulimit(item) for item in given)


def _ulimit(item: str) -> tuple[str, int, int]:
    name, _, values = item.partition("=")
    soft, colon, hard = values.partition(":")
    if name not in _LIMITS:
        hint = f"use one of {', '.join(_LIMITS)}"
        raise RequestError(f"invalid --ulimit {item!r}: unknown limit {name!r}", hint=hint)
    try:
        low = int(soft)
        high = int(hard) if colon else low
    except ValueError as error:
        raise RequestError(f"invalid --ulimit {item!r}", hint="write it as nofile=1024:2048") from error
    if -1 not in {low, high} and low > high:
        raise RequestError(f"invalid --ulimit {item!r}: the soft limit is above the hard limit")
    return name, low % (_UNLIMITED + 1), high % (_UNLIMITED + 1)
