"""The programs that carry the connections of a private network, with arguments that keep the host out of reach."""

import os
import shutil
from collections.abc import Sequence
from ipaddress import ip_address

from pybuild.runtime.errors import SandboxUnavailable
from pybuild.runtime.values import frozen

# Addresses that exist in the namespace alone: pasta maps them to the name server of the host (--dns-forward).
_PASTA_DNS = {4: "169.254.1.1", 6: "fd00:7079::53"}
_SLIRP_DNS = "10.0.2.3"


@frozen
class Forward:
    """A forwarded port: *host_port* at the address *host_ip* of the host, "" for all, leads to *port* inside."""

    protocol: str
    host_ip: str
    host_port: int
    port: int


@frozen
class Carrier:
    """A program: its file, its arguments, and the address of its name server inside, "" for none.

    *file* is the real path, because another user may not be able to follow the symlinks. The first of *words* is the
    path with them, because pasta decides by its name what to do.
    """

    file: str
    words: tuple[str, ...]
    resolver: str


def carrier(resolv_conf: bytes, forwards: Sequence[Forward] = ()) -> Carrier | None:
    """Return the program to use on a host with this *resolv_conf*; None when none is installed.

    Raises SandboxUnavailable when it does not support the *forwards*.
    """
    pasta = shutil.which("pasta")
    if pasta is not None:
        return _pasta(pasta, name_server_versions(resolv_conf), forwards)
    slirp = shutil.which("slirp4netns")
    if forwards:
        raise SandboxUnavailable(
            "published ports of a private network need pasta", "install it (Debian's package passt)"
        )
    if slirp is not None:
        # The flags that podman gives it.
        quiet = ("--disable-host-loopback", "--enable-sandbox", "--mtu=65520")
        return Carrier(
            file=os.path.realpath(slirp), words=(slirp, "--configure", *quiet, "{pid}", "tap0"), resolver=_SLIRP_DNS
        )
    return None


def _pasta(program: str, versions: Sequence[int], forwards: Sequence[Forward]) -> Carrier:
    # The gateway's address does not lead to the host's loopback, and no other port is forwarded in either direction.
    inwards = (word for way, protocol in (("-t", "tcp"), ("-u", "udp")) for word in _opened(way, protocol, forwards))
    closed = ("--no-map-gw", *inwards, "-T", "none", "-U", "none")
    resolver = _PASTA_DNS[versions[0]] if versions else ""
    asked = ("--dns-forward", resolver) if resolver else ()
    return Carrier(
        file=os.path.realpath(program),
        words=(program, "--foreground", "--quiet", "--config-net", *closed, *asked, "{pid}"),
        resolver=resolver,
    )


def _opened(way: str, protocol: str, forwards: Sequence[Forward]) -> tuple[str, ...]:
    """Return the arguments that forward the ports of one *protocol*, and no others."""
    unknown = [each.protocol for each in forwards if each.protocol not in {"tcp", "udp"}]
    if unknown:
        raise SandboxUnavailable(f"pasta forwards no {unknown[0]}", "publish ports of TCP and UDP")
    specs = (
        f"{each.host_ip}/{each.host_port}:{each.port}" if each.host_ip else f"{each.host_port}:{each.port}"
        for each in forwards
        if each.protocol == protocol
    )
    return tuple(word for spec in specs for word in (way, spec)) or (way, "none")


def name_server_versions(resolv_conf: bytes) -> tuple[int, ...]:
    """Return the IP version of each name server in *resolv_conf*, in order."""
    found = []
    for line in resolv_conf.decode("utf-8", "replace").splitlines():
        name, *values = line.split()[:2] or [""]
        if name == "nameserver" and values:
            try:
                found.append(ip_address(values[0].partition("%")[0]).version)
            except ValueError:  # no address
                continue
    return tuple(found)


def resolv_conf_in(resolver: str, of_host: bytes) -> bytes:
    """Return the resolv.conf of a network: its own name server, with the host's search domains and options."""
    kept = [line for line in of_host.splitlines() if line.split()[:1] in ([b"search"], [b"domain"], [b"options"])]
    server = [f"nameserver {resolver}".encode()] if resolver else []
    return b"".join(line + b"\n" for line in (*server, *kept))
