"""Flags about the networks of a container. Raises RequestError."""

import os
import re
from contextlib import suppress

from pybuild.builder.cli.flags.group import option
from pybuild.builder.errors import RequestError
from pybuild.builder.networks.ports import parse_exposed, parse_publish
from pybuild.builder.networks.values import BRIDGE, CONTAINER, HOST, HOST_GATEWAY, NONE, PRIVATE, Membership, Networking
from pybuild.grammar.parse_go import parse_ip
from pybuild.runtime.values import frozen, replace

VARIABLE = "PYBUILD_NETWORK"
"""The environment variable that names the network of containers that do not say which."""
_NAME = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9_.-]*", re.ASCII)
_MAC = re.compile(r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}", re.ASCII)
_ALONE = frozenset({HOST, NONE, PRIVATE})


@frozen
class NetworkFlags:
    """Networks, addresses, ports and names."""

    network: tuple[str, ...] = option(
        "--network",
        "--net",
        multiple=True,
        metavar="NETWORK",
        help="Network: a name, bridge, host, none, or container:NAME. Repeatable. Containers have bridge by default "
        "($PYBUILD_NETWORK), or host where netavark is missing, with a warning; without root private, one of their own "
        "by pasta or slirp4netns. A command without a container has host, none or private.",
    )
    aliases: tuple[str, ...] = option(
        "--network-alias",
        "--net-alias",
        multiple=True,
        metavar="NAME",
        help="Additional name of the container in its networks; repeatable.",
    )
    ip: str | None = option("--ip", metavar="ADDRESS", help="IPv4 address of the container in its network.")
    ip6: str | None = option("--ip6", metavar="ADDRESS", help="IPv6 address of the container in its network.")
    mac: str | None = option("--mac-address", metavar="ADDRESS", help="Hardware address, such as 92:d0:c6:0a:29:33.")
    dns: tuple[str, ...] = option("--dns", multiple=True, metavar="ADDRESS", help="Name server; repeatable.")
    dns_search: tuple[str, ...] = option(
        "--dns-search", multiple=True, metavar="DOMAIN", help="DNS search domain, . for none; repeatable."
    )
    dns_options: tuple[str, ...] = option(
        "--dns-option", "--dns-opt", multiple=True, metavar="OPTION", help="Option of resolv.conf; repeatable."
    )
    add_hosts: tuple[str, ...] = option(
        "--add-host",
        multiple=True,
        metavar="NAME:ADDRESS",
        help="Add a line to /etc/hosts; the address host-gateway is the host's. Repeatable.",
    )
    publish: tuple[str, ...] = option(
        "-p",
        "--publish",
        multiple=True,
        metavar="[[IP:]HOSTPORT:]PORT[/PROTO]",
        help="Publish a port, or a range, at the host; without HOSTPORT at a random one. Repeatable.",
    )
    publish_all: bool = option(
        "-P", "--publish-all", is_flag=True, help="Publish all exposed ports at random ports of the host."
    )
    expose: tuple[str, ...] = option(
        "--expose", multiple=True, metavar="PORT[-PORT][/PROTO]", help="Expose a port, or a range; repeatable."
    )
    links: tuple[str, ...] = option(
        "--link", multiple=True, metavar="CONTAINER[:ALIAS]", help="Add the address of a container to /etc/hosts."
    )

    def mode(self) -> str:
        """Return the network mode: that of the first network."""
        return self._modes()[0]

    def _modes(self) -> tuple[str, ...]:
        modes = tuple(BRIDGE if name == "default" else name for name in self.network) or (self._default(),)
        if any(not name for name in modes):
            raise RequestError("the name of a network is empty")
        if len(modes) > 1 and any(name in _ALONE or name.startswith(CONTAINER) for name in modes):
            raise RequestError(
                "conflicting options: cannot attach both user-defined and non-user-defined network-modes"
            )
        return modes

    def _default(self) -> str:
        from pybuild.runtime.networks.programs import obstacle

        chosen = os.environ.get(VARIABLE)
        if chosen:
            return chosen
        if os.geteuid() != 0:
            return PRIVATE if self._needs_network() or not _no_private_network() else HOST
        # A flag that needs a bridge selects it even where there is none: the error then says what is missing.
        return BRIDGE if self._needs_network() or not obstacle()[0] else HOST

    def fallback(self) -> str:
        """Return why the host's network is taken and not the default one, "" when it is not."""
        from pybuild.runtime.networks.programs import obstacle

        if self.network or os.environ.get(VARIABLE) or self.mode() != HOST:
            return ""
        if os.geteuid() != 0:
            return f"the container is on the host's network: {_no_private_network()}"
        return f"the container is on the host's network: one of its own needs {' ('.join(obstacle())})"

    def _needs_network(self) -> bool:
        return bool(self.publish or self.publish_all or self.ip or self.ip6 or self.mac or self.aliases or self.links)

    def networking(self) -> Networking:
        """Return what is wanted beside the names of networks."""
        modes = self._modes()
        self._check(modes[0])
        names = Networking(
            dns=self._servers(),
            dns_search=self._words(self.dns_search, "--dns-search"),
            dns_options=self._words(self.dns_options, "--dns-option"),
            hosts=self.hosts(),
        )
        ports = tuple(port for text in self.publish for port in parse_publish(text))
        if modes[0] == PRIVATE:
            return replace(names, ports=ports, publish_all=self.publish_all)
        if modes[0] in _ALONE or modes[0].startswith(CONTAINER):
            return names
        links = tuple(_link(text) for text in self.links)
        first = Membership(
            network=modes[0],
            aliases=self._aliases(),
            ip=checked_address(self.ip, 4),
            ip6=checked_address(self.ip6, 6),
            mac=_mac(self.mac),
        )
        rest = tuple(Membership(network=name, aliases=self._aliases()) for name in dict.fromkeys(modes[1:]))
        return replace(
            names,
            attachments=(first, *rest),
            ports=ports,
            publish_all=self.publish_all,
            links=links,
        )

    def _check(self, mode: str) -> None:
        """Refuse what a network cannot have; the messages are Docker's."""
        apart = mode == PRIVATE or (os.geteuid() != 0 and mode not in _ALONE)
        if apart and any(address == HOST_GATEWAY for _, address in self.hosts()):
            kind = "a private network" if mode == PRIVATE else "a network without root"
            raise RequestError(f"host-gateway is not reached from {kind}", hint="give --network host")
        if mode.startswith(CONTAINER):
            for given, what in (
                (self.publish or self.publish_all, "port publishing and the container type network mode"),
                (self.expose, "port exposing and the container type network mode"),
                (
                    self.links,
                    "container type network can't be used with links. This would result in undefined behavior",
                ),
                (self.dns, "dns and the network mode"),
                (self.add_hosts, "custom host-to-IP mapping and the network mode"),
                (self.mac, "mac-address and the network mode"),
            ):
                if given:
                    raise RequestError(f"conflicting options: {what}")
        if mode in _ALONE and self.links:
            raise RequestError(f"conflicting options: {mode} type networking can't be used with links")
        if mode in _ALONE and self.mac:
            raise RequestError("conflicting options: mac-address and the network mode")
        if (self.ip or self.ip6) and (mode in _ALONE or mode == BRIDGE or mode.startswith(CONTAINER)):
            raise RequestError(
                "user specified IP address is supported on user defined networks only",
                hint="pybuild network create --subnet 10.1.2.0/24 NAME",
            )
        if self.aliases and (mode in _ALONE or mode == BRIDGE or mode.startswith(CONTAINER)):
            raise RequestError("network-scoped alias is supported only for containers in user defined networks")

    def _aliases(self) -> tuple[str, ...]:
        return tuple(map(checked_alias, self.aliases))

    def _servers(self) -> tuple[str, ...]:
        for address in self.dns:
            try:
                parse_ip(address)
            except ValueError as error:
                raise RequestError(f"invalid --dns {address!r}", hint="give the address of a name server") from error
        return self.dns

    @staticmethod
    def _words(words: tuple[str, ...], flag: str) -> tuple[str, ...]:
        for word in words:
            if not word or any(char.isspace() for char in word):
                raise RequestError(f"invalid {flag} {word!r}", hint="give one word")
        return words

    def exposed(self) -> tuple[str, ...]:
        """Return the ports of ``--expose``, and those that are published."""
        published = (port.name for text in self.publish for port in parse_publish(text))
        return tuple(dict.fromkeys((*(port for text in self.expose for port in parse_exposed(text)), *published)))

    def hosts(self) -> tuple[tuple[str, str], ...]:
        """Return the pairs of ``--add-host``; the address of the host is known when the container starts."""
        from pybuild.builder.cli.flags.build_values import hosts

        found = []
        for text in self.add_hosts:
            name, _, address = text.partition("=" if "=" in text else ":")
            plain = hosts([f"{name}:127.0.0.1" if address == HOST_GATEWAY else text])
            found.append((name, HOST_GATEWAY) if address == HOST_GATEWAY else plain[0])
        return tuple(found)


