"""Rules of iptables: removes those that netavark leaves behind, and adds those that it does not make."""

import re
from collections.abc import Container

from pybuild.runtime.networks.links import links
from pybuild.runtime.networks.programs import RULES, find, run

_MARK = "NETAVARK"  # in the name of each chain of netavark, and so in each rule that is in one or leads to one
# The rules that this module adds, with the name of a bridge of pybuild.
_OURS = re.compile(r"-A FORWARD (?:! )?-[io] (pb-[0-9a-f]{12}) .*-j (?:DROP|ACCEPT)", re.ASCII)
_MASQUERADING = (
    '-A NETAVARK-HOSTPORT-MASQ -m comment --comment "netavark portfw masq mark" -m mark --mark 0x2000/0x2000'
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
    save, restore = find(f"{RULES}-save"), find(f"{RULES}-restore")
    if save is None or restore is None:
        return
    there = {each.name for each in links()}
    removal = removal_of(run((save,)).out.decode(errors="replace"), there)
    if removal:
        # Without --noflush it would remove all rules of the tables first.
        run((restore, "--noflush"), removal.encode())


def removal_of(rules: str, interfaces: Container[str]) -> str:
    """Return the input of ``iptables-restore`` that removes unused rules; "" when there are none.

    *rules* is the output of ``iptables-save``: for each table a line ``*name``, its chains (``:name``), its rules
    (``-A``) and COMMIT. *interfaces* has the names of the host's interfaces.
    """
    lines = rules.splitlines()
    chains = [line for line in lines if _MARK in line]
    used = any(line.startswith("-A") and line not in _LEFT for line in chains)
    gone = {line for line in lines if (found := _OURS.match(line)) and found[1] not in interfaces}
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


def close_off(bridge: str) -> None:
    """Drop packets from other interfaces to *bridge*, and packets from it to others, before any other rule is tried."""
    for rule in _closed(bridge):
        _add("-I", rule)


def let_in(bridge: str) -> None:
    """Accept packets of published ports to *bridge*. dockerd sets the policy of the chain FORWARD to DROP."""
    _add("-A", _published(bridge))


def _closed(bridge: str) -> tuple[tuple[str, ...], ...]:
    return tuple(
        (*ends, "-j", "DROP") for ends in (("-i", bridge, "!", "-o", bridge), ("-o", bridge, "!", "-i", bridge))
    )


def _published(bridge: str) -> tuple[str, ...]:
    return ("-o", bridge, "-m", "conntrack", "--ctstate", "DNAT", "-j", "ACCEPT")


def _add(action: str, rule: tuple[str, ...]) -> None:
    """Add a rule unless it exists. It must match `_OURS`, by which `tidy` finds it."""
    program = find(RULES)
    # -w: wait for another iptables, which has a lock, instead of failing.
    if program is not None and run((program, "-w", "-C", "FORWARD", *rule)).code:
        run((program, "-w", action, "FORWARD", *rule))
