"""Containers for programs: to start a database for tests, or the service that was just built."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from pybuild.builder.api.cancel import Cancel
from pybuild.builder.api.errors import public_operation
from pybuild.builder.api.run import Command, Output, command_of, discard, texts
from pybuild.builder.store.store import Store

if TYPE_CHECKING:
    from pybuild.builder.containers import catalog
    from pybuild.builder.containers.config import HostConfig
    from pybuild.builder.containers.creating import ContainerRequest
    from pybuild.builder.containers.state import State


class Container:
    """A container of a store.

    As a context manager it is removed at the end of the block, together with its anonymous volumes. Methods raise
    `errors.ContainerError` when the container was removed, or its state does not allow the operation.
    """

    def __init__(self, found: "catalog.StoredContainer", store: Store) -> None:
        self._found, self._store = found, store

    def __enter__(self) -> Self:
        """Return the container."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Remove the container, also when it runs."""
        self.remove()

    def __repr__(self) -> str:
        return f"<Container {self.name} {self.id[:12]}>"

    @property
    def id(self) -> str:
        """The id, 64 hexadecimal digits."""
        return self._found.id

    @property
    def name(self) -> str:
        """The name that the container had when it was found or created."""
        return self._found.name

    @property
    def _state(self) -> "State":
        with public_operation():
            return self._found.state

    @property
    def status(self) -> str:
        """The state: ``created``, ``running``, ``paused``, ``restarting`` or ``exited``."""
        return self._state.status

    @property
    def exit_code(self) -> int | None:
        """The exit code; None when the container has not exited."""
        state = self._state
        return state.exit_code if state.status == "exited" else None

    def addresses(self, port: str) -> "list[tuple[str, int]]":
        """Return the addresses and ports of the host that are forwarded to *port*, such as ``5432/tcp``.

        The list is empty while the container does not run.
        """
        from pybuild.builder.networks.membership import read_live
        from pybuild.builder.networks.ports import parse_exposed

        with public_operation():
            wanted = parse_exposed(port)[0]
            live = read_live(self._found.directory) if self._found.state.runs else None
            return [(each.address, each.host_port) for each in live.ports if each.name == wanted] if live else []

    def start(self) -> None:
        """Start the container. Does nothing when it runs.

        Raises:
            errors.ContainerError: the program cannot be executed.
        """
        from pybuild.builder.containers.catalog import Containers
        from pybuild.builder.containers.starting import start

        with public_operation():
            channel = start(Containers(self._store), self._found)
            if channel is not None:
                channel.close()

    def run(self, command: Command | Iterable[str], output: Output = discard) -> int:
        """Run a command in the running container and return its exit code.

        *output* is called in this thread. Of a `Command` only the words, environment, user and working directory are
        used.
        """
        from pybuild.builder.containers.executing import Inside, execute

        given = command_of(command)
        inside = Inside(words=given.words, env=given.env, user=given.user, working_dir=given.workdir)
        with public_operation():
            return execute(self._found, inside, output)

    def logs(self, *, follow: bool = False, tail: int | None = None) -> Iterator[tuple[int, bytes]]:
        """Yield the output: 1 for standard output or 2 for standard error, and a line, or a part of a long line.

        *tail* limits it to the last lines. With *follow* the iterator waits for more output until the container ends.
        """
        from pybuild.builder.containers.logs import LogRange, lines
        from pybuild.builder.containers.state import is_watched

        directory = self._found.directory
        for line in lines(directory, LogRange(tail), (lambda: is_watched(directory)) if follow else None):
            yield line.stream, line.data

    def wait(self, seconds: float = -1) -> int | None:
        """Wait until the container ends and return its exit code; None when it still runs after *seconds*.

        A negative number of seconds is no limit.
        """
        from pybuild.builder.containers.lifecycle import wait

        with public_operation():
            return wait(self._found, seconds)

    def stop(self, seconds: int = 10) -> None:
        """Send the stop signal, and SIGKILL after *seconds*. Does nothing when the container has ended."""
        from pybuild.builder.containers.lifecycle import stop_by_settings

        with public_operation():
            stop_by_settings(self._found, None, seconds)

    def kill(self, signal: int = 9) -> None:
        """Send a signal to the first process of the container."""
        from pybuild.builder.containers.lifecycle import kill

        with public_operation():
            kill(self._found, signal)

    def remove(self) -> None:
        """Remove the container and its anonymous volumes; kill it if it runs. Does nothing when it was removed."""
        from pybuild.builder.containers.catalog import Containers
        from pybuild.builder.containers.errors import NoSuchContainer
        from pybuild.builder.containers.lifecycle import remove

        with public_operation(), suppress(NoSuchContainer):
            remove(Containers(self._store), self._found, force=True, volumes=True)


