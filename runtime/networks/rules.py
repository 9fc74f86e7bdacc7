"""Rules of iptables and ip6tables: removes those that netavark leaves behind, and adds those that it does not make."""

import re
from collections.abc import Callable, Collection, Container

from pybuild.runtime.networks.links import links
from pybuild.runtime.networks.programs import RULES, RULES6, find, run

_MARK = "NETAVARK"  # in the name of each chain of netavark, and so in each rule that is in one or leads to one
# The rules that this module adds, with the name of a bridge of pybuild.
_OURS = re.compile(r"-A FORWARD (?:! )?-[io] (pb-[0-9a-f]{12}) .*-j (?:DROP|ACCEPT)", re.ASCII)
_MASQUERADING = (
    '-A NETAVARK-HOSTPORT-MASQ -m comment --comment "netavark portfw masq mark" -m mark --mark 0x2000/0x2000'
)
# The rule that `narrow` adds.
_LOCAL6 = re.compile(r"-A (NETAVARK-DN-\S+) -d ::1/128 -j RETURN", re.ASCII)
# The rules of netavark that send a published port to an address of IPv6 of a container.
_PUBLISHED6 = re.compile(
    r"-A (NETAVARK-DN-\S+) .*-p (\S+) .*--dport (\d+).* -j DNAT --to-destination \[(\S+)\]", re.ASCII
)
_LEFT = frozenset(
    {
        '-A FORWARD -m comment --comment "netavark firewall plugin rules" -j NETAVARK_FORWARD',
        "-A FORWARD -j NETAVARK_ISOLATION_1",
        # Of newer versions, such as 1.17.
        '-A FORWARD -m comment --comment "netavark firewall rules" -j NETAVARK_FORWARD',
        '-A INPUT -m comment --comment "netavark firewall rules" -j NETAVARK_INPUT',
        "-A NETAVARK_FORWARD -m conntrack --ctstate INVALID -j DROP",
        "-A NETAVARK_ISOLATION_3 -j NETAVARK_ISOLATION_2",
        "-A PREROUTING -m addrtype --dst-type LOCAL -j NETAVARK-HOSTPORT-DNAT",
        "-A OUTPUT -m addrtype --dst-type LOCAL -j NETAVARK-HOSTPORT-DNAT",
        "-A POSTROUTING -j NETAVARK-HOSTPORT-MASQ",
        f"{_MASQUERADING} -j MASQUERADE",
        "-A NETAVARK-HOSTPORT-SETMARK -j MARK --set-xmark 0x2000/0x2000",
    }
)
"""The rules that netavark adds with the first network, for all networks. It never removes them."""


def tidy() -> None:
    """Remove the rules of bridges that do not exist any more, and netavark's chains when no network uses them.

    podman's networks use these chains, too. The removal is one transaction. It fails as a whole when another program
    has added a rule to one of the chains meanwhile: a chain that has rules cannot be removed.
    """
    there = {each.name for each in links()}
    for program in (RULES, RULES6):
        _change(program, lambda rules: removal_of(rules, there))


def _change(program: str, change: Callable[[str], str]) -> None:
    """Pass to ``iptables-restore`` what *change* returns for the output of ``iptables-save``, unless it is ""."""
    save, restore = find(f"{program}-save"), find(f"{program}-restore")
    if save is None or restore is None:
        return
    text = change(run((save,)).out.decode(errors="replace"))
    if text:
        # Without --noflush it would remove all rules of the tables first.
        run((restore, "--noflush"), text.encode())


