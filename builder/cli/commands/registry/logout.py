"""``pybuild logout``: forget the credentials for a registry."""

from pathlib import Path

import click

from pybuild.builder.cli.command import Command
from pybuild.builder.cli.commands.registry.login import credential_files, registry_of
from pybuild.builder.cli.flags.access import auth_file_option
from pybuild.builder.cli.tools import say, warn
from pybuild.builder.oci.registry.auth.file import server_key
from pybuild.builder.store.free_space import writing


@click.command("logout", cls=Command)
@click.argument("server", required=False, metavar="[SERVER]")
@auth_file_option
def command(server: str | None, authfile: Path | None) -> None:
    """Remove the stored credentials for the registry SERVER (default: Docker Hub)."""
    registry = registry_of(server)
    files = credential_files(authfile)
    with writing(files.own_file()):
        known = files.forget(registry)
    if known:
        say(f"Removing login credentials for {server_key(registry)}")
    else:
        say(f"Not logged in to {server_key(registry)}")
    if files.find(registry) is not None:
        warn("there are still credentials for it in another file or in DOCKER_AUTH_CONFIG")
