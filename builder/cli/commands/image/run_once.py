"""``run`` without a container: a command in a sandbox with the files of an image, whose changes are discarded."""

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path, PurePosixPath

from pybuild.builder.cli.commands.registry.image_lookup import MISSING, find_or_pull
from pybuild.builder.cli.flags.build_values import env_lines, hosts, variables
from pybuild.builder.cli.flags.container.create import working_dir
from pybuild.builder.cli.flags.container.rights import RightsFlags
from pybuild.builder.cli.flags.group import option
from pybuild.builder.cli.tools import pass_on, store
from pybuild.builder.errors import RequestError
from pybuild.builder.execute import image_command
from pybuild.builder.execute.process_rights import with_rights
from pybuild.builder.oci.image import Image
from pybuild.builder.oci.model import ContainerConfig
from pybuild.builder.store.store import Store
from pybuild.builder.store.worker_calls import SendEvent, WorkerAccess
from pybuild.runtime.rootfs.roots import DirectoryRoot, Root
from pybuild.runtime.sandbox.spec import Bind, Mount, Network, Spec
from pybuild.runtime.values import frozen, replace

_NEVER = -1


@frozen
class OnceFlags:
    """Flags of a command without a container."""

    rootfs: bool = option(
        "--rootfs",
        is_flag=True,
        help="IMAGE is a directory with a root file system; what the command changes there stays.",
    )
    timeout: int = option(
        "--timeout",
        type=int,
        default=0,
        metavar="SECONDS",
        help="Kill the command after this time (default: 0, never).",
    )


@frozen
class RunFlags:
    """The settings of a command without a container. An empty *entrypoint* means no entrypoint."""

    image: str
    words: tuple[str, ...]
    variables: tuple[str, ...] = ()
    env_files: tuple[Path, ...] = ()
    workdir: str | None = None
    user: str | None = None
    entrypoint: str | None = None
    network: str | None = "host"
    volumes: tuple[str, ...] = ()
    tmpfs: tuple[str, ...] = ()
    add_hosts: tuple[str, ...] = ()
    hostname: str | None = "pybuild"
    platform: str | None = None
    pull: str | None = MISSING
    quiet: bool = False
    init: bool = False
    stop_timeout: int = 10
    interactive: bool = False
    tty: bool = False
    rights: RightsFlags = RightsFlags()
    once: OnceFlags = OnceFlags()


def run_once(flags: RunFlags) -> int:
    """Run the command, and return its exit code.

    It is run where trees can be worked on (`inside`), which may be another process. Signals of this one are passed on.
    """
    from pybuild.runtime.sandbox.signal_relay import SignalRelay

    opened = store()
    stdin = os.dup(0)
    try:
        with opened.in_use(), ExitStack() as stack:

            def connect_signals(process: int) -> None:
                # Until here a signal ends this command. From here on it is passed to the process that runs the other
                # one.
                if process != os.getpid():
                    signals = stack.enter_context(SignalRelay(_NEVER, all_pass=True))
                    signals.connect(partial(os.kill, process))

            image = None if flags.once.rootfs else _image(opened, flags)
            return WorkerAccess(opened, connect_signals, (stdin,)).call(_run, image, flags, stdin)
    finally:
        os.close(stdin)
        opened.close()


def _image(opened: Store, flags: RunFlags) -> Image:
    return find_or_pull(opened, flags.image, flags.pull or MISSING, flags.platform, quiet=flags.quiet)


def _run(store: Store, send_event: SendEvent, image: Image | None, flags: RunFlags, stdin: int) -> int:
    """Run the command with the input *stdin*; *send_event* gets the number of this process, which passes signals on."""
    from pybuild.runtime.running import run
    from pybuild.runtime.sandbox.signal_relay import SignalRelay

    os.dup2(stdin, 0)
    with store.in_use(), _opened(store, image, flags) as (config, root), SignalRelay(flags.stop_timeout) as signals:
        send_event(os.getpid())
        what = spec(config, root, flags, os.environ)
        with _ending(flags.once.timeout, signals.killed):
            return run(what, output=pass_on, signals=signals).shell_code


@contextmanager
def _opened(store: Store, image: Image | None, flags: RunFlags) -> Iterator[tuple[ContainerConfig, Root]]:
    """Yield the config of the image and its rootfs; an empty config and the directory for ``--rootfs``."""
    if image is None:
        path = Path(flags.image).absolute()
        if not path.is_dir():
            raise RequestError(f"--rootfs {flags.image}: not a directory")
        with image_command.blaming():
            yield ContainerConfig(), DirectoryRoot(path=path)
        return
    with image_command.rootfs_of(image, store) as root:
        yield image.config.config, root


@contextmanager
def _ending(seconds: int, killed: threading.Event) -> Iterator[None]:
    """Set *killed* after *seconds*, unless the block has ended before; 0 means no limit."""
    if not 0 <= seconds <= threading.TIMEOUT_MAX:
        raise RequestError(f"invalid --timeout {seconds}", hint="give seconds, or 0 for none")
    timer = threading.Timer(seconds, killed.set)
    timer.daemon = True
    if seconds:
        timer.start()
    try:
        yield
    finally:
        timer.cancel()


def spec(config: ContainerConfig, root: Root, flags: RunFlags, env: Mapping[str, str]) -> Spec:
    """Return the description of the sandbox. Raises RequestError."""
    command = image_command.ImageCommand(
        words=flags.words,
        entrypoint=flags.entrypoint,
        env=_environment(config, flags, env),
        workdir=working_dir(flags.workdir),
        user=flags.user,
        mounts=_mounts(flags),
        network=Network(flags.network or "host"),
        hostname=flags.hostname or "pybuild",
        hosts=hosts(flags.add_hosts),
        init=flags.init,
        interactive=flags.interactive,
        terminal=flags.tty,
    )
    made = image_command.spec_of(command, config, root)
    if flags.rights == RightsFlags():
        return made
    return replace(with_rights(made, flags.rights.confinement()), read_only=flags.rights.read_only)


def _mounts(flags: RunFlags) -> tuple[Mount, ...]:
    """Return the mounts of ``-v`` and ``--tmpfs``, by the rules of containers."""
    if not flags.volumes and not flags.tmpfs:
        return ()
    from pybuild.builder.cli.flags.container.mounts import mount_points
    from pybuild.builder.containers.config import BIND, TMPFS
    from pybuild.builder.containers.volume_options import make_source, tmpfs_at

    found: list[Mount] = []
    for each in mount_points(flags.volumes, (), flags.tmpfs):
        target = PurePosixPath(each.target)
        if each.kind == TMPFS:
            found.append(tmpfs_at(target, each, read_only=each.read_only))
        elif each.kind != BIND:
            raise RequestError(f"the volume at {each.target} needs a container")
        else:
            make_source(each)
            found.append(Bind(host_path=Path(each.source), target=target, read_only=each.read_only))
    return tuple(found)


def _environment(config: ContainerConfig, flags: RunFlags, env: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    chosen = {"TERM": env.get("TERM", "xterm")} if flags.tty else {}
    given = [line for path in flags.env_files for line in env_lines(path)]
    # Only a name that the user gives takes its value from *env*: an image must not get variables of the host.
    chosen |= {name: value for name, _, value in (line.partition("=") for line in config.env)}
    chosen |= variables((*given, *flags.variables), env, "environment variable")
    return tuple(chosen.items())
