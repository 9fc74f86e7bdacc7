"""Packet filter rules that netavark leaves when no network is there any more, and those that it does not make."""

import re
from collections.abc import Container

from pybuild.runtime.networks.links import links
from pybuild.runtime.networks.programs import RULES, find, run

_MARK = "NETAVARK"
_OURS = re.compile(r"-A FORWARD (?:! )?-[io] (pb-[0-9a-f]{12}) .*-j (?:DROP|ACCEPT)", re.ASCII)
_MASQUERADING = (
    '-A NETAVARK-HOSTPORT-MASQ -m comment --comment "netavark portfw masq mark" -m mark --mark 0x2000/0x2000'
)
_LEFT = frozenset(
    {
        '-A FORWARD -m comment --comment "netavark firewall plugin rules" -j NETAVARK_FORWARD',
        "-A FORWARD -j NETAVARK_ISOLATION_1",
        "-A PREROUTING -m addrtype --dst-type LOCAL -j NETAVARK-HOSTPORT-DNAT",
        "-A OUTPUT -m addrtype --dst-type LOCAL -j NETAVARK-HOSTPORT-DNAT",
        "-A POSTROUTING -j NETAVARK-HOSTPORT-MASQ",
        f"{_MASQUERADING} -j MASQUERADE",
        "-A NETAVARK-HOSTPORT-SETMARK -j MARK --set-xmark 0x2000/0x2000",
    }
)
"""The rules that are made with the first network, and that are about none."""


def tidy() -> None:
    """Remove rules of ours about bridges that are gone, and chains that no network uses, be it of ours or of podman's.

    It goes in one step or, when somebody adds a rule at that moment, not at all.
    """
    save, restore = find(f"{RULES}-save"), find(f"{RULES}-restore")
    if save is None or restore is None:
        return
    there = {each.name for each in links()}
    removal = removal_of(run((save,)).out.decode(errors="replace"), there)
    if removal:
        run((restore, "--noflush"), removal.encode())


def removal_of(rules: str, interfaces: Container[str]) -> str:
    """Return the input of ``iptables-restore`` that removes from *rules* what nobody needs, "" when there is nothing.

    *interfaces* are those that there are.
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
        elif line == "COMMIT":
            done += [*emptied, line]
            emptied = []
        elif line in gone and line.startswith(":"):
            emptied.append(f"-X {line[1:].split()[0]}")
        elif line in gone:
            done.append(line.replace("-A ", "-D ", 1))
    return "".join(f"{line}\n" for line in done)


def close_off(bridge: str) -> None:
    """Let no packet of another network reach *bridge*, nor one of it leave."""
    for rule in _closed(bridge):
        _add("-I", rule)


def let_in(bridge: str) -> None:
    """Let what published ports lead to *bridge* pass where forwarding is forbidden, as beside a dockerd."""
    _add("-A", _published(bridge))


def _closed(bridge: str) -> tuple[tuple[str, ...], ...]:
    return tuple(
        (*ends, "-j", "DROP") for ends in (("-i", bridge, "!", "-o", bridge), ("-o", bridge, "!", "-i", bridge))
    )


def _published(bridge: str) -> tuple[str, ...]:
    return ("-o", bridge, "-m", "conntrack", "--ctstate", "DNAT", "-j", "ACCEPT")


def _add(action: str, rule: tuple[str, ...]) -> None:
    """Add a rule, unless it is there; `tidy` knows it by `_OURS`."""
    program = find(RULES)
    if program is not None and run((program, "-w", "-C", "FORWARD", *rule)).code:
        run((program, "-w", action, "FORWARD", *rule))