def start(
    image: str,
    command: Command | Iterable[str],
    store: Store,
    *,
    name: str = "",
    networks: Iterable[str] = (),
    ports: Iterable[str] = (),
    platform: str | None = None,
    cancel: Cancel | None = None,
) -> Container:
    """Create a container of *image* that runs *command*, start it, and return it. It runs on after this program ends.

    *command* may be a list of words; () means the command of the image. An empty *name* stands for a random one. The
    container is connected to *networks*, on which other containers find it by its name. *ports* are in the notation of
    ``-p``: ``127.0.0.1::5432`` forwards a free port of the host to port 5432, and `Container.addresses` returns it.
    With *ports* and no *networks* the network is ``bridge``; without both it is the network of *command*.

        with pybuild.start("postgres", (), store, name="db", ports=("127.0.0.1::5432",)) as db:
            ((address, port),) = db.addresses("5432/tcp")

    Raises:
        errors.NetworkError: there is no such network, or a port of the host is in use.
        errors.ImageNotFound: the store has no such image.
        errors.RequestError: there is no command to run.
        errors.ContainerError: the name is in use, or the program cannot be executed; no container is left.
        errors.SandboxUnavailable: this host, or this user, permits no containers.
    """
    from pybuild.builder.containers.catalog import Containers
    from pybuild.builder.containers.creating import create
    from pybuild.builder.containers.namespace import need_sandbox
    from pybuild.builder.image.catalog import find_image
    from pybuild.builder.platforms import wanted_platform

    token = cancel or Cancel()
    with public_operation(token):
        need_sandbox()
        around = _host_config(command_of(command), texts(networks), texts(ports))
        containers = Containers(store)
        with store.in_use():
            found = find_image(store, image, wanted_platform(platform) if platform else None)
            made = Container(create(containers, found, _request(image, command_of(command), name), around), store)
        try:
            # A cancel that came while the container was made must not leave one that runs.
            token.check()
            made.start()
        except BaseException:
            made.remove()
            raise
        return made


def _request(image: str, command: Command, name: str) -> "ContainerRequest":
    from pybuild.builder.containers.creating import ContainerRequest

    return ContainerRequest(
        image=image,
        name=name,
        words=command.words,
        entrypoint=command.entrypoint,
        env=tuple(f"{variable}={value}" for variable, value in command.env),
        user=command.user,
        working_dir=command.workdir,
        attached=("stdout", "stderr"),
    )


def _host_config(command: Command, networks: Iterable[str], ports: Iterable[str]) -> "HostConfig":
    from pybuild.builder.containers.config import BIND, HostConfig, MountPoint
    from pybuild.builder.networks.ports import parse_publish
    from pybuild.builder.networks.values import BRIDGE, Membership, Networking

    mounts = tuple(
        MountPoint(kind=BIND, source=str(each.host_path), target=str(each.target), read_only=each.read_only)
        for each in command.volumes
    )
    published = tuple(port for text in ports for port in parse_publish(text))
    names = tuple(dict.fromkeys(networks)) or ((BRIDGE,) if published else ())
    networking = Networking(attachments=tuple(Membership(network=each) for each in names), ports=published)
    return HostConfig(network=names[0] if names else command.network, mounts=mounts, networking=networking)


def containers(store: Store) -> list[Container]:
    """Return all containers of *store*, the newest first.

        running = [each.name for each in pybuild.containers(store) if each.status == "running"]

    Raises:
        errors.StoreError: the store is closed.
    """
    from pybuild.builder.containers.catalog import Containers
    from pybuild.builder.containers.lifecycle import settle_all

    with public_operation():
        store.database.refuse_ended()
        every = Containers(store)
        # The state of a container whose monitor was killed still says that it runs.
        settle_all(every)
        return [Container(found, store) for found in every.all()]
