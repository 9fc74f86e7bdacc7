"""``pybuild run`` with a container: it is created, started, and shown or left running.

This module does not import click (`builder.cli.fast_path`).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from pybuild.builder.cli.commands.container.access.foreground import Foreground, start_in_foreground
from pybuild.builder.cli.commands.container.common import opened_containers
from pybuild.builder.cli.commands.registry.image_lookup import MISSING, find_or_pull
from pybuild.builder.cli.failures import FAILED, Described, Failure, describe
from pybuild.builder.cli.flags.container.create import ContainerFlags
from pybuild.builder.cli.tools import note, say
from pybuild.builder.containers.attachment import DETACH_KEYS, parse_keys
from pybuild.builder.containers.catalog import Containers, StoredContainer
from pybuild.builder.containers.creating import ContainerRequest, create
from pybuild.builder.containers.events import is_first
from pybuild.builder.containers.lifecycle import remove
from pybuild.builder.containers.starting import start
from pybuild.builder.errors import BuildError, RequestError
from pybuild.runtime.errors import RuntimeHostError

_NO_DAEMON = (
    "note: containers do not start by themselves when the host comes up: have it run"
    ' "pybuild container start --restart-policies" (the README has a unit of systemd)'
)


class Showing(Protocol):
    """The flags about the foreground and the background."""

    @property
    def detach(self) -> bool:
        """Whether it runs in the background."""
        ...

    @property
    def attach(self) -> tuple[str, ...]:
        """The streams that are shown; () means the default."""
        ...

    @property
    def sig_proxy(self) -> bool:
        """Whether signals are passed on."""
        ...

    @property
    def detach_keys(self) -> str | None:
        """The keys that detach from it."""
        ...


def run_container(
    image: str, words: tuple[str, ...], flags: ContainerFlags, showing: Showing, *, platform: str | None
) -> int:
    """Run a container, and return its exit code; 0 when it is left running."""
    if showing.detach and showing.attach:
        error = RequestError("conflicting options: -a and -d")
        raise Described(Failure(describe(error).text, FAILED)) from error  # docker's code, which is not that of "run"
    keys = parse_keys(showing.detach_keys) if showing.detach_keys else DETACH_KEYS
    typed = flags.program.interactive and not showing.detach and (not showing.attach or "stdin" in showing.attach)
    streams = () if showing.detach else showing.attach or ("stdout", "stderr")
    attached = tuple(dict.fromkeys((*(("stdin",) if typed else ()), *streams)))
    with opened_containers() as containers:
        container = create_container(containers, flags.request(image, words, attached), flags, platform)
        if not showing.detach:
            shown = frozenset(number for number, name in ((1, "stdout"), (2, "stderr")) if name in attached)
            foreground = Foreground(typed=typed, keys=keys, shown=shown, relayed=showing.sig_proxy)
            return start_in_foreground(containers, container, foreground)
        try:
            begin(containers, container)
        except (BuildError, RuntimeHostError):
            if container.config.host.auto_remove:
                remove(containers, container, volumes=True)
            raise
        finally:
            say(container.id)
        return 0


def create_container(
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


def begin(containers: Containers, container: StoredContainer) -> None:
    """Start a container in the background."""
    channel = start(containers, container)
    if channel is not None:
        channel.close()
