"""``pybuild create``: create a container without starting it."""

import click

from pybuild.builder.cli.command import Command, root_option
from pybuild.builder.cli.commands.container.common import opened_containers
from pybuild.builder.cli.commands.container.lifecycle.run import create_container
from pybuild.builder.cli.failures import Described, Failure, describe
from pybuild.builder.cli.flags.completion_types import IMAGE
from pybuild.builder.cli.flags.container.create import ContainerFlags
from pybuild.builder.cli.flags.container.unsupported import add_unsupported_container_flags
from pybuild.builder.cli.flags.group import takes
from pybuild.builder.cli.tools import say
from pybuild.builder.errors import RequestError

_REFUSED = 125


@click.command(
    "create",
    cls=Command,
    context_settings={"allow_interspersed_args": False, "help_option_names": ["--help"]},
)
@click.argument("image", type=IMAGE)
@click.argument("words", nargs=-1, metavar="[COMMAND [ARG...]]", type=click.UNPROCESSED)
@add_unsupported_container_flags
@takes(ContainerFlags, "flags")
@click.option(
    "--platform", metavar="OS/ARCH[/VARIANT]", envvar="DOCKER_DEFAULT_PLATFORM", help="Platform of the image."
)
@root_option
def command(image: str, words: tuple[str, ...], *, flags: ContainerFlags, platform: str | None) -> None:
    """Create a container from IMAGE for COMMAND, or for the default command of IMAGE, and print its ID."""
    try:
        flags.network.networking()
        flags.network.exposed()
        flags.limits.check()
        flags.check_restart()
        flags.namespaces.check()
    except RequestError as error:
        # Docker has another exit code for what its client refuses than for what its daemon refuses.
        raise Described(Failure(describe(error).text, _REFUSED)) from error
    with opened_containers() as containers:
        say(create_container(containers, flags.request(image, words, ("stdout", "stderr")), flags, platform).id)
