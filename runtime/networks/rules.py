"""Packet filter rules that netavark leaves when no network is there any more, and those that it does not make."""

from pybuild.runtime.networks.programs import RULES, find, run

_MARK = "NETAVARK"
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
    """Remove what is left of chains that no network uses, be it of ours or of podman's.

    It goes in one step or, when somebody adds a rule at that moment, not at all.
    """
    save, restore = find(f"{RULES}-save"), find(f"{RULES}-restore")
    if save is None or restore is None:
        return
    removal = removal_of(run((save,)).out.decode(errors="replace"))
    if removal:
        run((restore, "--noflush"), removal.encode())


def removal_of(rules: str) -> str:
    """Return the input of ``iptables-restore`` that removes netavark's chains from *rules*, "" when one is in use."""
    ours = [line for line in rules.splitlines() if _MARK in line or line.startswith(("*", "COMMIT"))]
    if any(line.startswith("-A") and line not in _LEFT for line in ours):
        return ""
    if not any(line.startswith((":", "-A")) for line in ours):
        return ""
    done = []
    chains: list[str] = []
    for line in ours:
        if line.startswith(":"):
            chains.append(f"-X {line[1:].split()[0]}")
        elif line == "COMMIT":
            done += [*chains, line]
            chains = []
        else:
            done.append(line.replace("-A ", "-D ", 1))
    return "".join(f"{line}\n" for line in done)


def close_off(bridge: str) -> None:
    """Let no packet of another network reach *bridge*, nor one of it leave."""
    for rule in _closed(bridge):
        _change("-I", rule)


def let_in(bridge: str) -> None:
    """Let what published ports lead to *bridge* pass where forwarding is forbidden, as beside a dockerd."""
    _change("-A", _published(bridge))


def forget(bridge: str) -> None:
    """Remove the rules of ours about *bridge*."""
    for rule in (*_closed(bridge), _published(bridge)):
        _change("-D", rule)


def _closed(bridge: str) -> tuple[tuple[str, ...], ...]:
    return tuple(
        (*ends, "-j", "DROP") for ends in (("-i", bridge, "!", "-o", bridge), ("-o", bridge, "!", "-i", bridge))
    )


def _published(bridge: str) -> tuple[str, ...]:
    return ("-o", bridge, "-m", "conntrack", "--ctstate", "DNAT", "-j", "ACCEPT")


def _change(action: str, rule: tuple[str, ...]) -> None:
    """Add a rule, unless it is there, or remove it if it is."""
    program = find(RULES)
    if program is None:
        return
    if (run((program, "-w", "-C", "FORWARD", *rule)).code == 0) == (action == "-D"):
        run((program, "-w", action, "FORWARD", *rule))
