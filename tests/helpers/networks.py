"""A network namespace for a test, and what is left in it."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import pytest

from pybuild.runtime.kernel.syscalls import CLONE_NEWNET, bring_up_loopback, setns, unshare
from pybuild.runtime.networks.links import links
from pybuild.runtime.networks.namespaces import networks_directory
from pybuild.runtime.networks.programs import missing
from pybuild.runtime.sandbox import forkserver_client
from tests.helpers.hosts import need_root
from tests.helpers.waiting import settled

_SPACE = "/proc/thread-self/ns/net"


def need_netavark() -> None:
    """Skip unless the programs that networks need are installed."""
    need_root()
    lacking = missing()
    if lacking:
        pytest.skip(f"needs {', '.join(lacking)}; see tests/setup/debian.sh")


@contextmanager
def own_network() -> Iterator[None]:
    """Have this thread, and what it starts, in a new network namespace with a loopback."""
    before = os.open(_SPACE, os.O_RDONLY | os.O_CLOEXEC)
    unshare(CLONE_NEWNET)
    try:
        bring_up_loopback()
        with _own_fork_server():
            yield
    finally:
        setns(before, CLONE_NEWNET)
        os.close(before)


@contextmanager
def _own_fork_server() -> Iterator[None]:
    """Have sandboxes forked by a server of this namespace, which ends with the block: a server stays where it began."""
    with patch.dict(forkserver_client._SERVERS, clear=True):
        try:
            yield
        finally:
            for server in forkserver_client._SERVERS.values():
                server._channel.close()


@dataclass(frozen=True)
class Seen:
    """Interfaces, rules and chains of ours, processes and files: what networks may leave on a host."""

    interfaces: tuple[str, ...]
    rules: tuple[str, ...]
    processes: tuple[str, ...]
    files: tuple[str, ...]


def seen() -> Seen:
    """Return what is there now in the network namespace of this thread."""
    saved = [
        line
        for program in ("iptables-save", "ip6tables-save")
        for line in subprocess.run([program], capture_output=True, text=True, check=True).stdout.splitlines()
    ]
    directory = networks_directory()
    processes = _processes(directory)
    mounted = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()]
    return Seen(
        interfaces=tuple(sorted(each.name for each in links())),
        rules=tuple(line for line in saved if line.startswith("-A") or (line.startswith(":") and " - " in line)),
        processes=tuple(sorted(processes)),
        files=(
            *map(str, sorted(directory.rglob("*") if directory.exists() else ())),
            *(path for path in mounted if path.startswith(str(directory))),
        ),
    )


def _processes(named: Path) -> list[str]:
    """The programs that have a path in their command lines."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            words = path.read_bytes().split(b"\0")
            if os.fsencode(named) in b" ".join(words):
                found.append(os.fsdecode(words[0]))
    return found


def await_commands(store: Path) -> None:
    """Wait for the commands that monitors of *store* have become: they still write in it."""
    settled(lambda: _processes(store), [])


def seen_once(wanted: Seen) -> Seen:
    """Return what is there when it is what is *wanted*, or after some time: the kernel takes a moment to clean up."""
    return settled(seen, wanted)
