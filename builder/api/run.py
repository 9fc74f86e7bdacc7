"""Running a command in an image."""

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from pybuild.builder.api.cancel import Cancel
from pybuild.builder.api.errors import door
from pybuild.builder.request import Volume
from pybuild.builder.store.inside import Tell, inside
from pybuild.builder.store.store import Store
from pybuild.runtime.sandbox.isolation import is_direct

if TYPE_CHECKING:
    from pybuild.builder.execute.in_image import ImageCommand
    from pybuild.builder.oci.image import Image
    from pybuild.runtime.sandbox.spec import Network

Output = Callable[[int, bytes], None]
"""Takes a chunk of the output of a command: 1 or 2 for the stream, and the bytes."""


def _discard(_stream: int, _data: bytes) -> None:
    """Discard the output."""


def run(
    image: str,
    words: Iterable[str],
    store: Store,
    output: Output = _discard,
    *,
    entrypoint: str | None = None,
    env: Mapping[str, str] | None = None,
    workdir: str = "",
    user: str | None = None,
    network: str = "host",
    volumes: Iterable[Volume] = (),
    platform: str | None = None,
    cancel: Cancel | None = None,
) -> int:
    """Run a command in a sandbox with the files of *image*, and return its exit code. Its changes are discarded.

    *words* replace the command of the image, if there are any; *entrypoint* replaces its entrypoint and command, ""
    means no entrypoint. *env* is added to the environment of the image. *network* is ``host``, or ``none`` for a
    loopback interface only. *output* is called in this thread. The exit code is 127 when there is no such program, 126
    when it cannot be executed, 128 + N when signal N ended it.

    Raises:
        errors.ImageNotFound: the store has no such image.
        errors.RequestError: there is no command to run, or *network* is invalid.
        errors.HostError: the sandbox cannot be set up.
        errors.Cancelled: *cancel* was used; the command was killed.
    """
    from pybuild.builder.execute.in_image import ImageCommand
    from pybuild.builder.image.catalog import find_image
    from pybuild.builder.platforms import wanted_platform
    from pybuild.runtime.sandbox.spec import Bind

    token = cancel or Cancel()
    with door(token), store.in_use():
        found = find_image(store, image, wanted_platform(platform) if platform else None)
        own = (line.partition("=") for line in found.config.config.env)
        command = ImageCommand(
            words=(words,) if isinstance(words, str) else tuple(words),
            entrypoint=entrypoint,
            env=tuple({**{name: value for name, mark, value in own if mark}, **(env or {})}.items()),
            workdir=workdir,
            user=user,
            network=_network(network),
            mounts=tuple(Bind(host_path=v.host_path, target=v.target, read_only=v.read_only) for v in volumes),
        )

        def tell(piece: tuple[int, bytes]) -> None:
            output(*piece)

        if is_direct():
            code = _run(store, tell, command, found, token.event)
        else:
            # Another process cannot see the token; it is interrupted instead.
            code = inside(_run, store, tell, command, found)
        token.check()
        return code


def _run(
    store: Store, tell: Tell, command: "ImageCommand", image: "Image", cancel: threading.Event | None = None
) -> int:
    from pybuild.builder.execute.in_image import rootfs_of, spec_of
    from pybuild.runtime.sandbox import launcher

    with store.in_use(), rootfs_of(image, store) as root:
        spec = spec_of(command, image.config.config, root)
        return launcher.run(spec, output=lambda *piece: tell(piece), cancel=cancel).shell_code


def _network(name: str) -> "Network":
    from pybuild.builder.errors import RequestError
    from pybuild.runtime.sandbox.spec import Network

    try:
        return Network(name)
    except ValueError:
        raise RequestError(f"network mode {name!r} not supported by pybuild", hint="use none or host") from None
