"""``pybuild run``: run a command in a sandbox with the files of an image, or in a container."""

import click

from pybuild.builder.cli.command import Command, root_option
from pybuild.builder.cli.commands.image.run_image import RunOwnFlags, run_image
from pybuild.builder.cli.flags.completion_types import IMAGE
from pybuild.builder.cli.flags.container.create import ContainerFlags
from pybuild.builder.cli.flags.container.unsupported import add_unsupported_container_flags
from pybuild.builder.cli.flags.group import takes

_EPILOG = """\b
Differences from docker run:
  - Without a flag that needs a container (-d, --name, --label, --restart, a limit,
    a named volume and so on) the command runs in a sandbox without one, which
    starts faster: when it ends, all changes of files are discarded, as with --rm.
    Signals that pybuild gets are passed to it, with -t as well. The third Ctrl-C
    kills it, and --stop-timeout counts from a SIGTERM.
  - "pybuild ps" lists containers. Without root they have no bridges, and limits
    only where the user may write a control group.
  - --rootfs and --timeout are those of podman run.
  - Such a command has the network of the host, with --network none no other than
    a loopback, with private its own by pasta or slirp4netns. Containers have a
    network of their own, as in Docker, where netavark and aardvark-dns are
    installed (see --network); ports are published on IPv4 only.
  - Exit codes are Docker's: 125 pybuild failed, 126 the command cannot be
    executed, 127 the command was not found, else the exit code of the command.
"""


@click.command(
    "run",
    cls=Command,
    epilog=_EPILOG,
    context_settings={"allow_interspersed_args": False, "help_option_names": ["--help"]},
)
@click.argument("image", type=IMAGE)
@click.argument("words", nargs=-1, metavar="[COMMAND [ARG...]]", type=click.UNPROCESSED)
@add_unsupported_container_flags
@takes(ContainerFlags, "flags")
@takes(RunOwnFlags, "own")
@root_option
def command(image: str, words: tuple[str, ...], *, flags: ContainerFlags, own: RunOwnFlags) -> int:
    """Run COMMAND, or the default command of IMAGE, in a sandbox with the files of IMAGE."""
    return run_image(image, words, flags, own)
