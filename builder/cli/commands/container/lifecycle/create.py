"""``pybuild create``: create a container without starting it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from pybuild.builder.cli.command import Command, root_option
from pybuild.builder.cli.commands.container.common import opened_containers
from pybuild.builder.cli.commands.registry.image_lookup import MISSING, find_or_pull
from pybuild.builder.cli.failures import Described, Failure, describe
from pybuild.builder.cli.flags.container.create import ContainerFlags
from pybuild.builder.cli.flags.container.namespaces import foreign_container_flags
from pybuild.builder.cli.flags.group import takes
from pybuild.builder.cli.flags.words import IMAGE
from pybuild.builder.cli.tools import note, say
from pybuild.builder.containers.creating import ContainerRequest, create
from pybuild.builder.containers.directory import Containers, StoredContainer
from pybuild.builder.containers.events import is_first
from pybuild.builder.errors import RequestError

_REFUSED = 125
_NO_DAEMON = (
    "note: containers do not start by themselves when the host comes up: have it run"
    ' "pybuild container start --restart-policies" (the README has a unit of systemd)'
)


@click.command(
    "create",
    cls=Command,
    context_settings={"allow_interspersed_args": False, "help_option_names": ["--help"]},
)
@click.argument("image", type=IMAGE)
@click.argument("words", nargs=-1, metavar="[COMMAND [ARG...]]", type=click.UNPROCESSED)
@foreign_container_flags
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
        say(created(containers, flags.request(image, words, ("stdout", "stderr")), flags, platform).id)


def created(
    containers: Containers, request: ContainerRequest, flags: ContainerFlags, platform: str | None
) -> StoredContainer:
    """Create the container of *request*, with the rest of what the flags describe."""
    host = flags.host_config()
    for linked, _ in host.networking.links:
        containers.find(linked)  # missed here already, although it is looked up again at each start
    if fallback := flags.network.fallback():
        note(fallback)
    with _id_file(flags.host.cidfile) as write, containers.store.in_use():
        found = find_or_pull(containers.store, request.image, flags.pull or MISSING, platform, quiet=flags.quiet)
        container = create(containers, found, request, host)
        write(container.id)
    if host.restart in {"always", "unless-stopped"} and is_first(containers.store.root, "restart"):
        note(_NO_DAEMON)
    return container


@contextmanager
def _id_file(path: Path | None) -> Iterator[Callable[[str], object]]:
    """Make the file of ``--cidfile`` and yield what writes to it; it is removed when the block fails.

    It is made before the container: where it cannot be, there must be no container that nobody knows of.
    """
    if path is None:
        yield lambda _id: None
        return
    try:
        file = path.open("x", encoding="ascii")
    except FileExistsError:
        raise RequestError(
            f"container ID file found, make sure the other container isn't running or delete {path}"
        ) from None
    with file:
        try:
            yield file.write
        except BaseException:
            path.unlink(missing_ok=True)
            raise
