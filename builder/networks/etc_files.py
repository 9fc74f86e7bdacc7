"""/etc/hosts and /etc/resolv.conf of containers."""

import ipaddress
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from pybuild.builder.networks.values import Live, Networking
from pybuild.runtime.sandbox.hostfiles import host_resolvers

_FALLBACK = ("8.8.8.8", "8.8.4.4")
"""Docker's name servers for a container that cannot reach those of the host."""
HOST_RESOLVERS = (Path("/run/systemd/resolve/resolv.conf"), Path("/etc/resolv.conf"))
# Where systemd-resolved listens (systemd-resolved.service(8)): a loopback address, so not for containers.
_STUB = "127.0.0.53"
_USUAL = (
    ("127.0.0.1", "localhost"),
    ("::1", "localhost ip6-localhost ip6-loopback"),
    ("fe00::", "ip6-localnet"),
    ("ff00::", "ip6-mcastprefix"),
    ("ff02::1", "ip6-allnodes"),
    ("ff02::2", "ip6-allrouters"),
)


def hosts_text(own: Iterable[tuple[str, str]], extra: Iterable[tuple[str, str]]) -> str:
    """Return the content of /etc/hosts: the usual lines, the *own* addresses of the container, and *extra* ones."""
    return "".join(f"{address}\t{names}\n" for address, names in (*_USUAL, *own, *extra))


def resolv_text(live: Live | None, wanted: Networking, host: str) -> str:
    """Return the content of /etc/resolv.conf.

    The name servers are those of the container's networks, else the *wanted* ones, else those of *host*, which is the
    resolv.conf of the host. A container with an address of its own (*live*) cannot reach servers on the loopback
    interface of the host.
    """
    servers, search, options = _parsed(host)
    if live is not None:
        servers = [each for each in servers if not _is_loopback(each)] or list(_FALLBACK)
    # The name server of a network forwards what it does not know to the wanted ones.
    own = [_server(each.document) for each in live.endpoints if each.resolves] if live is not None else []
    servers = own or list(wanted.dns) or servers
    if wanted.dns_search:
        search = [] if wanted.dns_search == (".",) else list(wanted.dns_search)
    options = list(wanted.dns_options) or options
    lines = [f"nameserver {each}" for each in servers]
    lines += [f"search {' '.join(search)}"] if search else []
    lines += [f"options {' '.join(options)}"] if options else []
    return "".join(f"{line}\n" for line in lines)


def _server(document: str) -> str:
    import json

    return str(next(iter(json.loads(document)["network_info"].values()))["subnets"][0]["gateway"])


def _parsed(text: str) -> tuple[list[str], list[str], list[str]]:
    servers: list[str] = []
    search: list[str] = []
    options: list[str] = []
    for line in text.splitlines():
        key, *words = line.split("#")[0].split() or [""]
        if key == "nameserver":
            servers += words[:1]
        elif key in {"search", "domain"}:
            search = words
        elif key == "options":
            options += words
    return servers, search, options


def _is_loopback(address: str) -> bool:
    with suppress(ValueError):
        return ipaddress.ip_address(address.partition("%")[0]).is_loopback
    return False


def host_resolv() -> str:
    """Return the resolv.conf of the host; when it names only systemd-resolved, the one with the servers behind that."""
    resolved, usual = HOST_RESOLVERS
    text = _read(usual)
    return (_read(resolved) or text) if name_servers(text) == [_STUB] else text


def _read(path: Path) -> str:
    return host_resolvers(path).decode(errors="replace")


def name_servers(text: str) -> list[str]:
    """Return the addresses of the name servers in a resolv.conf."""
    return _parsed(text)[0]


def rewrite(directory: Path, name: str, text: str) -> None:
    """Write a file that is mounted in a container, in place: the container would not see a new file of that name."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
    with open(os.open(directory / name, flags, 0o644), "w", encoding="utf-8") as file:
        file.write(text)
