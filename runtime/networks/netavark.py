"""netavark: interfaces, addresses, ports and names of containers, set up and taken down by a program.

It is told by a document what to do (`netavark setup --help`); the same one takes down what it set up. Who calls holds
`namespaces.locked`. netavark itself runs under a second lock, which util-linux's flock holds for it: when we are killed
it goes on, and the next pybuild has to wait for it.
"""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from time import monotonic, sleep
from typing import Any

from pybuild.runtime.errors import RuntimeHostError
from pybuild.runtime.networks import links, rules
from pybuild.runtime.networks.namespaces import inside, pin_new, pin_path, pinned, place, unpin
from pybuild.runtime.networks.programs import DNS, NETAVARK, executable_of, find, need, run
from pybuild.runtime.paths.filelock import exclusive
from pybuild.runtime.values import frozen

_PATIENCE, _PAUSE = 5.0, 0.01


class NetworkFailure(RuntimeHostError):
    """netavark cannot set up what it was told to; *hint* says what may be missing."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


@frozen
class Connection:
    """A namespace *pin* and the networks that it is connected to, as netavark's *document* has them.

    *interfaces* are those in the namespace. *bridges* are those on the host, each with the number of other namespaces
    that are connected to it; *closed* are those of them that nothing may leave or enter, *published* those to which
    ports of the host lead.
    """

    pin: str
    document: Mapping[str, Any]
    interfaces: tuple[str, ...]
    bridges: tuple[tuple[str, int], ...] = ()
    closed: tuple[str, ...] = ()
    published: tuple[str, ...] = ()


def set_up(connection: Connection) -> dict[str, Any]:
    """Connect a namespace that is there; return what netavark says of it. Raises NetworkFailure, SandboxUnavailable."""
    need()
    _forget_dead_server()
    for bridge in connection.closed:
        rules.close_off(bridge)
    said = _run("setup", connection)
    if "error" in said:
        raise _failure(str(said["error"]))
    for bridge in connection.published:
        rules.let_in(bridge)
    return said


def take_down(connection: Connection) -> None:
    """Disconnect a namespace as far as it is connected. What is not there is no failure.

    A bridge without another namespace goes; `tidy` or `let_go` does the rest.
    """
    _forget_dead_server()
    # Without the right to make an interface nothing was set up, either.
    with suppress(OSError):
        _have_interfaces(connection)
    if find(NETAVARK) is not None:
        _run("teardown", connection)
    for bridge, others in connection.bridges:
        if not others and links.exists(bridge):
            with suppress(OSError):  # somebody else has removed it
                links.remove_bridge(bridge)


def let_go(pin: str) -> None:
    """Let a namespace go that is connected to nothing any more, and tidy up."""
    unpin(pin)
    tidy()


def tidy() -> None:
    """Remove what nobody needs any more: with the last network all rules, the name server and our files."""
    rules.tidy()
    _await_server_end()
    _remove_empty()


def _run(action: str, connection: Connection) -> dict[str, Any]:
    """Run netavark and return what it prints, with the member ``error`` when it fails."""
    directory = place()
    (directory / "dns").mkdir(mode=0o700, parents=True, exist_ok=True)
    program, server, flock = find(NETAVARK), find(DNS), find("flock")
    # One whose caller was killed may still be at work.
    with exclusive(directory / "running"):
        pass
    held = (flock, "--close", os.fspath(directory / "running")) if flock else ()
    where = ("--config", os.fspath(directory / "dns"), *(("--aardvark-binary", server) if server else ()))
    words = (*held, program or NETAVARK, *where, action, os.fspath(pin_path(connection.pin)))
    ended = run(words, json.dumps(connection.document).encode())
    text = ended.out.decode(errors="replace").strip().rpartition("\n")[2]
    try:
        said = json.loads(text or "{}")
    except ValueError:
        said = {"error": text}
    if ended.code and "error" not in said:
        said = {"error": ended.error.decode(errors="replace").strip() or f"netavark ended with {ended.code}"}
    return said if isinstance(said, dict) else {"error": text}


def _failure(reason: str) -> NetworkFailure:
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
    """Make the interfaces that netavark is to remove if they are missing: it fails when it does not find one.

    They are missing when a kill came before they were made, and when the namespace is gone, which takes the kernel a
    moment: until it is done the bridges seem to be in use.
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
    """Remove the number of a name server that is not one any more: netavark would send it signals."""
    file = place() / "dns" / DNS / "aardvark.pid"
    with suppress(FileNotFoundError):
        text = file.read_text(encoding="ascii", errors="replace").strip()
        program = executable_of(int(text)) if text.isdigit() else None
        if program is None or program.name.removesuffix(" (deleted)") != DNS:
            file.unlink()


def _await_server_end() -> None:
    """Wait for the name server to end when it has no network any more: it was told to."""
    directory = place() / "dns" / DNS
    deadline = monotonic() + _PATIENCE
    while monotonic() < deadline:
        names = [path.name for path in directory.iterdir()] if directory.is_dir() else []
        if names != ["aardvark.pid"]:
            return
        _forget_dead_server()
        sleep(_PAUSE)


def _remove_empty() -> None:
    """Remove our directories when nothing is connected any more."""
    directory = place()
    with suppress(OSError):
        (directory / "pins").rmdir()
        for path in sorted(directory.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        directory.rmdir()
