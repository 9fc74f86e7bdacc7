"""Running a command in a sandbox whose rootfs is that of an image. The changes of the command are discarded."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath

from pybuild.builder.errors import BuildError, RequestError
from pybuild.builder.execute.emulation import need_emulator
from pybuild.builder.oci.image import Image
from pybuild.builder.oci.model import DEFAULT_PATH, ContainerConfig
from pybuild.builder.platforms import platform_of
from pybuild.builder.store.cache import image_layers
from pybuild.builder.store.free_space import storing
from pybuild.builder.store.store import Store
from pybuild.grammar.suggest import did_you_mean
from pybuild.runtime.errors import SandboxError
from pybuild.runtime.paths.safepath import Root as SafeRoot
from pybuild.runtime.rootfs.identity import FILE_LIMIT
from pybuild.runtime.rootfs.roots import Root
from pybuild.runtime.sandbox.inside import command_errors
from pybuild.runtime.sandbox.spec import FileMount, Mount, Network, Process, Spec
from pybuild.runtime.values import frozen

_HOSTNAME = PurePosixPath("/etc/hostname")
_HINTS = dict.fromkeys(
    ("/etc/hosts", "/etc/hostname", "/etc/resolv.conf"),
    "every step gets this file, so the image may only have a file there, or nothing",
)

_OF_NAMES = {
    "find user": "add the user to the image in an earlier step, or use a number",
    "find group": "add the group to the image in an earlier step, or use a number",
}
_FILES = {"find user": "etc/passwd", "find group": "etc/group"}


@frozen
class ImageCommand:
    """The command, as far as it differs from the defaults of the image.

    *words* replace the command of the image, an *entrypoint* its entrypoint and its command; "" means none. *env* is
    the whole environment of the command, besides PATH and HOSTNAME.
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
    """Yield a rootfs of *image*, which exists while the block runs.

    Raises:
        SandboxUnavailable: programs of its platform cannot run here.
        BuildError: the block raised a SandboxError for which the image or the command is to blame.
    """
    need_emulator(platform_of(image.config), store.root / "tmp")
    with storing(store.root):
        active = store.trees.prepare(image_layers(image))
    try:
        with blaming(lambda: SafeRoot(store.trees.open(image_layers(image)))):
            yield store.snapshots.root(active)
    finally:
        store.snapshots.discard(active)


@contextmanager
def blaming(open_root: Callable[[], SafeRoot] | None = None) -> Iterator[None]:
    """Turn a SandboxError of the block into a BuildError when its cause is in the image or the command (`mistake`)."""
    try:
        yield
    except SandboxError as error:
        if (found := mistake(error, open_root)) is not None:
            raise found from error
        raise


def mistake(error: SandboxError, open_root: Callable[[], SafeRoot] | None = None) -> BuildError | None:
    """Return a BuildError for *error* when its cause is in the Dockerfile or the image; None when it is in the host.

    *open_root* opens the rootfs, in which a similar user or group is looked for.
    """
    text = command_errors.mistake(error.operation, error.path, error.errno, str(error))
    if command_errors.is_mounting(error.operation):
        hint = _HINTS.get(error.path, "")
    else:
        hint = _OF_NAMES.get(error.operation, "") if text.endswith("file") else ""
        if hint and open_root is not None:
            hint = _similar(error, open_root) or hint
    return BuildError(text, hint=hint) if text else None


def _similar(error: SandboxError, open_root: Callable[[], SafeRoot]) -> str:
    with open_root() as root:
        lines = (root.read_file(_FILES[error.operation], FILE_LIMIT) or b"").splitlines()
    return did_you_mean(error.path, (os.fsdecode(line.partition(b":")[0]) for line in lines))


def spec_of(command: ImageCommand, config: ContainerConfig, root: Root) -> Spec:
    """Return the description of the sandbox. Raises RequestError when neither *command* nor *config* has a command."""
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
        # As in Docker, the command of the image is only used with the entrypoint of the image.
        arguments = (*((command.entrypoint,) if command.entrypoint else ()), *command.words)
    else:
        arguments = (*(config.entrypoint or ()), *(command.words or config.cmd or ()))
    if not arguments:
        raise RequestError("no command specified", hint="the image has no default command")
    return arguments


def _mounts(command: ImageCommand) -> tuple[Mount, ...]:
    name = FileMount(target=_HOSTNAME, content=f"{command.hostname}\n".encode())
    return command.mounts if any(mount.target == _HOSTNAME for mount in command.mounts) else (name, *command.mounts)
