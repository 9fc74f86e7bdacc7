"""``pybuild info``: the store and the host, in the fields of ``docker info``."""

import os
import platform
from collections import Counter
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click

from pybuild.builder.cli.command import Command, root_option
from pybuild.builder.cli.format.listing import parsed, rendered
from pybuild.builder.cli.format.template_functions import as_json
from pybuild.builder.cli.tools import say, store, warn
from pybuild.builder.containers.catalog import all_containers
from pybuild.builder.display.units import human_size
from pybuild.builder.networks.values import DRIVERS, HOST
from pybuild.builder.store.directory import copies_trees
from pybuild.builder.store.store import Store
from pybuild.runtime.sandbox.cgroups import hierarchies

_WARNED = {"memory": "No memory limit support", "pids": "No pids limit support", "cpu": "No cpu shares support"}
_NETWORKS = sorted((*DRIVERS, HOST, "null"))
_RELEASE = ("/etc/os-release", "/usr/lib/os-release")


@click.command("info", cls=Command)
@click.option(
    "-f", "--format", "template", metavar="FORMAT", help='Print with "json" or a Go template such as "{{.NCPU}}".'
)
@root_option
def command(template: str | None) -> None:
    """Show the store and the host, with the fields of docker info that have a meaning without a daemon."""
    opened = store()
    try:
        facts = _facts(opened)
    finally:
        opened.close()
    if template == "json":
        say(as_json(facts))
    elif template:
        say(rendered(parsed(template), facts))
    else:
        say("\n".join(_lines(facts)))
        for text in facts["Warnings"]:
            warn(text)


def _facts(opened: Store) -> dict[str, Any]:
    states = Counter(each.state.status for each in all_containers(opened.root))
    running = states["running"] + states["restarting"]
    made = hierarchies()
    held = frozenset[str]().union(*(each.controllers for each in made))
    unified = any(each.unified and each.controllers for each in made) and not any(not each.unified for each in made)
    return {
        "Name": os.uname().nodename,
        "ServerVersion": version("pybuild"),
        "Containers": states.total(),
        "ContainersRunning": running,
        "ContainersPaused": states["paused"],
        "ContainersStopped": states.total() - running - states["paused"],
        "Images": len({descriptor.digest for _, descriptor in opened.layout.entries()}),
        "Driver": "vfs" if copies_trees(opened.root) else "overlay2",
        "LoggingDriver": "json-file",
        "CgroupDriver": "cgroupfs" if held else "none",
        "CgroupVersion": "2" if unified else "1",
        "Plugins": {"Volume": ["local"], "Network": _NETWORKS, "Log": ["json-file", "local", "none"]},
        "MemoryLimit": "memory" in held,
        "PidsLimit": "pids" in held,
        "CPUShares": "cpu" in held,
        "SecurityOptions": ["name=seccomp,profile=default", *([] if os.geteuid() == 0 else ["name=rootless"])],
        "KernelVersion": platform.release(),
        "OperatingSystem": _system(),
        "OSType": "linux",
        "Architecture": platform.machine(),
        "NCPU": len(os.sched_getaffinity(0)),
        "MemTotal": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "DockerRootDir": str(opened.root),
        "Warnings": [text for name, text in _WARNED.items() if name not in held],
    }


def _system() -> str:
    for path in map(Path, _RELEASE):
        try:
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:  # not every system has the file
            continue
        for line in lines:
            name, _, value = line.partition("=")
            if name == "PRETTY_NAME":
                return value.strip("\"'")
    return "Linux"


def _lines(facts: dict[str, Any]) -> list[str]:
    """Return what ``docker info`` prints of the server, in its order."""
    plugins = facts["Plugins"]
    return [
        f"Containers: {facts['Containers']}",
        *(f" {name}: {facts[f'Containers{name}']}" for name in ("Running", "Paused", "Stopped")),
        f"Images: {facts['Images']}",
        f"Server Version: {facts['ServerVersion']}",
        f"Storage Driver: {facts['Driver']}",
        f"Logging Driver: {facts['LoggingDriver']}",
        f"Cgroup Driver: {facts['CgroupDriver']}",
        f"Cgroup Version: {facts['CgroupVersion']}",
        "Plugins:",
        *(f" {name}: {' '.join(values)}" for name, values in plugins.items()),
        "Security Options:",
        *(f" {option.partition('=')[2].partition(',')[0]}" for option in facts["SecurityOptions"]),
        f"Kernel Version: {facts['KernelVersion']}",
        f"Operating System: {facts['OperatingSystem']}",
        f"OSType: {facts['OSType']}",
        f"Architecture: {facts['Architecture']}",
        f"CPUs: {facts['NCPU']}",
        f"Total Memory: {human_size(facts['MemTotal'])}",
        f"Name: {facts['Name']}",
        f"Store: {facts['DockerRootDir']}",
    ]
