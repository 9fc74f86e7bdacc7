"""Running a command in an image."""

import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from pybuild.builder.api.cancel import Cancel
from pybuild.builder.api.errors import public_operation
from pybuild.builder.errors import RequestError
from pybuild.builder.request import Volume, checks
from pybuild.builder.store.store import Store
from pybuild.builder.store.worker_calls import SendEvent, call_in_worker
from pybuild.runtime.sandbox.isolation import is_direct
from pybuild.runtime.values import frozen

if TYPE_CHECKING:
    from pybuild.builder.execute.image_command import ImageCommand
    from pybuild.builder.oci.image import Image

Output = Callable[[int, bytes], None]
"""Takes a chunk of the output of a command: 1 or 2 for the stream, and the bytes."""


def discard(_stream: int, _data: bytes) -> None:
    """Discard the output."""


@frozen
class Command:
    """The command to run in an image, as far as it differs from the defaults of the image.

    *words* replace the command of the image, if there are any; *entrypoint* replaces its entrypoint and command, ""
    means no entrypoint. *env* is added to the environment of the image. *network* is ``host``, or ``none`` for a
    loopback interface only.

        pybuild.Command(words=("pytest", "-q"), env=(("CI", "1"),), workdir="/src", network="none")

    Raises:
        errors.RequestError: *network* or a name in *env* is invalid, or a value has another type.
    """

    words: tuple[str, ...] = ()
    entrypoint: str | None = None
    env: tuple[tuple[str, str], ...] = ()
    workdir: str = ""
    user: str | None = None
    network: str = "host"
    volumes: tuple[Volume, ...] = ()

    def __post_init__(self) -> None:
        checks.types(self)
        checks.variables("--env", self.env)
        if self.network not in {"host", "none"}:
            raise RequestError(f"network mode {self.network!r} not supported by pybuild", hint="use none or host")


def run(
    image: str,
    command: Command | Iterable[str],
    store: Store,
    output: Output = discard,
    *,
    platform: str | None = None,
    cancel: Cancel | None = None,
) -> int:
    """Run a command in a sandbox with the files of *image*, and return its exit code. Its changes are discarded.

    *command* may be its words alone. *output* is called in this thread. The exit code is 127 when there is no such
    program, 126 when it cannot be executed, 128 + N when signal N ended it.

        code = pybuild.run("app:1", ("make", "test"), store, lambda stream, data: sys.stdout.buffer.write(data))

    Raises:
        errors.ImageNotFound: the store has no such image.
        errors.RequestError: there is no command to run.
        errors.HostError: the sandbox cannot be set up.
        errors.Cancelled: *cancel* was used; the command was killed.
    """
    from pybuild.builder.image.catalog import find_image
    from pybuild.builder.platforms import wanted_platform

    token = cancel or Cancel()
    with public_operation(token), store.in_use():
        found = find_image(store, image, wanted_platform(platform) if platform else None)
        wanted = _in_image(command_of(command), found)

        def tell(piece: tuple[int, bytes]) -> None:
            output(*piece)

        if is_direct():
            code = _run(store, tell, wanted, found, token.event)
        else:
            # Another process cannot see the token; it is interrupted instead.
            code = call_in_worker(_run, store, tell, wanted, found)
        token.check()
        return code


def _run(
    store: Store, send_event: SendEvent, command: "ImageCommand", image: "Image", cancel: threading.Event | None = None
) -> int:
    from pybuild.builder.execute.image_command import rootfs_of, spec_of
    from pybuild.runtime import running

    with store.in_use(), rootfs_of(image, store) as root:
        spec = spec_of(command, image.config.config, root)
        return running.run(spec, output=lambda *piece: send_event(piece), cancel=cancel).shell_code


def command_of(command: Command | Iterable[str]) -> Command:
    """Return *command* as a `Command`; it may be the words alone."""
    if isinstance(command, Command):
        return command
    return Command(words=texts(command))


def _in_image(command: Command, image: "Image") -> "ImageCommand":
    from pybuild.builder.execute.image_command import ImageCommand
    from pybuild.builder.execute.process_rights import binds
    from pybuild.runtime.sandbox.spec import Network

    own = (line.partition("=") for line in image.config.config.env)
    return ImageCommand(
        words=command.words,
        entrypoint=command.entrypoint,
        env=tuple({**{name: value for name, mark, value in own if mark}, **dict(command.env)}.items()),
        workdir=command.workdir,
        user=command.user,
        network=Network(command.network),
        mounts=binds(command.volumes),
    )


def texts(given: Iterable[str]) -> tuple[str, ...]:
    """Return *given* as a tuple; a single string is one text."""
    return (given,) if isinstance(given, str) else tuple(given)
