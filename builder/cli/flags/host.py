"""Flags about what of the host steps see: folders of it, and name servers. Raises RequestError."""

from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import click

from pybuild.builder.errors import RequestError
from pybuild.builder.request import Volume

_MODES = frozenset({"ro", "rw", "z", "Z"})
"""Labels of SELinux, ``z`` and ``Z``, are left as they are."""


def host_flags(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add these flags to a command."""
    options = (
        click.option(
            *("-v", "--volume", "volumes"),
            multiple=True,
            metavar="HOST:TARGET[:ro]",
            help="Show a file or folder to RUN; it is in no layer, and in no key of the cache.",
        ),
        click.option("--dns", multiple=True, metavar="ADDRESS", help="Name server for RUN, in place of the host's."),
        click.option("--dns-search", multiple=True, metavar="DOMAIN", help="Domain to look up short names in."),
        click.option("--dns-option", multiple=True, metavar="OPTION", help="Option of the resolver: ndots:2."),
    )
    for option in reversed(options):
        function = option(function)
    return function


def host_values(flags: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a request that these flags set."""
    return {"volumes": tuple(map(volume, flags["volumes"])), "resolv_conf": _resolv_conf(flags)}


def volume(given: str) -> Volume:
    """Return what ``HOST:TARGET[:ro]`` shows."""
    host, _, rest = given.partition(":")
    target, _, mode = rest.partition(":")
    modes = frozenset(mode.split(",")) - {""}
    if not host or not target or modes - _MODES:
        raise RequestError(f"invalid --volume {given!r}", hint="write it as HOST:TARGET or HOST:TARGET:ro")
    path = Path(host)
    if "/" not in host and not path.exists():
        raise RequestError(f"--volume {given!r}: named volumes are not supported", hint="give a path of the host")
    if not path.exists():
        raise RequestError(f"--volume {given!r}: {host} does not exist")
    return Volume(host_path=path.absolute(), target=mount_target(target), read_only="ro" in modes)


def mount_target(text: str) -> PurePosixPath:
    """Return where something is mounted."""
    if not text.startswith("/") or text.strip("/") == "":
        raise RequestError(f"invalid target {text!r}: expected an absolute path other than /")
    return PurePosixPath(text)


def _resolv_conf(flags: Mapping[str, Any]) -> str:
    """Return the content of /etc/resolv.conf, "" for the host's own. Raises RequestError."""
    for address in flags["dns"]:
        _check_address(address)
    words = (*flags["dns_search"], *flags["dns_option"])
    for word in words:
        if not word or any(char.isspace() for char in word):
            raise RequestError(f"invalid --dns-search or --dns-option {word!r}", hint="give one word")
    if words and not flags["dns"]:
        raise RequestError("--dns-search and --dns-option need --dns", hint="name the server as well")
    lines = [f"nameserver {address}" for address in flags["dns"]]
    lines += [f"search {' '.join(flags['dns_search'])}"] if flags["dns_search"] else []
    lines += [f"options {' '.join(flags['dns_option'])}"] if flags["dns_option"] else []
    return "".join(f"{line}\n" for line in lines)


def _check_address(address: str) -> None:
    import ipaddress

    try:
        ipaddress.ip_address(address)
    except ValueError as error:
        raise RequestError(f"invalid --dns {address!r}", hint="give the address of a name server") from error
