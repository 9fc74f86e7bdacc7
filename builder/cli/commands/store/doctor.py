"""``pybuild doctor``: the isolation of steps that this host permits, and how to improve it."""

import json
import os
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from pybuild.builder.cli.command import Command, root_option
from pybuild.builder.cli.tools import say, session
from pybuild.builder.errors import StoreError
from pybuild.builder.store.directory import default_root
from pybuild.runtime.errors import SandboxUnavailable
from pybuild.runtime.private_networks.pool import take
from pybuild.runtime.sandbox.cgroups import hierarchies
from pybuild.runtime.sandbox.privileges import Ladder, Rung

_WITHOUT = {
    "root": "pivot_root is refused: steps run after a chroot, without CAP_SYS_CHROOT",
    "proc": "a new /proc is refused: the outer one is visible, with its processes",
    "proc files": "a new /proc is refused: there are only a few files in it",
    "host name": "the host name cannot be set",
    "loopback": "the loopback interface of --network=none stays down",
}
_OVERLAYFS = 0x794C7630
_ON_OVERLAY = "it is on an overlay, where overlayfs cannot be used: every snapshot is a full copy"
_VOLUME = "docker run -v pybuild:/store -e PYBUILD_ROOT=/store"
_NO_LIMITS = "--memory and other limits are not enforced: no cgroup can be created"
_CGROUPS = {
    True: "docker run --cgroupns=host -v /sys/fs/cgroup:/sys/fs/cgroup ...",
    False: "systemd-run --user --scope pybuild ...",
}


@click.command("doctor", cls=Command)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    help="Format of the output (default: text).",
)
@root_option
def command(*, form: str) -> int:
    """Show how steps are isolated from this host, the limits of that, and what a better isolation needs.

    Everything is tested. The kinds of isolation, best first, are root, userns (a user namespace), single (one with the
    id of the user alone, where other owners are recorded), chroot (a chroot alone; experimental) and none (no commands
    can run). The exit code is 3 when RUN does not work.
    """
    ladder = Ladder(directory=_place())
    found: dict[str, Any] = {
        "user": os.geteuid(),
        "kernel": platform.release(),
        "isolation": {"wanted": ladder.wanted, "used": ladder.used.name if ladder.used else None},
        "rungs": [_rung(rung) for rung in ladder.rungs],
        "store": _store(),
        "network": _network(),
        "limits": sorted(frozenset[str]().union(*(each.controllers for each in hierarchies()))),
    }
    say(json.dumps(found, indent=2) if form == "json" else "\n".join(_lines(found)))
    return 0 if found["isolation"]["used"] not in {None, "none"} else 3


def _rung(rung: Rung) -> dict[str, Any]:
    return {
        "name": rung.name,
        "works": rung.works,
        "without": [_WITHOUT[name] for name in rung.missing],
        "reason": rung.reason,
        "needs": rung.needs,
    }


def _place() -> Path | None:
    """Return a directory in which trees would lie, None for any."""
    try:
        root = Path(session().root or default_root())
    except StoreError:
        return None
    there = next(path for path in (root, *root.parents) if path.exists())
    return there if os.access(there, os.W_OK) else None


def _store() -> dict[str, str]:
    """Return where the store is, or would be, and what is wrong with that place."""
    try:
        root = Path(session().root or default_root())
    except StoreError as error:
        return {"place": "", "reason": error.message, "needs": error.hint}
    there = next(path for path in (root, *root.parents) if path.exists())
    if not os.access(there, os.W_OK):
        return {"place": str(root), "reason": f"{there} cannot be written", "needs": "export PYBUILD_ROOT=DIRECTORY"}
    return {"place": str(root), **({"reason": _ON_OVERLAY, "needs": _VOLUME} if _is_overlay(there) else {})}


def _network() -> dict[str, str]:
    """Return the program that carries private networks, by making one, or what is missing for that."""
    try:
        with take() as made:
            return {"private": made.program}
    except SandboxUnavailable as error:
        reason = str(error).removeprefix("no private network: ")
        return {"private": "", "reason": reason, "needs": error.command or "--network=host"}


def _is_overlay(path: Path) -> bool:
    device = os.stat(path).st_dev
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            before, _, after = line.partition(" - ")
            major, minor = map(int, before.split(" ")[2].split(":"))
            if os.makedev(major, minor) == device:
                return after.startswith("overlay ")
    return False


def _lines(found: dict[str, Any]) -> Iterator[str]:
    yield f"user       {found['user']}"
    yield f"kernel     {found['kernel']}"
    used = found["isolation"]["used"] or "nothing that works"
    yield f"isolation  {found['isolation']['wanted']}: {used}"
    better = True
    for rung in found["rungs"]:
        state = "works" if rung["works"] else f"does not work: {rung['reason']}"
        yield f"  {rung['name']:<8} {state}"
        yield from (f"           {text}" for text in rung["without"])
        better = better and rung["name"] != found["isolation"]["used"]
        if better and rung["needs"]:
            yield f"           to have it: {rung['needs']}"
    yield f"store      {found['store']['place'] or 'none'}"
    yield from _advice(found["store"])
    yield f"network    {_networks(found['network']['private'])}"
    yield from _advice(found["network"])
    yield f"limits     {', '.join(found['limits']) or 'none'}"
    if not found["limits"]:
        # Without cgroup v2 systemd gives an ordinary user no group.
        older = found["user"] != 0 and not Path("/sys/fs/cgroup/cgroup.controllers").exists()
        yield from _advice(
            {"reason": _NO_LIMITS, "needs": "sudo pybuild ..." if older else _CGROUPS[found["user"] == 0]}
        )


def _networks(program: str) -> str:
    return f"host, none, private (by {program})" if program else "host, none; private does not work"


def _advice(about: dict[str, str]) -> Iterator[str]:
    if about.get("reason"):
        yield f"           {about['reason']}"
        yield f"           to change it: {about['needs']}"