def removal_of(rules: str, interfaces: Container[str]) -> str:
    """Return the input of ``iptables-restore`` that removes unused rules; "" when there are none.

    *rules* is the output of ``iptables-save``: for each table a line ``*name``, its chains (``:name``), its rules
    (``-A``) and COMMIT. *interfaces* has the names of the host's interfaces.
    """
    lines = rules.splitlines()
    chains = [line for line in lines if _MARK in line]
    alone = _alone(chains)
    used = any(line.startswith("-A") and line not in _LEFT and line not in alone for line in chains)
    gone = {line for line in lines if (found := _OURS.match(line)) and found[1] not in interfaces} | alone
    gone |= set() if used else {*chains}
    if not gone:
        return ""
    done: list[str] = []
    emptied: list[str] = []
    for line in lines:
        if line.startswith("*"):
            done.append(line)
        elif line == "COMMIT":  # chains are removed here, after the rules that lead to them
            done += [*emptied, line]
            emptied = []
        elif line in gone and line.startswith(":"):
            emptied.append(f"-X {line[1:].split()[0]}")
        elif line in gone:
            done.append(line.replace("-A ", "-D ", 1))
    return "".join(f"{line}\n" for line in done)


def _alone(lines: list[str]) -> set[str]:
    """Return the lines about chains of which only the rule of `narrow` is left: netavark has removed its own."""
    gone = set()
    for line in lines:
        chain = found[1] if (found := _LOCAL6.fullmatch(line)) else ""
        about = [other for other in lines if chain in other.removeprefix(":").split()]
        if chain and len(about) == 2:  # the chain and the rule
            gone |= {*about}
    return gone


def close_off(bridge: str, *, ipv6: bool) -> None:
    """Drop packets from other interfaces to *bridge*, and packets from it to others, before any other rule is tried.

    With *ipv6* also those of IPv6.
    """
    for rule in _closed(bridge):
        _add("-I", rule, ipv6=ipv6)


def let_in(bridge: str, *, ipv6: bool) -> None:
    """Accept packets of published ports to *bridge*. dockerd sets the policy of the chain FORWARD to DROP."""
    _add("-A", _published(bridge), ipv6=ipv6)


def narrow(address: str, published: Collection[tuple[str, int]]) -> None:
    """Leave of the ports that netavark publishes for a container at IPv6 those in *published* (protocol and port).

    netavark publishes a port for all addresses of the host at both versions of IP, even if those of IPv4 alone are
    wanted. *address* is that of the container. What is sent to ``::1`` is left to the process that forwards it, as the
    kernel drops it on the way to another interface.
    """
    _change(RULES6, lambda rules: narrowing_of(rules, address, published))


def narrowing_of(rules: str, address: str, published: Collection[tuple[str, int]]) -> str:
    """Return the input of ``ip6tables-restore`` for `narrow`; *rules* is the output of ``ip6tables-save``."""
    found = [(line, each) for line in rules.splitlines() if (each := _PUBLISHED6.match(line)) and each[4] == address]
    if not found:
        return ""
    there = {each[1] for line in rules.splitlines() if (each := _LOCAL6.fullmatch(line))}
    done = [f"-I {chain} -d ::1/128 -j RETURN" for chain in sorted({each[1] for _, each in found} - there)]
    done += [line.replace("-A ", "-D ", 1) for line, each in found if (each[2], int(each[3])) not in published]
    return "".join(f"{line}\n" for line in ("*nat", *done, "COMMIT"))


def _closed(bridge: str) -> tuple[tuple[str, ...], ...]:
    return tuple(
        (*ends, "-j", "DROP") for ends in (("-i", bridge, "!", "-o", bridge), ("-o", bridge, "!", "-i", bridge))
    )


def _published(bridge: str) -> tuple[str, ...]:
    return ("-o", bridge, "-m", "conntrack", "--ctstate", "DNAT", "-j", "ACCEPT")


def _add(action: str, rule: tuple[str, ...], *, ipv6: bool) -> None:
    """Add a rule unless it exists. It must match `_OURS`, by which `tidy` finds it."""
    for name in (RULES, RULES6) if ipv6 else (RULES,):
        program = find(name)
        # -w: wait for another iptables, which has a lock, instead of failing.
        if program is not None and run((program, "-w", "-C", "FORWARD", *rule)).code:
            run((program, "-w", action, "FORWARD", *rule))
