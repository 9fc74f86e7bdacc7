"""A command in the sandbox on top of an image; what it writes is discarded."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath

from pybuild.builder.errors import RequestError
from pybuild.builder.execute.foreign import need_emulator
from pybuild.builder.oci.image import Image
from pybuild.builder.oci.model import ContainerConfig
from pybuild.builder.platforms import platform_of
from pybuild.builder.stages.config import DEFAULT_PATH
from pybuild.builder.store.room import storing
from pybuild.builder.store.store import Store
from pybuild.runtime.rootfs.roots import Root
from pybuild.runtime.sandbox.spec import FileMount, Mount, Network, Process, Spec
from pybuild.runtime.values import frozen

_HOSTNAME = PurePosixPath("/etc/hostname")


@frozen
class ImageCommand:
    """What is run, as far as it is not what the image says.

    *words* replace the image's command, an *entrypoint* its entrypoint and its command; "" means none. *env* is all
    that the command has as its environment, beside PATH and HOSTNAME.
    """

    words: tuple[str, ...] = ()
    entrypoint: str | None = None
    env: tuple[tuple[str, str], ...] = ()
    workdir: str = ""
    user: str | None = None
    mounts: tuple[Mount, ...] = ()
    network: Network = Network.HOST
    hostname: str = "pybuild"
    hosts: tuple[tuple[str, str], ...] = ()
    """Additional lines of /etc/hosts: (name, address)."""
    init: bool = False
    interactive: bool = False
    terminal: bool = False


@contextmanager
def rootfs_of(image: Image, store: Store) -> Iterator[Root]:
    """Make a root file system of *image*, which lasts as long as the block.

    Raises:
        SandboxUnavailable: programs of its platform cannot run here.
    """
    need_emulator(platform_of(image.config), store.root / "tmp")
    with storing(store.root):
        active = store.snapshots.prepare(store.snapshot(image))
    try:
        yield store.snapshots.root(active)
    finally:
        store.snapshots.discard(active)


def spec_of(command: ImageCommand, config: ContainerConfig, root: Root) -> Spec:
    """Return what the sandbox has to do. Raises RequestError when neither *command* nor *config* says what to run."""
    return Spec(
        root=root,
        process=Process(
            args=_arguments(command, config),
            env=tuple({"PATH": DEFAULT_PATH, "HOSTNAME": command.hostname, **dict(command.env)}.items()),
            cwd=command.workdir or config.working_dir or "/",
            user=config.user if command.user is None else command.user,
        ),
        mounts=_mounts(command),
        network=command.network,
        hostname=command.hostname,
        hosts=command.hosts,
        init=command.init,
        interactive=command.interactive,
        terminal=command.terminal,
    )


def _arguments(command: ImageCommand, config: ContainerConfig) -> tuple[str, ...]:
    if command.entrypoint is not None:
        # As in Docker, the image's command belongs to the image's entrypoint.
        arguments = (*((command.entrypoint,) if command.entrypoint else ()), *command.words)
    else:
        arguments = (*(config.entrypoint or ()), *(command.words or config.cmd or ()))
    if not arguments:
        raise RequestError("no command specified", hint="the image has none of its own")
    return arguments


def _mounts(command: ImageCommand) -> tuple[Mount, ...]:
    name = FileMount(target=_HOSTNAME, content=f"{command.hostname}\n".encode())
    return command.mounts if any(mount.target == _HOSTNAME for mount in command.mounts) else (name, *command.mounts)