def _no_private_network() -> str:
    from pybuild.runtime.private_networks.private import missing

    return missing()


def _link(text: str) -> tuple[str, str]:
    name, _, alias = text.partition(":")
    alias = alias or name.removeprefix("/")
    if not name or not _NAME.fullmatch(alias):
        raise RequestError(f"bad format for links: {text}", hint="write it as CONTAINER:ALIAS")
    return name, alias


def checked_alias(name: str) -> str:
    """Return a name under which others find a container: a line of the name server's file has several of them."""
    if not _NAME.fullmatch(name) or len(name) > 255:
        raise RequestError(f"invalid network alias {name!r}", hint="use letters, digits, _ . and -")
    return name


def checked_address(text: str | None, version: int) -> str:
    """Return an address of this version of IP as it is usually written, "" for none."""
    if not text:
        return ""
    with suppress(ValueError):
        found = parse_ip(text)
        if found.version == version:
            return str(found)
    hint = "write --ip as 10.1.2.3" if version == 4 else "write --ip6 as fd00:1:2::3"
    raise RequestError(f"invalid IPv{version} address: {text}", hint=hint)


def _mac(text: str | None) -> str:
    if text and not _MAC.fullmatch(text):
        raise RequestError(f"{text} is not a valid mac address", hint="write it as 92:d0:c6:0a:29:33")
    return (text or "").lower()
