"""Interfaces and routes of the calling thread's network namespace, by rtnetlink(7) and netdevice(7)."""

import fcntl
import socket
import struct
import sys
from contextlib import suppress
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

from pybuild.runtime.values import frozen

# SIOCBRADDBR, SIOCBRDELBR, SIOCGIFFLAGS, SIOCSIFFLAGS, and IFF_UP.
_ADD_BRIDGE, _REMOVE_BRIDGE, _FLAGS, _SET_FLAGS = 0x89A0, 0x89A1, 0x8913, 0x8914
_UP = 1
# RTM_GETLINK, NLMSG_DONE, NLMSG_ERROR; NLM_F_REQUEST, NLM_F_DUMP; IFLA_IFNAME, IFLA_MASTER.
_GET_LINK, _DONE, _ERROR = 18, 3, 2
_REQUEST, _DUMP = 0x1, 0x300
_NAME, _MASTER = 3, 10
# struct nlmsghdr, ifinfomsg and rtattr.
_HEADER, _LINK, _ATTRIBUTE = struct.Struct("=IHHII"), struct.Struct("=BxHiII"), struct.Struct("=HH")
_PIECE = 1 << 16


@frozen
class Link:
    """An interface. *master* is the number of the bridge or other interface that it is a port of, 0 for none."""

    name: str
    number: int
    master: int


def links() -> list[Link]:
    """Return all interfaces."""
    found: list[Link] = []
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE) as channel:
        body = _LINK.pack(0, 0, 0, 0, 0)
        channel.send(_HEADER.pack(_HEADER.size + len(body), _GET_LINK, _REQUEST | _DUMP, 1, 0) + body)
        while True:
            data = memoryview(channel.recv(_PIECE))
            while data:
                size, kind, *_ = _HEADER.unpack_from(data)
                if kind in {_DONE, _ERROR}:
                    return found
                found.append(_link(data[_HEADER.size : size]))
                data = data[_aligned(size) :]


def _link(message: memoryview) -> Link:
    """Return the interface that an RTM_NEWLINK message describes, which is given without its header."""
    number = _LINK.unpack_from(message)[2]
    name, master = "", 0
    rest = message[_LINK.size :]
    while len(rest) >= _ATTRIBUTE.size:
        size, kind = _ATTRIBUTE.unpack_from(rest)
        value = bytes(rest[_ATTRIBUTE.size : size])
        if kind == _NAME:
            name = value.rstrip(b"\0").decode(errors="replace")
        elif kind == _MASTER:
            master = int.from_bytes(value, sys.byteorder)
        rest = rest[_aligned(size) :]
    return Link(name=name, number=number, master=master)


def _aligned(size: int) -> int:
    """Return *size* with the padding that follows each message and attribute, to a multiple of 4."""
    return (size + 3) & ~3


def ports(bridge: str) -> int:
    """Return how many interfaces are ports of *bridge*, 0 when there is no such bridge."""
    everyone = links()
    numbers = {each.number for each in everyone if each.name == bridge}
    return sum(each.master in numbers for each in everyone)


def exists(name: str) -> bool:
    """Return whether there is an interface *name*."""
    return any(each.name == name for each in links())


def add_bridge(name: str) -> None:
    """Make a bridge without ports."""
    with _any_socket() as channel:
        fcntl.ioctl(channel, _ADD_BRIDGE, name.encode() + b"\0")


def remove_bridge(name: str) -> None:
    """Remove a bridge. Its ports stay, as interfaces of no bridge."""
    with _any_socket() as channel:
        # struct ifreq: the name of an interface, and its flags.
        request = struct.pack("16sH14x", name.encode(), 0)
        flags = struct.unpack("16sH14x", fcntl.ioctl(channel, _FLAGS, request))[1]
        # The kernel refuses to remove a bridge that is up (EBUSY).
        fcntl.ioctl(channel, _SET_FLAGS, struct.pack("16sH14x", name.encode(), flags & ~_UP))
        fcntl.ioctl(channel, _REMOVE_BRIDGE, name.encode() + b"\0")


def _any_socket() -> socket.socket:
    return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)


def routes(table: Path = Path("/proc/net/route")) -> list[tuple[IPv4Network, str]]:
    """Return the IPv4 routes as pairs of network and interface, without default routes."""
    found = []
    for line in table.read_text(encoding="ascii", errors="replace").splitlines()[1:]:
        interface, destination, _, _, _, _, _, mask, *_ = line.split()
        if int(mask, 16):
            # The four bytes of an address, read as a number of the processor: in reverse order on a little-endian one.
            network, bits = (int.from_bytes(bytes.fromhex(word), "little") for word in (destination, mask))
            found.append((IPv4Network((network, bits.bit_count())), interface))
    return found


def routes6(table: Path = Path("/proc/net/ipv6_route")) -> list[tuple[IPv6Network, str]]:
    """Return the IPv6 routes as pairs of network and interface: those of addresses that routers pass on.

    Default routes, and those of multicast, of link-local addresses and of the loopback interface are left out. There is
    no route where the kernel has no IPv6.
    """
    found = []
    with suppress(FileNotFoundError):
        for line in table.read_text(encoding="ascii", errors="replace").splitlines():
            destination, length, *_, interface = line.split()
            network = IPv6Network((int(destination, 16), int(length, 16)))
            if network.prefixlen and interface != "lo" and not (network.is_multicast or network.is_link_local):
                found.append((network, interface))
    return found
