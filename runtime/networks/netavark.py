"""Running netavark, the program that sets up and takes down interfaces, addresses, published ports and names.

netavark reads a JSON document (`netavark setup --help`); the same document takes down what it set up. The caller of
each function holds `namespaces.locked`. netavark runs under a second lock, which flock(1) holds: when pybuild is
killed, netavark continues, and the next pybuild has to wait for its end.

Both locks are shared by those who connect namespaces to bridges that are up, without published ports: then netavark
adds an interface and a name, and all rules exist. It checks each rule by an iptables of its own, two dozen in a row.
"""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from pybuild.runtime.errors import RuntimeHostError
from pybuild.runtime.networks import links, rules
from pybuild.runtime.networks.namespaces import inside, networks_directory, pin_new, pin_path, pinned
from pybuild.runtime.networks.programs import DNS, NETAVARK, executable_of, find, need, run
from pybuild.runtime.paths.filelock import exclusive, shared
from pybuild.runtime.values import frozen

_IPV6_OFF = Path("/proc/sys/net/ipv6/conf/default/disable_ipv6")
_PATIENCE, _PAUSE = 5.0, 0.01  # seconds to wait for the kernel or the name server, and between two looks


class NetworkFailure(RuntimeHostError):
    """netavark failed to set up a network; *hint* says what the host may lack."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


@frozen
class Connection:
    """The connection of the network namespace called *pin* to the networks in netavark's *document*.

    *interfaces* are those in the namespace. *bridges* are on the host, each with the number of other namespaces that
    are connected to it. *closed* are the bridges of internal networks, which no packet may enter or leave; *published*
    are those to which ports of the host are forwarded. *published6* are the ports of the host's addresses of IPv6,
    with their protocols.
    """

    pin: str
    document: Mapping[str, Any]
    interfaces: tuple[str, ...]
    bridges: tuple[tuple[str, int], ...] = ()
    closed: tuple[str, ...] = ()
    published: tuple[str, ...] = ()
    published6: tuple[tuple[str, int], ...] = ()

    @property
    def ipv6(self) -> bool:
        """Whether the namespace gets an address of IPv6."""
        return any(each.get("ipv6_enabled") for each in self.document["network_info"].values())


def is_up(connection: Connection) -> bool:
    """Return whether `set_up` adds nothing that others need or may add, so that the lock can be shared."""
    complete = all(_mark(bridge).exists() for bridge, _ in connection.bridges)
    return bool(connection.bridges) and complete and not connection.published and not _server_died()


def set_up(connection: Connection, *, beside_others: bool = False) -> dict[str, Any]:
    """Connect an existing namespace; return the output of netavark. With *beside_others* the lock is shared.

    Raises:
        NetworkFailure: netavark failed.
        SandboxUnavailable: a program is missing.
    """
    need()
    if connection.ipv6 and _is_off(_IPV6_OFF):
        raise NetworkFailure(
            "cannot connect the container to its network: this host has turned IPv6 off",
            "sysctl net.ipv6.conf.all.disable_ipv6=0, or a network without --ipv6",
        )
    if not beside_others:
        _forget_dead_server()
    # Before there is a bridge, so that no packet passes meanwhile.
    for bridge in connection.closed:
        rules.close_off(bridge, ipv6=connection.ipv6)
    printed = _run("setup", connection, beside_others=beside_others)
    if "error" in printed:
        raise _failure(str(printed["error"]))
    for bridge in connection.published:
        rules.let_in(bridge, ipv6=connection.ipv6)
        for address in _addresses6(connection):
            rules.narrow(address, connection.published6)
    for bridge, _ in connection.bridges:
        _mark(bridge).parent.mkdir(mode=0o700, exist_ok=True)
        _mark(bridge).touch()
    return printed


def _mark(bridge: str) -> Path:
    """Return the path of the file that says that *bridge* is up."""
    return networks_directory() / "up" / bridge


def _is_off(setting: Path) -> bool:
    """Return whether new interfaces get no address of IPv6, because of a setting or because the kernel has none."""
    try:
        return setting.read_text(encoding="ascii").strip() != "0"
    except FileNotFoundError:
        return True


def _addresses6(connection: Connection) -> list[str]:
    found = [each["static_ips"] for each in connection.document["networks"].values()]
    return [address for each in found for address in each if ":" in address]


def take_down(connection: Connection) -> None:
    """Disconnect a namespace. Parts that were never set up, or have been taken down already, are no errors.

    Bridges that no other namespace uses are removed. Call `unpin` and `tidy` afterwards.
    """
    _forget_dead_server()
    for bridge, others in connection.bridges:
        if not others:
            _mark(bridge).unlink(missing_ok=True)
    # If this process may not make an interface, then no earlier one could set up any.
    with suppress(OSError):
        _have_interfaces(connection)
    if find(NETAVARK) is not None:
        _run("teardown", connection)
    for bridge, others in connection.bridges:
        if not others and links.exists(bridge):
            with suppress(OSError):  # another program removed it meanwhile
                links.remove_bridge(bridge)


def tidy() -> None:
    """Remove unused rules and, when nothing is connected any more, the files, once the name server has ended."""
    rules.tidy()
    _await_server_end()
    _remove_empty()


def _run(action: str, connection: Connection, *, beside_others: bool = False) -> dict[str, Any]:
    """Run netavark and return the document that it prints, which has a member ``error`` when it failed."""
    directory = networks_directory()
    (directory / "dns").mkdir(mode=0o700, parents=True, exist_ok=True)
    program, server, flock = find(NETAVARK), find(DNS), find("flock")
    # Wait for a netavark that a killed pybuild has left running.
    with (shared if beside_others else exclusive)(directory / "running"):
        pass
    # With --close the lock is not inherited by netavark, whose name server would hold it for as long as it runs.
    kind = "--shared" if beside_others else "--exclusive"
    held = (flock, "--close", kind, os.fspath(directory / "running")) if flock else ()
    where = ("--config", os.fspath(directory / "dns"), *(("--aardvark-binary", server) if server else ()))
    words = (*held, program or NETAVARK, *where, action, os.fspath(pin_path(connection.pin)))
    ended = run(words, json.dumps(connection.document).encode())
    # The document is the last line.
    text = ended.out.decode(errors="replace").strip().rpartition("\n")[2]
    try:
        printed = json.loads(text or "{}")
    except ValueError:
        printed = {"error": text}
    if ended.code and "error" not in printed:
        printed = {"error": ended.error.decode(errors="replace").strip() or f"netavark ended with {ended.code}"}
    return printed if isinstance(printed, dict) else {"error": text}


def _failure(reason: str) -> NetworkFailure:
    """Return the error for what netavark printed, with a hint that is chosen by words in it."""
    hint = ""
    if "iptables" in reason or "ip_tables" in reason:
        hint = "the kernel needs nf_tables, or ip_tables with NAT: modprobe iptable_nat xt_addrtype xt_MASQUERADE"
    elif "not supported" in reason:
        hint = "the kernel needs bridge, veth, macvlan or ipvlan: modprobe bridge veth macvlan ipvlan"
    elif "unknown network driver" in reason:
        hint = "this driver needs a newer netavark than is installed"
    elif "ermission" in reason or "not permitted" in reason:
        hint = "networks need root with CAP_NET_ADMIN"
    return NetworkFailure(f"cannot connect the container to its network: {reason}", hint)


def _have_interfaces(connection: Connection) -> None:
    """Make the interfaces that the namespace lacks, because netavark removes nothing at all when one is missing.

    They are missing when pybuild was killed before they were made, and when the namespace has ended. The kernel removes
    the interfaces of an ended namespace some time later, and until then netavark takes their bridges for used ones. Any
    kind of interface will do; a bridge is made by one call.
    """
    space = pinned(connection.pin)
    if space is None:
        space = pin_new(connection.pin)
        deadline = monotonic() + _PATIENCE
        for bridge, others in connection.bridges:
            while links.ports(bridge) > others and monotonic() < deadline:
                sleep(_PAUSE)
    try:
        with inside(space):
            for name in connection.interfaces:
                if not links.exists(name):
                    links.add_bridge(name)
    finally:
        os.close(space)


def _forget_dead_server() -> None:
    """Remove the pid file of a name server that has ended: netavark would send a signal to whoever has its number."""
    if _server_died():
        _pid_file().unlink(missing_ok=True)


def _server_died() -> bool:
    """Return whether the pid file of the name server has the number of another process, or of none."""
    try:
        text = _pid_file().read_text(encoding="ascii", errors="replace").strip()
    except FileNotFoundError:
        return False
    program = executable_of(int(text)) if text.isdigit() else None
    return program is None or program.name.removesuffix(" (deleted)") != DNS


def _pid_file() -> Path:
    return networks_directory() / "dns" / DNS / "aardvark.pid"


def _await_server_end() -> None:
    """Wait until the name server has ended if its pid file is all that is left: netavark has sent it a signal then."""
    directory = networks_directory() / "dns" / DNS
    deadline = monotonic() + _PATIENCE
    while monotonic() < deadline:
        names = [path.name for path in directory.iterdir()] if directory.is_dir() else []
        if names != ["aardvark.pid"]:
            return
        _forget_dead_server()
        sleep(_PAUSE)


def _remove_empty() -> None:
    """Remove the directory of this network namespace when nothing is connected to it any more."""
    directory = networks_directory()
    with suppress(OSError):  # ENOTEMPTY: there are pins of namespaces, so something is connected
        (directory / "pins").rmdir()
        # In reverse order, so that what is in a directory comes before it.
        for path in sorted(directory.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        directory.rmdir()
