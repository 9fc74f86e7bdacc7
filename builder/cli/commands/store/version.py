"""``pybuild version``."""

import json
import platform
from importlib.metadata import version

import click

from pybuild.builder.cli.command import Command
from pybuild.builder.cli.format.listing import parsed, rendered
from pybuild.builder.cli.tools import say


@click.command("version", cls=Command)
@click.option(
    "-f", "--format", "template", metavar="FORMAT", help='Print with "json" or a Go template such as "{{.Version}}".'
)
def command(template: str | None) -> None:
    """Show the version of pybuild, and of Python and the kernel."""
    facts = {
        "Version": version("pybuild"),
        "Python": platform.python_version(),
        "Kernel": platform.release(),
        "Os": platform.system().lower(),
        "Arch": platform.machine(),
    }
    if template == "json":
        say(json.dumps(facts))
    elif template:
        say(rendered(parsed(template), facts))
    else:
        say("\n".join([f"pybuild version {facts['Version']}", *(f" {k}: {v}" for k, v in list(facts.items())[1:])]))
