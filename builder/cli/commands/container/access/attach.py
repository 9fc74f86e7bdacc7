"""``pybuild attach``: connect the terminal to a running container."""

import click

from pybuild.builder.cli.command import Command, root_option
from pybuild.builder.cli.commands.container.access.foreground import KEYS_HELP, Foreground, show_until_exit
from pybuild.builder.cli.commands.container.common import opened_containers
from pybuild.builder.containers.attachment import DETACH_KEYS, parse_keys
from pybuild.builder.containers.errors import ContainerError
from pybuild.runtime.monitor import messages
from pybuild.runtime.monitor.starting import connected


@click.command("attach", cls=Command)
@click.argument("name", metavar="CONTAINER")
@click.option("--no-stdin", is_flag=True, help="Do not pass standard input.")
@click.option("--sig-proxy/--no-sig-proxy", default=True, help="Pass signals to the container (default).")
@click.option("--detach-keys", metavar="KEYS", help=KEYS_HELP)
@root_option
def command(name: str, *, no_stdin: bool, sig_proxy: bool, detach_keys: str | None) -> int:
    """Show the output of a container from now on, pass input to it, and exit with its exit code."""
    keys = parse_keys(detach_keys) if detach_keys else DETACH_KEYS
    with opened_containers() as containers:
        container = containers.find(name)
        status = container.state.status
        if status in {"paused", "restarting"}:
            raise ContainerError(f"You cannot attach to a {status} container")
        if status != "running":
            raise ContainerError("You cannot attach to a stopped container, start it first")
        container.log_event("attach")
        typed = container.config.program.open_stdin and not no_stdin
        with connected(container.directory) as channel:
            channel.send(messages.ATTACH + (b"i" if typed else b""))
            foreground = Foreground(typed=typed, keys=keys, relayed=sig_proxy)
            return show_until_exit(channel, container, foreground) or 0
